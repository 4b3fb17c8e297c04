"""What the stages measured, against the known truth of a synthetic corpus: the tables `truth` and `truth_action_units`.

Truth is matched by clip and frame. Measures and their meaning:

- `face_found`: share of the frames in which a face is found.
- `pearson_r`, `f1` of an action unit: over all frames with a face; present means at least `PRESENT`. Action units that
  the synthetic face never shows have neither, and are left out of the means.
- `agreement` of energy and activation: share of clips that measured and true value both put above their median, or both
  below; .5 is chance. `spearman_rho`: rank correlation of the two. The measured value of a clip is the mean over its
  chunks.
- `agreement` of emotion: share of the labelled clips whose label is the true emotion; `labelled_share`: labelled clips
  among all; `chance_agreement`: what labels of the same balance would reach if dealt out at random; `largest_class`:
  what the commonest true emotion would reach if it were given to all.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from avpretext.evaluation.open_run import OpenRun, Rows, read_present
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.tasks import LABELLED
from avpretext.labels.calibration import calibration

PRESENT = 0.3
"""An action unit counts as present at this intensity."""


def pearson(measured: NDArray[np.floating], true: NDArray[np.floating]) -> float:
    """Return the correlation of two series, over where both are known; NaN where one does not vary.

    >>> pearson(np.array([1.0, 2, 3, np.nan]), np.array([2.0, 4, 6, 1]))
    1.0
    """
    known = np.isfinite(measured) & np.isfinite(true)
    x, y = measured[known].astype(np.float64), true[known].astype(np.float64)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum()))


def spearman(measured: NDArray[np.floating], true: NDArray[np.floating]) -> float:
    """Return the rank correlation of two series, over where both are known; ties share their mean rank."""
    known = np.isfinite(measured) & np.isfinite(true)
    return pearson(rankdata(measured[known]), rankdata(true[known])) if known.any() else float("nan")


def f1_of_presence(measured: NDArray[np.floating], true: NDArray[np.floating]) -> float:
    """Return the F1 score of "at least `PRESENT`" against the truth, over where both are known.

    NaN where the truth never is that strong.

    >>> f1_of_presence(np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.9, 0.0, 0.9, 0.0]))
    0.5
    """
    known = np.isfinite(measured) & np.isfinite(true)
    found, there = measured[known] >= PRESENT, true[known] >= PRESENT
    if not there.any():
        return float("nan")
    return float(2 * (found & there).sum() / (found.sum() + there.sum()))


def side_agreement(measured: NDArray[np.floating], true: NDArray[np.floating]) -> float:
    """Return the share of values that both series put on the same side of their median, over where both are known.

    >>> side_agreement(np.array([1.0, 2, 3, 4]), np.array([10.0, 40, 20, 30]))
    0.5
    """
    known = np.isfinite(measured) & np.isfinite(true)
    if not known.any():
        return float("nan")
    x, y = measured[known], true[known]
    return float(((x > np.median(x)) == (y > np.median(y))).mean())


def chance_agreement(labels: Sequence[str], true: Sequence[str]) -> float:
    """Return the agreement to expect of two independent series with these class shares (as in Cohen's kappa).

    >>> chance_agreement(["a", "a", "b", "b"], ["a", "b", "b", "b"])
    0.5
    """
    given, known = Counter(labels), Counter(true)
    return sum(given[name] * known[name] for name in given) / max(len(labels) * len(true), 1)


def emotion_scores(labels: Sequence[str | None], true: Sequence[str]) -> dict[str, float]:
    """Score emotion labels (None: no label) against the true emotions of the same clips."""
    pairs = [(label, emotion) for label, emotion in zip(labels, true, strict=True) if label is not None]
    if not pairs:
        return {"labelled_share": 0.0}
    given, known = zip(*pairs, strict=True)
    return {
        "agreement": float(np.mean([label == emotion for label, emotion in pairs])),
        "labelled_share": len(pairs) / len(labels),
        "chance_agreement": chance_agreement(given, known),
        "largest_class": max(Counter(known).values()) / len(known),
    }


def truth_rows(run: OpenRun) -> Rows:
    """Score every stage that a corpus with known truth went through: stage, measure, value."""
    frames = _gather(run, "landmarks", ["detected"])
    found = None if frames is None else float(frames["detected"].cast(pl.Float64).mean())  # type: ignore[arg-type]
    rows = _rows("landmarks", {"face_found": found})
    units = action_unit_rows(run)
    for measure in ("pearson_r", "f1"):
        values = [row[measure] for row in units if row[measure] is not None]
        rows += _rows("action_units", {f"mean_{measure}": float(np.mean(values)) if values else None})
    clips = run.truth("clips")
    if clips is None:
        return rows
    for task in LABELLED.values():
        rows += _rows(task.stage, _chunk_scores(run, clips, task.name, task.truth)) if task.truth else []
    return rows + _rows("labels_emotion", _emotion_scores(run, clips))


def action_unit_rows(run: OpenRun) -> Rows:
    """Score each action unit: action_unit, pearson_r, f1 (None where the truth never shows it)."""
    measured = _gather(run, "action_units", ["clip_id", "frame", *ACTION_UNITS])
    true = run.truth("action_units")
    if measured is None or true is None:
        return []
    both = measured.join(true, on=["clip_id", "frame"], suffix="_true", maintain_order="left")
    rows = []
    for unit in ACTION_UNITS:
        found, there = (both[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in (unit, f"{unit}_true"))
        scores = {"pearson_r": pearson(found, there), "f1": f1_of_presence(found, there)}
        rows.append({"action_unit": unit, **{name: _known(score) for name, score in scores.items()}})
    return rows


def confidence_rows(run: OpenRun) -> Rows:
    """Return how often emotion labels are right, by their confidence: confidence (the mean), clips, right (a share)."""
    labels, clips = _gather(run, "labels_emotion", ["clip_id", "label", "confidence"]), run.truth("clips")
    if labels is None or clips is None:
        return []
    both = _with_truth(labels.drop_nulls("label"), clips)
    right = (both["label"] == both["emotion"]).to_numpy()
    return calibration(both["confidence"].cast(pl.Float64).to_numpy(), right).drop("from").to_dicts()


def _known(score: float | None) -> float | None:
    return None if score is None or np.isnan(score) else score


def _rows(stage: str, scores: dict[str, float | None] | dict[str, float]) -> Rows:
    return [
        {"stage": stage, "measure": measure, "value": score}
        for measure, score in scores.items()
        if _known(score) is not None
    ]


def _gather(run: OpenRun, artefact: str, columns: list[str]) -> pl.DataFrame | None:
    """Read an artefact of all corpora with truth; None where there is none."""
    return read_present([path for corpus in run.config.with_truth() for path in run.files(corpus, artefact)], columns)


def _chunk_scores(run: OpenRun, clips: pl.DataFrame, task: str, column: str) -> dict[str, float | None]:
    labels = _gather(run, f"labels_{task}", ["clip_id", "value"])
    if labels is None:
        return {}
    means = labels.group_by("clip_id", maintain_order=True).agg(pl.col("value").mean())
    both = means.join(clips.select("clip_id", column), on="clip_id", maintain_order="left")
    measured, true = (both[name].fill_null(np.nan).to_numpy() for name in ("value", column))
    return {"agreement": side_agreement(measured, true), "spearman_rho": spearman(measured, true)}


def _emotion_scores(run: OpenRun, clips: pl.DataFrame) -> dict[str, float]:
    labels = _gather(run, "labels_emotion", ["clip_id", "label"])
    if labels is None:
        return {}
    both = _with_truth(labels, clips)
    return {} if both.is_empty() else emotion_scores(both["label"].to_list(), both["emotion"].to_list())


def _with_truth(labels: pl.DataFrame, clips: pl.DataFrame) -> pl.DataFrame:
    """Return the labels of the clips whose true emotion is known, with a column `emotion`."""
    return labels.join(
        clips.select("clip_id", "emotion").drop_nulls(), on="clip_id", how="inner", maintain_order="left"
    )
