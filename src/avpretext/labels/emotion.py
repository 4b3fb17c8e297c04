"""Task 3: which emotion do the action units of a clip show?

The action units of a clip are matched with a table of prototypes (`emotions.yaml`). The best match is the label, unless
it is too weak (`none`), too close to the second (`ambiguous`), or the face was not seen for long enough (`unmeasured`).
A clip that matches nothing since it shows next to nothing is neutral, where the table has that class.

Speech moves the mouth to and fro, while an expression stays: so the intensity of a mouth AU over the clip is its median
(`mouth_quantile`), which open and closed mouth alike let through, while the other AUs count as what they reach in their
upper frames (`upper_quantile`).

An action unit that is null throughout a clip is one that the backend does not know. What is required and unknown cannot
be seen, so the emotion has no score (`labels/emotion_table.py`): a match on what is left would be an easier one, and
would win against emotions that must show all of theirs. Unknown AUs among the optional and the excluding are ignored.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import EmotionLabelOptions
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.provenance import provenance
from avpretext.labels.chunk_labels import report_balance
from avpretext.labels.emotion_table import EmotionTable, read_table, scores, strongest
from avpretext.progress import progress

Floats = NDArray[np.float64]

MOUTH_UNITS = (
    "AU10", "AU11", "AU12", "AU14", "AU15", "AU17", "AU20", "AU23", "AU24", "AU25", "AU26", "AU28",
)  # fmt: skip
"""Action units that speech moves too."""

OUTCOMES = ("labelled", "none", "ambiguous", "unmeasured")


@dataclass(frozen=True)
class Verdict:
    """What became of one clip.

    Attributes
    ----------
    outcome
        One of `OUTCOMES`.
    label
        The class of a labelled clip, else None.
    value
        Score of the best class, 0..1; NaN when not measured.
    confidence
        0..1: how far the best score is ahead of the second and of the least score that counts; NaN without a label.
    scores
        Class to score; NaN when not measured, or when an AU that the class requires is unknown.
    """

    outcome: str
    label: str | None
    value: float
    confidence: float
    scores: dict[str, float]


def run(action_units: Sequence[Path], options: EmotionLabelOptions, output: Path) -> None:
    """Label the clips of a corpus by the emotion that their faces show.

    Parameters
    ----------
    output
        Where the artefact goes: one row per clip, whatever its outcome.
    """
    table = read_table(options.table)
    made_by = provenance("labels_emotion", options.model_dump(mode="json"), table=table.model_dump(mode="json"))
    clips: dict[str, Floats] = {}
    label = f"labels_emotion {output.parent.parent.name}"
    for path in progress(action_units, total=len(action_units), unit="shards", label=label):
        for clip_id, rows in shards.iterate_clips(path, ACTION_UNITS):
            clips[clip_id] = clip_intensities(_matrix(rows), options)
    verdicts = dict(zip(clips, judge(table, clips.values(), options), strict=True)) if clips else {}
    rows_out = [_row(clip_id, verdicts[clip_id]) for clip_id in sorted(verdicts)]
    shards.write_table(
        output, rows_out, schema_of("labels_emotion", {"score_*": [f"score_{name}" for name in table.classes]}), made_by
    )
    report(table, list(verdicts.values()))


def _matrix(rows: pa.Table) -> Floats:
    """Return the action units of a clip's frames, shape (F, 20); NaN in gaps."""
    return np.stack([rows[unit].to_numpy().astype(np.float64) for unit in ACTION_UNITS], axis=1)


def clip_intensities(frames: NDArray[np.floating], options: EmotionLabelOptions) -> Floats:
    """Sum up the action units of a clip.

    Parameters
    ----------
    frames
        Shape (F, 20), 0..1, in the order of `ACTION_UNITS`; NaN in gaps, and throughout where an AU is unknown.

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
    """Decide on each clip.

    Parameters
    ----------
    clips
        Shape (20,) each: the action units of each clip; NaN for those that are unknown, all of them when not measured.
    """
    intensities = np.stack(list(clips))
    used = [ACTION_UNITS.index(unit) for unit in table.action_units]
    shown = strongest(intensities[:, used])
    return [_judge_clip(table, row, top, options) for row, top in zip(scores(table, intensities), shown, strict=True)]


def _judge_clip(table: EmotionTable, row: Floats, shown: float, options: EmotionLabelOptions) -> Verdict:
    named = dict(zip(table.emotions, row.tolist(), strict=True))
    if table.neutral:
        named[table.neutral] = float(1 - shown)
    scored = np.sort(row[np.isfinite(row)])[::-1]
    if not len(scored):
        return Verdict("unmeasured", None, np.nan, np.nan, named)
    best, second = float(scored[0]), float(scored[1]) if len(scored) > 1 else 0.0
    if table.neutral and shown < options.neutral_below and best < options.min_score:
        sureness = 1 - shown / options.neutral_below
        return Verdict("labelled", table.neutral, float(1 - shown), float(sureness), named)
    if best < options.min_score:
        return Verdict("none", None, best, np.nan, named)
    if best - second < options.min_margin:
        return Verdict("ambiguous", None, best, np.nan, named)
    ahead = (best - max(second, options.min_score)) / max(best, 1e-9)
    return Verdict("labelled", list(table.emotions)[int(np.nanargmax(row))], best, float(ahead), named)


def _row(clip_id: str, verdict: Verdict) -> dict[str, Any]:
    numbers = {"value": verdict.value, "confidence": verdict.confidence}
    numbers |= {f"score_{name}": score for name, score in verdict.scores.items()}
    known = {name: None if np.isnan(number) else number for name, number in numbers.items()}
    return {"clip_id": clip_id, "outcome": verdict.outcome, "label": verdict.label, **known}


def report(table: EmotionTable, verdicts: Sequence[Verdict]) -> None:
    """Tell how the labels are balanced, and warn of classes that are nearly empty."""
    given = [verdict.label for verdict in verdicts]
    dropped = {name: sum(verdict.outcome == name for verdict in verdicts) for name in OUTCOMES[1:]}
    report_balance("labels_emotion", {name: given.count(name) for name in table.classes}, dropped)
    measured = [verdict for verdict in verdicts if verdict.outcome != "unmeasured"]
    for name in table.emotions:
        unscored = sum(bool(np.isnan(verdict.scores[name])) for verdict in measured)
        if unscored:
            print(
                f"labels_emotion: warning: {name!r} has no score in {unscored} of {len(measured)} measured clips: the"
                " action units hold none of those that it requires",
                file=sys.stderr,
            )
