"""How features and label values are distributed: histograms, filled row group by row group from the shards.

What is held does not grow with the number or the length of the clips.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext.evaluation.au_summary import ACTIVE
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.columns import ACTION_UNITS, MOTION_REGIONS
from avpretext.flow.tasks import CHUNK_TASKS, TASKS
from avpretext.report.clip import decibels

Floats = NDArray[np.float64]


@dataclass
class Histogram:
    """Counts of values in bins of equal width; values beyond the ends are counted in the outermost bins.

    `low` and `high` are the range; with `log` the axis is logarithmic, and they are in powers of ten. `counts` has
    shape (bins,). `above` is how many values are at `mark` or above; None: none is counted.
    """

    low: float
    high: float
    bins: int
    log: bool = False
    mark: float | None = None
    above: int = 0
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(self.bins, dtype=np.int64)

    def add(self, values: NDArray[np.floating]) -> None:
        """Count values, whatever their shape; NaN is not counted."""
        known = np.asarray(values, dtype=np.float64)
        known = known[np.isfinite(known)]
        if self.mark is not None:
            self.above += int((known >= self.mark).sum())
        placed = np.log10(np.maximum(known, 10**self.low)) if self.log else known
        # Rounding keeps a value that is an edge, such as 0.28 in bins of .02, in the bin that it begins.
        place = np.floor(np.round((placed - self.low) / (self.high - self.low) * self.bins, 9)).astype(np.int64)
        self.counts += np.bincount(place.clip(0, self.bins - 1), minlength=self.bins)

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    @property
    def edges(self) -> Floats:
        """Edges of the bins, shape (bins + 1,), in the unit of the values."""
        edges = np.linspace(self.low, self.high, self.bins + 1)
        return np.asarray(10**edges if self.log else edges, dtype=np.float64)

    @property
    def shares(self) -> Floats:
        """Share of the values in each bin."""
        return self.counts / max(self.total, 1)

    def quantile(self, share: float) -> float:
        """Return the upper edge of the bin in which this share of the values is reached; NaN without values."""
        if not self.total:
            return float("nan")
        return float(self.edges[1:][int((self.counts.cumsum() >= share * self.total).argmax())])


class Features(NamedTuple):
    """How the features of a corpus are distributed over its frames; empty or None where a feature is not there.

    Energy is in dB relative to full scale, per 10 ms; motion by region, in inter-ocular distances per second, and
    action units by their intensity, per video frame with a face.
    """

    corpus: str
    energy: Histogram | None
    motion: Mapping[str, Histogram]
    units: Mapping[str, Histogram]


def feature_distributions(run: OpenRun) -> list[Features]:
    """Return the distributions of each corpus that has features, by one pass over its shards.

    Energy is in bins of 1 dB; speeds from .001 to 10 inter-ocular distances per second, 20 bins to the decade.
    """
    found = [_features(run, corpus) for corpus in run.config.with_clips()]
    return [one for one in found if one.energy or one.motion or one.units]


def _features(run: OpenRun, corpus: str) -> Features:
    loudness = Histogram(-80, 0, 80)
    for group in run.groups(corpus, "speech", ["energy"]):
        loudness.add(decibels(group["energy"].to_numpy()))
    speeds = {f"speed_{region}": Histogram(-3, 1, 80, log=True) for region in MOTION_REGIONS}
    units = {unit: Histogram(0, 1, 50, mark=ACTIVE) for unit in ACTION_UNITS}
    for stage, histograms in (("motion", speeds), ("action_units", units)):
        for group in run.groups(corpus, stage, list(histograms)):
            for name, histogram in histograms.items():
                histogram.add(group[name].to_numpy())
    motion = {name.removeprefix("speed_"): histogram for name, histogram in speeds.items()}
    return Features(corpus, loudness if loudness.total else None, _filled(motion), _filled(units))


def fastest(features: Iterable[Features]) -> float:
    """Return the speed of the whole face that one frame in a hundred exceeds, in the fastest corpus; 1 without any."""
    found = [one.motion["face"].quantile(0.99) for one in features if one.motion and one.motion["face"].total]
    return max(found, default=1.0)


def _filled(histograms: dict[str, Histogram]) -> dict[str, Histogram]:
    return histograms if any(histogram.total for histogram in histograms.values()) else {}


def histogram_of(groups: Mapping[str, Iterable[float]], edge: float, bins: int = 40) -> dict[str, Histogram]:
    """Return a histogram of each group of values by name, all with the same bins, over the range of all values.

    There are about so many bins. NaN is not counted. At `edge`, if it lies within the range, one bin ends and the next
    begins.
    """
    values = {name: np.asarray(list(found), dtype=np.float64) for name, found in groups.items()}
    known = np.concatenate([found[np.isfinite(found)] for found in values.values()] or [np.zeros(0)])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    high = high if high > low else low + 1
    if low < edge < high:
        width = (high - low) / bins
        below, above = (int(np.ceil(round(side / width, 9))) for side in (edge - low, high - edge))
        low, high, bins = edge - below * width, edge + above * width, below + above
    histograms = {name: Histogram(low, high, bins) for name in values}
    for name, found in values.items():
        histograms[name].add(found)
    return histograms


class LabelValues(NamedTuple):
    """How the values of one decision of a pretext task are distributed.

    `groups`: what became of them (`high`, `low`, `dead zone`; `labelled`, `none`, ...) to their histogram, all of the
    same bins. `thresholds`: the smallest, the median and the largest of `several`; all alike where one holds for all.
    """

    task: str
    title: str
    groups: Mapping[str, Histogram]
    thresholds: tuple[float, float, float]
    several: int = 1


def label_values(run: OpenRun) -> dict[str, list[LabelValues]]:
    """Return, for each corpus with pseudo-labels, the values of each decision and its thresholds."""
    found = {}
    for corpus in run.config.with_clips():
        charts = [chart for task in CHUNK_TASKS for chart in of_chunks(run, corpus, task)]
        charts += of_emotions(run, corpus)
        if charts:
            found[corpus] = charts
    return found


def of_chunks(run: OpenRun, corpus: str, task: str) -> list[LabelValues]:
    """Return the values of a task that labels chunks as high or low; none where nothing was measured."""
    labels = run.labels(corpus, task, ["value", "label", "threshold"])
    rows = pl.DataFrame() if labels is None else labels.filter(pl.col("value").is_not_null())
    if rows.is_empty():
        return []
    options = run.made_by(corpus, f"labels_{task}").get("options", {}).get(f"labels.{task}", {})
    measured = TASKS[task].measures
    title = measured.get(options.get("measure", ""), TASKS[task].value[0]).format_map({"region": "face", **options})
    kinds = {"high": pl.col("label") == 1, "low": pl.col("label") == 0, "dead zone": pl.col("label").is_null()}
    groups = {name: rows.filter(kind)["value"].to_numpy() for name, kind in kinds.items()}
    edges = rows["threshold"].drop_nulls().unique().sort().to_numpy()
    spread = (float(edges[0]), float(np.median(edges)), float(edges[-1]))
    kept = {name: histogram for name, histogram in histogram_of(groups, spread[1]).items() if histogram.total}
    return [LabelValues(task, title, kept, spread, len(edges))]


def of_emotions(run: OpenRun, corpus: str) -> list[LabelValues]:
    """Return the values of the decisions that give a clip its emotion, for the clips that were measured."""
    rows, made_by = run.labels(corpus, "emotion"), run.made_by(corpus, "labels_emotion")
    limits: dict[str, Any] = made_by.get("options", {})
    neutral = (made_by.get("table") or {}).get("neutral")
    if rows is None or "min_confidence" not in limits:
        return []
    rows = rows.filter(pl.col("outcome") != "unmeasured")
    if rows.is_empty():
        return []
    scores = rows.select(pl.col("^score_.*$").cast(pl.Float64).fill_null(0.0)).to_numpy()
    if not neutral:  # the class without a name has what the others leave
        scores = np.concatenate([scores, 1 - scores.sum(axis=1, keepdims=True)], axis=1)
    second, best = np.sort(scores, axis=1)[:, -2:].T
    kind = pl.when(pl.col("label") == (neutral or "")).then(pl.lit("neutral")).otherwise(pl.col("outcome"))
    outcome = rows.select(kind).to_series().replace("labelled", "an emotion").to_numpy()
    return [
        _decision("Probability of the best class", best, outcome, limits["min_confidence"]),
        _decision("Lead over the second class", best - second, outcome, limits["min_margin"]),
    ]


def _decision(title: str, values: Any, outcome: Any, threshold: float) -> LabelValues:
    kinds = [name for name in ("an emotion", "neutral", "ambiguous", "none") if (outcome == name).any()]
    groups = histogram_of({name: values[outcome == name] for name in kinds}, threshold, bins=30)
    return LabelValues("emotion", title, groups, (threshold, threshold, threshold))
