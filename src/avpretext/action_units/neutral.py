"""The resting face of each person: what counts as zero for their action units.

A person's resting face is not zero: brows sit high or low, glasses look like squinting. Three faces are blended.

- The usual face: the median of each measure over all frames, as in Baltrusaitis, Mahmoud & Robinson, "Cross-dataset
  learning and person-specific normalisation for automatic action unit detection" (FG 2015). It is sound when the person
  is seen with different expressions, and useless within one clip, whose usual face is its expression.
- The calm face: the median over those frames that are nearest to the face of people at rest: the onset of an
  expression, a pause, a neutral clip. With n clips it has the weight 2 / (n + 1), the usual face (n - 1) / (n + 1).
- The face of people at rest (`measures.TYPICAL_REST`). Who is seen in one clip may hold an expression throughout, and
  would be calibrated by it, so that it disappeared. The classic remedy is shrinkage (James & Stein 1961; Efron &
  Morris, "Stein's paradox in statistics", Scientific American 236(5), 1977): the less people differ at rest in a
  measure, beside how far expressions move it, the more is a deviation in few clips an expression. A smile is, low brows
  are rather the person.

The opening of the mouth is an exception: people are seen talking, yet at rest the mouth is shut, so that a low quantile
stands for it.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units.formulas import FULL_MOVEMENT
from avpretext.action_units.measures import BETWEEN_PEOPLE, MEASURES, TYPICAL_REST, measure
from avpretext.action_units.measures import RestingFace as RestingFace
from avpretext.config import ActionUnitOptions
from avpretext.corpora.who import named_speakers
from avpretext.face.landmark_shards import evenly, read_clips
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.progress import progress

Floats = NDArray[np.float64]

CALM_SHARE = 0.25
"""Share of a person's frames that are taken as calm."""

EXPRESSION = 0.2
"""How far expressions move a measure from clip to clip, as a share of its full movement: a standard deviation."""

LEAST_BETWEEN = 0.05
"""People differ at rest by at least this share of the full movement: eight of them are too few to be surer."""

MOST_DOUBT = 4.0
"""The doubt of no measure counts for more than this."""

OPENINGS = [MEASURES.index(name) for name in ("lip_gap", "chin_drop", "jawOpen", "mouthLowerDown")]
SHUT_QUANTILE = 0.1
"""Measures of an opening mouth, and the quantile over all frames that stands for a shut one."""

FRAMES_PER_CLIP = 100
"""At most this many frames of a clip are looked at, evenly spaced, so that large corpora fit into memory."""


TYPICAL = RestingFace(TYPICAL_REST, np.zeros(len(MEASURES)), 0)
"""The resting face of nobody in particular, for `calibration: none`."""


def run(landmarks: Sequence[Path], index: Sequence[Path], options: ActionUnitOptions, output: Path) -> None:
    """Find the resting face of every speaker of a corpus.

    Parameters
    ----------
    options
        With a `calibration` other than `speaker` there is nothing to find, and the artefact is empty.
    """
    made_by = provenance("neutral", options.model_dump(mode="json"))
    rows: list[dict[str, Any]] = []
    if options.calibration == "speaker":
        speakers = named_speakers(index)
        seen: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
        label = f"neutral {output.parent.parent.name}"
        for path in progress(landmarks, total=len(landmarks), unit="shards", label=label):
            for clip in read_clips(path):
                if speaker := speakers.get(clip.clip_id):
                    chosen = evenly(len(clip.frame), FRAMES_PER_CLIP)
                    seen[speaker].append(measure(clip.points, clip.blendshapes)[chosen].astype(np.float32))
        for speaker in sorted(seen):
            rows += _rows(speaker, resting_face(seen[speaker]))
    shards.write_table(output, rows, schema_of("neutral"), made_by)


def resting_face(clips: Sequence[NDArray[np.floating]]) -> RestingFace:
    """Find the resting face of one person.

    Parameters
    ----------
    clips
        Shape (F, M) each: the measures of the frames of that person's clips, in the order of `MEASURES`; frames with
        NaN are left out.

    Returns
    -------
    RestingFace
        `spread` is the median absolute deviation from the usual face, times 1.4826 (the standard deviation of a normal
        distribution). `TYPICAL` when there is no frame at all.
    """
    measured = [clip[np.isfinite(clip).all(axis=1)].astype(np.float64) for clip in clips]
    measured = [clip for clip in measured if len(clip)]
    if not measured:
        return TYPICAL
    frames = np.concatenate(measured)
    usual = np.median(frames, axis=0)
    spread = 1.4826 * np.median(np.abs(frames - usual), axis=0)
    clips_seen = len(measured)
    own = usual + (_calm_face(frames) - usual) * 2 / (clips_seen + 1)
    own[OPENINGS] = np.quantile(frames[:, OPENINGS], SHUT_QUANTILE, axis=0)
    # Squared, as more clips show not only more of the person, but also sooner a face at rest.
    trust = clips_seen**2 / (clips_seen**2 + doubt())
    return RestingFace(TYPICAL_REST + trust * (own - TYPICAL_REST), spread, len(frames))


def doubt() -> Floats:
    """Return how much a deviation from the face of people at rest is to be taken for an expression, shape (M,).

    The variance of expressions over that between people at rest; 0 for measures that no action unit is made of.
    """
    between = np.maximum(BETWEEN_PEOPLE, LEAST_BETWEEN * FULL_MOVEMENT)
    return np.asarray(np.nan_to_num(np.minimum((EXPRESSION * FULL_MOVEMENT / between) ** 2, MOST_DOUBT)))


def _calm_face(frames: Floats) -> Floats:
    """Median over the frames nearest to the face of people at rest, shape (F, M) to (M,).

    Distances are in full movements, each 1 at most, averaged over the measures that action units are made of.
    """
    used = np.isfinite(FULL_MOVEMENT)
    away = np.abs(frames - TYPICAL_REST)[:, used] / FULL_MOVEMENT[used]
    distance = away.clip(0, 1).mean(axis=1)
    return np.asarray(np.median(frames[distance <= np.quantile(distance, CALM_SHARE)], axis=0))


def read_resting_faces(neutral: Path) -> dict[str, RestingFace]:
    """Return the resting face of each speaker from the artefact of this stage."""
    faces = {}
    for (group,), rows in shards.read(neutral).group_by("group", maintain_order=True):
        if tuple(rows["measure"]) != MEASURES:
            raise ValueError(f"{neutral}: its measures are not those of this version; redo the stage neutral")
        faces[str(group)] = RestingFace(rows["location"].to_numpy(), rows["spread"].to_numpy(), rows["frames"][0])
    return faces


def _rows(group: str, face: RestingFace) -> list[dict[str, Any]]:
    return [
        {"group": group, "measure": name, "location": location, "spread": spread, "frames": face.frames}
        for name, location, spread in zip(MEASURES, face.location, face.spread, strict=True)
    ]
