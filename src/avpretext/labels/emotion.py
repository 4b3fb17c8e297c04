"""Task 3: which emotion do the action units of a clip show?

The action units of a clip are compared with what each emotion shows (`emotion_table.py`). The most probable class is
the label, unless it is not probable enough (`none`), too close to the second (`ambiguous`), or the face was not seen
for long enough (`unmeasured`). A clip that looks neutral is neutral where the table has that class, else `none`.

Speech moves the mouth to and fro, while an expression stays: so the intensity of a mouth AU over the clip is near its
median (`mouth_quantile`), which open and closed mouth alike let through, while the other AUs count as what they reach
in their upper frames (`upper_quantile`).

An action unit that is null throughout a clip is one that the backend does not know; it is left out of the comparison.
An emotion that the others cannot tell from neutral has no score.
"""

import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units.formulas import FULL_MOVEMENT
from avpretext.action_units.neutral import CLIP, LIKE_PEOPLE, own_weight, read_resting_faces
from avpretext.config import EmotionLabelOptions
from avpretext.corpora.who import named_speakers
from avpretext.face.landmark_shards import frame_s
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.provenance import provenance
from avpretext.labels.chunk_labels import report_balance
from avpretext.labels.emotion_table import EmotionTable, read_table
from avpretext.progress import progress

Floats = NDArray[np.float64]

MOUTH_UNITS = (
    "AU10", "AU11", "AU12", "AU14", "AU15", "AU17", "AU20", "AU23", "AU24", "AU25", "AU26", "AU28",
)  # fmt: skip
"""Action units that speech moves too."""

CALIBRATED = "blendshapes"
"""The backend whose action units are measured from a person's resting face."""

OUTCOMES = ("labelled", "none", "ambiguous", "unmeasured")


@dataclass(frozen=True)
class Verdict:
    """The decision on one clip.

    Attributes
    ----------
    outcome
        One of `OUTCOMES`.
    label
        The class of a labelled clip, else None.
    value, confidence
        Probability of the best class, 0..1; NaN when not measured; confidence is NaN without a label too.
    scores
        Class to probability, 0..1; NaN when not measured, or when the known AUs cannot tell the class from neutral.
    """

    outcome: str
    label: str | None
    value: float
    confidence: float
    scores: dict[str, float]


def run(
    action_units: Sequence[Path],
    options: EmotionLabelOptions,
    output: Path,
    index: Sequence[Path] = (),
    neutral: Path | None = None,
) -> None:
    """Label the clips of a corpus by the emotion that their faces show.

    Parameters
    ----------
    output
        Where the artefact goes: one row per clip, whatever its outcome.
    index, neutral
        Artefacts that tell what resting face each clip was measured from; left out: not told.
    """
    table = read_table(options.table)
    made_by = provenance("labels_emotion", options.model_dump(mode="json"), table=table.model_dump(mode="json"))
    rest_of = _rests(index, neutral)
    clip_ids: list[str] = []
    units, seen_s = array("d"), array("d")
    label = f"labels_emotion {output.parent.parent.name}"
    for path in progress(action_units, total=len(action_units), unit="shards", label=label):
        for clip_id, rows in shards.iterate_clips(path, ["time_s", *ACTION_UNITS]):
            frames = intensities(rows)
            clip_ids.append(clip_id)
            units.frombytes(clip_intensities(frames, options).tobytes())
            seen_s.append(frame_s(rows["time_s"].to_numpy()) * int(np.isfinite(frames).any(axis=1).sum()))
    clips: Floats = np.array(units).reshape(-1, len(ACTION_UNITS))
    if clip_ids and measured_by(action_units) not in (CALIBRATED, table.backend):
        clips = at_rest(clips, table)
    shares = table.model.probabilities(clips)
    order = sorted(range(len(clip_ids)), key=clip_ids.__getitem__)
    balance = _Balance(table)
    rows_out = (
        _row(clip_ids[place], balance.count(_judge_clip(table, shares[place], options)))
        | rest_of(clip_ids[place], seen_s[place])
        for place in order
    )
    shards.write_rows(
        output, rows_out, schema_of("labels_emotion", {"score_*": [f"score_{name}" for name in table.classes]}), made_by
    )
    balance.report()


def _rests(index: Sequence[Path], neutral: Path | None) -> Callable[[str, float], dict[str, Any]]:
    """Return the function from a clip, and the seconds its face was seen, to what its resting face rests on."""
    if neutral is None:
        return lambda clip_id, seconds: {"rest": None, "rest_s": None, "rest_trust": None}
    faces, speakers = read_resting_faces(neutral), named_speakers(index)
    alone = float(own_weight(1)[np.isfinite(FULL_MOVEMENT)].mean())

    def rest_of(clip_id: str, seconds: float) -> dict[str, Any]:
        face = faces.get(speakers.get(clip_id) or "-")
        told = (CLIP, seconds, alone) if face is None else (face.source, face.seconds, face.trust)
        return dict(zip(("rest", "rest_s", "rest_trust"), told, strict=True))

    return rest_of


def measured_by(action_units: Sequence[Path]) -> str:
    """Return the backend that measured action units."""
    made_by = [shards.read_provenance(path).get("options", {}) for path in action_units[:1]]
    return str(made_by[0].get("backend", CALIBRATED)) if made_by else CALIBRATED


def at_rest(clips: Floats, table: EmotionTable) -> Floats:
    """Lower action units that no resting face was taken from, shape (N, 20), by what most clips show of them.

    Their median over the corpus becomes that of neutral clips in the table, where it is above it; of few clips, a part
    of the way.
    """
    measured = clips[np.isfinite(clips).any(axis=1)]
    if not len(measured):
        return clips
    usual = np.nan_to_num(np.nanmedian(np.where(np.isfinite(measured), measured, 0.0), axis=0))
    weight = len(measured) / (len(measured) + LIKE_PEOPLE)
    return np.asarray((clips - weight * np.maximum(usual - table.model.means[-1], 0.0)).clip(0, 1))


def intensities(rows: pa.Table) -> Floats:
    """Return the action units of a clip's frames, shape (F, 20); NaN in gaps."""
    return np.stack([rows[unit].to_numpy().astype(np.float64) for unit in ACTION_UNITS], axis=1)


def clip_intensities(frames: NDArray[np.floating], options: EmotionLabelOptions) -> Floats:
    """Sum up the action units of a clip's frames, (F, 20), 0..1; NaN in gaps, and throughout where an AU is unknown.

    Returns
    -------
    Shape (20,): `mouth_quantile` over the frames for the AUs that speech moves too, `upper_quantile` for the others;
    NaN for AUs that are unknown, and for all when fewer frames than `min_coverage` show a face.
    """
    clip = np.full(len(ACTION_UNITS), np.nan)
    known = np.isfinite(frames).any(axis=0)
    seen = frames[:, known]
    seen = seen[np.isfinite(seen).all(axis=1)]
    if known.any() and len(seen) and len(seen) >= options.min_coverage * len(frames):
        of_mouth = np.isin(ACTION_UNITS, MOUTH_UNITS)[known]
        upper = np.quantile(seen, options.upper_quantile, axis=0)
        clip[known] = np.where(of_mouth, np.quantile(seen, options.mouth_quantile, axis=0), upper)
    return clip


def judge(table: EmotionTable, clips: Iterable[Floats], options: EmotionLabelOptions) -> list[Verdict]:
    """Decide on each clip by its action units (20,); NaN for those that are unknown, all of them when not measured."""
    return [_judge_clip(table, row, options) for row in table.model.probabilities(np.stack(list(clips)))]


def _judge_clip(table: EmotionTable, row: Floats, options: EmotionLabelOptions) -> Verdict:
    classes = [*table.emotions, table.neutral]
    scores = {name: float(value) for name, value in zip(classes, row, strict=True) if name is not None}
    if not np.isfinite(row[-1]):
        return Verdict("unmeasured", None, np.nan, np.nan, scores)
    second, best = np.sort(np.nan_to_num(row, nan=0.0))[-2:].tolist()
    label = classes[int(np.nanargmax(row))]
    if label is None or best < options.min_confidence:
        return Verdict("none", None, best, np.nan, scores)
    if best - second < options.min_margin:
        return Verdict("ambiguous", None, best, np.nan, scores)
    return Verdict("labelled", label, best, best, scores)


def _row(clip_id: str, verdict: Verdict) -> dict[str, Any]:
    numbers = {"value": verdict.value, "confidence": verdict.confidence}
    numbers |= {f"score_{name}": score for name, score in verdict.scores.items()}
    known = {name: None if np.isnan(number) else number for name, number in numbers.items()}
    return {"clip_id": clip_id, "outcome": verdict.outcome, "label": verdict.label, **known}


class _Balance:
    """How many clips have each label and outcome, and how many of the measured ones no score of an emotion."""

    def __init__(self, table: EmotionTable) -> None:
        self._table = table
        self._labels, self._outcomes, self._unscored = Counter[str | None](), Counter[str](), Counter[str]()

    def count(self, verdict: Verdict) -> Verdict:
        """Count a verdict, and return it."""
        self._labels[verdict.label] += 1
        self._outcomes[verdict.outcome] += 1
        if verdict.outcome != "unmeasured":
            self._unscored.update(name for name in self._table.emotions if np.isnan(verdict.scores[name]))
        return verdict

    def report(self) -> None:
        """Tell how the labels are balanced, and warn of classes that are nearly empty."""
        dropped = {name: self._outcomes[name] for name in OUTCOMES[1:]}
        report_balance("labels_emotion", {name: self._labels[name] for name in self._table.classes}, dropped)
        measured = self._outcomes.total() - self._outcomes["unmeasured"]
        for name in self._table.emotions:
            if self._unscored[name]:
                print(
                    f"labels_emotion: warning: {name!r} has no score in {self._unscored[name]} of {measured} measured"
                    " clips: the known action units cannot tell it from neutral",
                    file=sys.stderr,
                )
