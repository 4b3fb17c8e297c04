"""Scores of predicted movement of the lower face, visemes and emotions, all computed from sums over speakers.

Sums of frames and clips are kept per speaker and seed, so that intervals and tests resample speakers (see
`evaluation.intervals`). Movement is in inter-ocular distances from the person's rest, x and y of each point.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from avpretext.evaluation import metrics
from avpretext.face.points import OROFACIAL, OROFACIAL_POINTS
from avpretext.orofacial.lower_face import aperture

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]

_ENDS = np.cumsum([0, *map(len, OROFACIAL.values())]).tolist()
REGIONS = {"all": slice(None)} | {
    name: slice(first, last) for name, first, last in zip(OROFACIAL, _ENDS, _ENDS[1:], strict=False)
}
"""Region: its points among all; at first all of them."""

COMPARED = ("ccc_all", "error_all", "speed_error_all", "aperture_r", "viseme_uar", "emotion_uar")
"""Measures on which systems are tested against each other."""

SHOWN = (
    "ccc_lips", "ccc_jaw", "ccc_cheeks", "error_lips", "error_jaw", "error_cheeks", "speed_error_all", "aperture_r",
    "aperture_r_pooled", "viseme_uar", "emotion_uar",
)  # fmt: skip
"""Measures of the printed table."""

MEASURE_NAMES = {
    f"{measure}_{region}": f"{name}, {region}"
    for measure, name in (("ccc", "CCC"), ("error", "error"), ("speed_error", "velocity error"))
    for region in REGIONS
} | {
    "speed_error_all": "velocity error", "aperture_r": "lip aperture r", "aperture_r_pooled": "lip aperture r, pooled",
    "viseme_uar": "viseme UAR", "emotion_uar": "emotion UAR",
}  # fmt: skip
"""The measures as people read them."""

_MOMENTS = 6
"""Per coordinate: 1, true, predicted, their squares, their product; see `metrics.moments`."""


@dataclass(frozen=True)
class ClipSums:
    """The layout of the sums of a clip, one flat array, and the measures made of it."""

    visemes: Sequence[str]
    emotions: Sequence[str]

    def of_clip(
        self,
        truth: Floats,
        predicted: Floats,
        fps: float,
        visemes: tuple[Sequence[str | None], Sequence[str | None]],
        emotion: tuple[str | None, str | None],
    ) -> Floats:
        """Return the sums of a clip of movement (T, P, 2); truth is NaN in frames without a face, which do not count.

        Of visemes and emotion the true and predicted names are given, None where not known, or not predicted.
        """
        seen = np.asarray(np.isfinite(truth).all(axis=(1, 2)), np.bool_)
        actual, said = truth[seen], predicted[seen]
        wide, wide_said = (np.asarray(aperture(moved), np.float64) for moved in (actual, said))
        parts = [
            metrics.moments(actual.reshape(len(actual), -1), said.reshape(len(said), -1)).sum(axis=0),
            _distances(truth, predicted, seen, fps),
            metrics.moments(wide, wide_said).sum(axis=0),
            _pearson(wide, wide_said),
            _confusion(*visemes, self.visemes),
            _confusion([emotion[0]], [emotion[1]], self.emotions),
        ]
        return np.concatenate([part.ravel() for part in parts])

    def _part(self, sums: Floats, name: str) -> Floats:
        """Return one of the parts above out of sums (..., S), in its own shape (..., *shape)."""
        points, visemes, emotions = len(OROFACIAL_POINTS), len(self.visemes), len(self.emotions)
        shapes = {
            "moments": (points, 2, _MOMENTS),
            "distances": (len(REGIONS), 2),
            "aperture": (_MOMENTS,),
            "within": (2,),
            "viseme": (visemes, visemes),
            "emotion": (emotions, emotions),
        }
        ends = np.cumsum([0, *map(math.prod, shapes.values())])
        place = list(shapes).index(name)
        return sums[..., ends[place] : ends[place + 1]].reshape(*sums.shape[:-1], *shapes[name])

    def measures(self) -> dict[str, Statistic]:
        """Return every measure: from sums (..., S) to scores (...)."""
        found: dict[str, Statistic] = {f"ccc_{region}": partial(self._ccc, region=region) for region in REGIONS}
        for what, measure in enumerate(("error", "speed_error")):
            found |= {f"{measure}_{region}": partial(self._distance, region=region, what=what) for region in REGIONS}
        found |= {"aperture_r": self._within, "aperture_r_pooled": self._pooled}
        for part, classes in (("viseme", self.visemes), ("emotion", self.emotions)):
            if classes:
                found[f"{part}_uar"] = partial(self._uar, part=part)
        return found

    def _ccc(self, sums: Floats, region: str) -> Floats:
        """Return the concordance of a region's coordinates together.

        CCC = 2 sum_d cov_d / sum_d (var_true,d + var_pred,d + (mean_true,d - mean_pred,d)^2), over its coordinates d:
        each counts by how much it moves, where a mean of their CCC would let jitter of what hardly moves decide (after
        King, Chinchilli & Carrasco, "A repeated measures concordance correlation coefficient", Statistics in Medicine
        26, 2007, with the identity as its matrix).
        """
        moments = self._part(sums, "moments")[..., REGIONS[region], :, :].reshape(*sums.shape[:-1], -1, _MOMENTS)
        x, y, xx, yy, xy = (_divided(moments[..., place], moments[..., 0]) for place in range(1, _MOMENTS))
        covariance = (xy - x * y).sum(axis=-1)
        apart = (xx - x**2 + yy - y**2 + (x - y) ** 2).sum(axis=-1)
        return _divided(2 * covariance, apart)

    def _distance(self, sums: Floats, region: str, what: int) -> Floats:
        """Return the mean distance (0), or error of the velocity (1), of a region's points."""
        table = self._part(sums, "distances")[..., what]
        if region != "all":
            return _divided(table[..., list(OROFACIAL).index(region)], table[..., -1])
        shares = np.array([len(points) for points in OROFACIAL.values()]) / len(OROFACIAL_POINTS)
        return _divided((table[..., :-1] * shares).sum(axis=-1), table[..., -1])

    def _within(self, sums: Floats) -> Floats:
        """Return Pearson's r of the lip aperture within a clip, averaged over the clips."""
        within = self._part(sums, "within")
        return _divided(within[..., 0], within[..., 1])

    def _pooled(self, sums: Floats) -> Floats:
        """Return Pearson's r of the lip aperture over the frames of all clips together."""
        return metrics.number_scores(self._part(sums, "aperture"))["pearson"]

    def _uar(self, sums: Floats, part: str) -> Floats:
        matrices = self._part(sums, part)
        return np.where(matrices.sum(axis=(-2, -1)) > 0, metrics.overall_scores(matrices)["uar"], np.nan)


def _distances(truth: Floats, predicted: Floats, seen: NDArray[np.bool_], fps: float) -> Floats:
    """Return, region after region, the sums of distances and speed errors over frames, then how many of each.

    A velocity needs two frames with a face, one after the other.
    """
    apart = np.linalg.norm(predicted - truth, axis=-1)[seen]
    steps = seen[1:] & seen[:-1]
    speeds = np.linalg.norm(np.diff(predicted, axis=0) - np.diff(truth, axis=0), axis=-1)[steps] * fps
    sums = [values[:, REGIONS[name]].mean(axis=1).sum() for name in OROFACIAL for values in (apart, speeds)]
    return np.array([*sums, seen.sum(), steps.sum()], np.float64)


def _pearson(one: Floats, other: Floats) -> Floats:
    """Return the correlation of two series, and 1 for their number; zeros where one does not vary."""
    if len(one) < 2 or one.std() < 1e-9 or other.std() < 1e-9:
        return np.zeros(2)
    return np.array([np.corrcoef(one, other)[0, 1], 1.0])


def _confusion(truth: Sequence[str | None], said: Sequence[str | None], classes: Sequence[str]) -> Floats:
    """Count true and predicted classes, (classes, classes), where both are known."""
    known = [pair for pair in zip(truth, said, strict=True) if None not in pair]
    return metrics.confusion([str(true) for true, _ in known], [str(predicted) for _, predicted in known], classes)


def _divided(part: Floats, whole: Floats) -> Floats:
    """Divide, NaN where there is nothing to divide by."""
    known = np.abs(whole) > 0
    return np.asarray(np.where(known, part / np.where(known, whole, 1.0), np.nan), np.float64)
