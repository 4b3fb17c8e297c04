"""The resting face of each person: what counts as zero for their action units.

A person's resting face is not zero: brows sit high or low, glasses look like squinting. The best estimate is the
person's usual face, as in Baltrusaitis, Mahmoud & Robinson, "Cross-dataset learning and person-specific normalisation
for automatic action unit detection" (FG 2015): in each measure the median of the clips. Who is seen in few clips may
hold an expression throughout, and would be calibrated by it, so that it disappeared. So the usual face is shrunk
towards that of people, in each measure by what is known of it (James & Stein 1961; Efron & Morris, "Stein's paradox in
statistics", Scientific American 236(5), 1977):

    weight of the own face = between people^2 / (between people^2 + expressions^2 / clips)

A smile is an expression, low brows are rather the person. The face of people is that of the corpus, as far as it shows
many of them (camera and light are theirs too), else `measures.TYPICAL_REST`.

Where clips are known to be neutral (`action_units.neutral_labels`, `neutral_clips`), the usual face is that of these.
At rest a mouth is shut, though people are seen talking: of its opening a low quantile over all frames counts.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units.formulas import FULL_MOVEMENT
from avpretext.action_units.measures import BETWEEN_PEOPLE, MEASURES, TYPICAL_REST, RestingFace, measure
from avpretext.config import ActionUnitOptions
from avpretext.corpora import sheets
from avpretext.corpora.who import named_speakers
from avpretext.errors import UserError, expect_file
from avpretext.face.landmark_shards import ClipLandmarks, evenly, frame_s, read_clips
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.progress import progress

Floats = NDArray[np.float64]

EXPRESSION, NEUTRAL_EXPRESSION = 0.25, 0.1
"""How far expressions move a measure from clip to clip, as a share of its full movement: a standard deviation; and how
far people stray from rest in clips that are known to be neutral."""

LIKE_PEOPLE = 10
"""The corpus's own people count as much as `TYPICAL_REST` when there are so many of them."""

OPENINGS = [MEASURES.index(name) for name in ("lip_gap", "chin_drop", "jawOpen", "mouthLowerDown")]
SHUT_QUANTILE = 0.1
"""Measures of an opening mouth, and the quantile over all frames that stands for a shut one."""

FRAMES_PER_CLIP = 100
"""At most this many frames of a clip are looked at, evenly spaced, so that large corpora fit into memory."""

PEOPLE, CORPUS, CLIP, SPEAKER, NEUTRAL_CLIPS = "people", "corpus", "clip", "speaker", "neutral clips"
"""What a resting face rests on."""

NEUTRAL_NAMES = ("neu", "neutral", "neutrality", "n")
"""What corpora call a neutral clip, in lower case."""

EVERYBODY = ""
"""Group of the face that stands for people of the corpus who are not known."""

TYPICAL = RestingFace(TYPICAL_REST, 0)
"""The resting face of nobody in particular, for `calibration: none`."""


class ClipFace(NamedTuple):
    """The face of one clip: the median of each measure, (M,), and the measures of an opening mouth of each frame."""

    usual: Floats
    openings: Floats


@dataclass
class Person:
    """What was seen of one person: the faces of their clips, of those known to be neutral, and for how many seconds."""

    clips: list[ClipFace]
    neutral: list[ClipFace]
    seconds: float = 0.0
    neutral_s: float = 0.0


def run(landmarks: Sequence[Path], index: Sequence[Path], options: ActionUnitOptions, output: Path) -> None:
    """Find the resting face of every speaker of a corpus.

    With `calibration: none` the artefact is empty; with `clip` it has the face of the corpus alone.
    """
    made_by = provenance("neutral", options.model_dump(mode="json"))
    rows: list[dict[str, Any]] = []
    if options.calibration != "none":
        speakers = named_speakers(index) if options.calibration == "speaker" else {}
        calm = neutral_clips(index, options)
        _tell_unused(calm, named_speakers(index), speakers)
        people, alone = _look(landmarks, speakers, calm, output.parent.parent.name)
        prior = face_of_corpus(people.values(), alone)
        rows += _rows(EVERYBODY, prior)
        for speaker in sorted(people):
            rows += _rows(speaker, resting_face(people[speaker], prior))
    shards.write_table(output, rows, schema_of("neutral"), made_by)


def _tell_unused(calm: set[str], corpus: Mapping[str, Any], speakers: Mapping[str, str | None]) -> None:
    """Warn of neutral clips of the corpus that are nobody's resting face."""
    here = calm & set(corpus)
    unused = sum(not speakers.get(clip_id) for clip_id in here)
    if unused:
        print(
            f"neutral: warning: {unused} of {len(here)} neutral clips have no effect: they need a speaker, and"
            " action_units.calibration: speaker",
            file=sys.stderr,
        )


def _look(
    landmarks: Sequence[Path], speakers: Mapping[str, str | None], neutral: set[str], corpus: str
) -> tuple[dict[str, Person], list[Floats]]:
    """Return what is seen of each speaker, and the usual face of each clip of unknown people."""
    people: dict[str, Person] = defaultdict(lambda: Person([], []))
    alone = []
    for path in progress(landmarks, total=len(landmarks), unit="shards", label=f"neutral {corpus}"):
        for clip in read_clips(path):
            face = clip_face(measure(clip.points, clip.blendshapes))
            if face is None:
                continue
            if speaker := speakers.get(clip.clip_id):
                _add(people[speaker], face, seen_s(clip), clip.clip_id in neutral)
            else:
                alone.append(usual_face([face]))
    return people, alone


def _add(person: Person, face: ClipFace, seconds: float, neutral: bool) -> None:
    person.clips.append(face)
    person.seconds += seconds
    if neutral:
        person.neutral.append(face)
        person.neutral_s += seconds


def clip_face(values: NDArray[np.floating]) -> ClipFace | None:
    """Return the face of a clip from its measures (F, M), NaN in gaps; None without any face."""
    frames = values[evenly(len(values), FRAMES_PER_CLIP)]
    seen = frames[np.isfinite(frames).all(axis=1)]
    return ClipFace(np.median(seen, axis=0), seen[:, OPENINGS]) if len(seen) else None


def seen_s(clip: ClipLandmarks) -> float:
    """Return for how many seconds of a clip a face is seen."""
    return frame_s(clip.time_s) * int(np.isfinite(clip.blendshapes).all(axis=1).sum())


def neutral_clips(index: Sequence[Path], options: ActionUnitOptions) -> set[str]:
    """Return the clips that the corpus or a table names neutral; it is an error if none is found of those asked for."""
    found: set[str] = set()
    if options.neutral_labels:
        rows = shards.read(list(index), ["clip_id", "label"])
        found |= {clip for clip, label in rows.iter_rows() if label and label.casefold() in NEUTRAL_NAMES}
    if options.neutral_clips:
        file = Path(options.neutral_clips)
        expect_file(file, "correct action_units.neutral_clips", sheets.ENDINGS)
        table = sheets.read(file)
        sheets.need(table.columns, ["clip_id"], file, "name the clips in a column clip_id")
        listed = set(table["clip_id"].drop_nulls())
        if not listed & set(shards.read(list(index), ["clip_id"])["clip_id"]):
            print(
                f"neutral: warning: {file} lists no clip of this corpus (action_units.neutral_clips)", file=sys.stderr
            )
        found |= listed
    if not found and (options.neutral_labels or options.neutral_clips):
        raise UserError(
            "action_units.neutral_labels, neutral_clips: no clip of the corpus is named neutral (labels"
            f" {', '.join(NEUTRAL_NAMES)}); leave both options out"
        )
    return found


def usual_face(clips: Sequence[ClipFace]) -> Floats:
    """Return the usual face of a person, shape (M,): the median of the clips; of an opening mouth a low quantile."""
    usual = np.median([clip.usual for clip in clips], axis=0)
    usual[OPENINGS] = np.quantile(np.concatenate([clip.openings for clip in clips]), SHUT_QUANTILE, axis=0)
    return np.asarray(usual)


def face_of_corpus(people: Iterable[Person], alone: Sequence[Floats]) -> RestingFace:
    """Return the face that stands for people of a corpus: the median of theirs, blended with that of people.

    Where neutral clips are known of some of the people, these alone count; `alone` has the usual face of each clip of
    people who are not known.
    """
    known = list(people)
    calm = [usual_face(person.neutral) for person in known if person.neutral]
    usual = calm or [*(usual_face(person.clips) for person in known), *alone]
    if not usual:
        return TYPICAL
    weight = len(usual) / (len(usual) + LIKE_PEOPLE)
    location = TYPICAL_REST + weight * (np.median(usual, axis=0) - TYPICAL_REST)
    return RestingFace(location, 0, CORPUS if weight > 0.5 else PEOPLE)


def resting_face(person: Person, prior: RestingFace = TYPICAL, source: str = SPEAKER) -> RestingFace:
    """Find the resting face of a person of whom at least one clip is seen, beside the face of people in general."""
    clips, strays, seconds = (
        (person.neutral, NEUTRAL_EXPRESSION, person.neutral_s)
        if person.neutral
        else (person.clips, EXPRESSION, person.seconds)
    )
    weight = own_weight(len(clips), strays)
    location = prior.location + weight * (usual_face(clips) - prior.location)
    trust = float(weight[np.isfinite(FULL_MOVEMENT)].mean())
    return RestingFace(location, len(clips), NEUTRAL_CLIPS if person.neutral else source, seconds, trust)


def own_weight(clips: int, strays: float = EXPRESSION) -> Floats:
    """Return the weight of a person's own face of some clips in each measure, (M,), 0..1; see the head of this file.

    `strays` is how far expressions move a measure from clip to clip, as a share of its full movement.
    """
    full = np.where(np.isfinite(FULL_MOVEMENT), FULL_MOVEMENT, 1.0)
    between = BETWEEN_PEOPLE**2
    return np.asarray(between / np.maximum(between + (strays * full) ** 2 / clips, 1e-12))


def face_of_clip(clip: ClipLandmarks, values: NDArray[np.floating], prior: RestingFace) -> RestingFace:
    """Return the resting face of somebody who is known from one clip alone, by its measures (F, M), NaN in gaps."""
    face = clip_face(values)
    return prior if face is None else resting_face(Person([face], [], seen_s(clip)), prior, CLIP)


def read_resting_faces(neutral: Path) -> dict[str, RestingFace]:
    """Return the resting face of each speaker, and of `EVERYBODY`, from the artefact of this stage."""
    faces = {}
    for (group,), rows in shards.read(neutral).group_by("group", maintain_order=True):
        if tuple(rows["measure"]) != MEASURES:
            raise ValueError(f"{neutral}: its measures are not those of this version; redo the stage neutral")
        told = rows.row(0, named=True)
        faces[str(group)] = RestingFace(rows["location"].to_numpy(), *(told[name] for name in _TOLD))
    return faces


_TOLD = ("clips", "source", "seconds", "trust")


def _rows(group: str, face: RestingFace) -> list[dict[str, Any]]:
    told = {name: getattr(face, name) for name in _TOLD}
    return [
        {"group": group, "measure": name, "location": location, **told}
        for name, location in zip(MEASURES, face.location, strict=True)
    ]
