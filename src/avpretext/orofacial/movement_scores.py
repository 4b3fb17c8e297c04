"""Scores of predicted movement of the lower face, visemes and emotions, all computed from sums over speakers.

Sums of frames and clips are kept per speaker and seed, so that intervals and tests resample speakers (see
`statistics`). Movement is in inter-ocular distances from the person's rest, x and y of each point.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from avpretext.evaluation import metrics
from avpretext.face.points import OROFACIAL
from avpretext.orofacial.lower_face import aperture

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]

REGIONS = ("all", *OROFACIAL)
"""All points, then those of each region."""

LESS_IS_BETTER = ("error", "speed_error")
"""How the measures begin of which less is better."""

_MOMENTS = 6
"""Per coordinate: 1, true, predicted, their squares, their product; see `metrics.moments`."""

_DISTANCES = 2 * len(OROFACIAL) + 2
"""Sums over the points of each region, divided by their number, of distances and of speed errors; frames, steps."""


@dataclass(frozen=True)
class ClipSums:
    """The layout of the sums of a clip, one flat array, and the measures made of it.

    Attributes
    ----------
    visemes, emotions
        Names of the classes.
    """

    visemes: Sequence[str]
    emotions: Sequence[str]

    @property
    def parts(self) -> dict[str, slice]:
        """Where in the array each part is."""
        points = sum(map(len, OROFACIAL.values()))
        sizes = {
            "moments": 2 * points * _MOMENTS,
            "distances": _DISTANCES,
            "aperture": _MOMENTS,
            "within": 2,
            "viseme": len(self.visemes) ** 2,
            "emotion": len(self.emotions) ** 2,
        }
        ends = np.cumsum([0, *sizes.values()]).tolist()
        return {name: slice(ends[place], ends[place + 1]) for place, name in enumerate(sizes)}

    def of_clip(
        self,
        truth: Floats,
        predicted: Floats,
        fps: float,
        visemes: tuple[Sequence[str | None], Sequence[str | None]],
        emotion: tuple[str | None, str | None],
    ) -> Floats:
        """Return the sums of a clip.

        Parameters
        ----------
        truth, predicted
            (T, P, 2); truth is NaN in frames without a face, which do not count.
        fps
            Frames per second.
        visemes, emotion
            True and predicted; None where not known, or not said.
        """
        seen = np.asarray(np.isfinite(truth).all(axis=(1, 2)), np.bool_)
        actual, said = truth[seen], predicted[seen]
        moments = metrics.moments(actual.reshape(len(actual), -1), said.reshape(len(said), -1)).sum(axis=0)
        wide, wide_said = (np.asarray(aperture(moved), np.float64) for moved in (actual, said))
        within = _pearson(wide, wide_said)
        return np.concatenate(
            [
                moments.ravel(),
                _distances(truth, predicted, seen, fps),
                metrics.moments(wide, wide_said).sum(axis=0),
                [0.0, 0.0] if within is None else [within, 1.0],
                _confusion(*visemes, self.visemes).ravel(),
                _confusion([emotion[0]], [emotion[1]], self.emotions).ravel(),
            ]
        )

    def measures(self) -> dict[str, Statistic]:
        """Return every measure: from sums (..., S) to scores (...)."""
        found: dict[str, Statistic] = {f"ccc_{region}": partial(self._ccc, region=region) for region in REGIONS}
        found |= {f"error_{region}": partial(self._distance, region=region, what=0) for region in REGIONS}
        found |= {f"speed_error_{region}": partial(self._distance, region=region, what=1) for region in REGIONS}
        found |= {"aperture_r": self._within, "aperture_r_pooled": self._pooled}
        if self.visemes:
            found["viseme_uar"] = partial(self._uar, part="viseme", classes=len(self.visemes))
        if self.emotions:
            found["emotion_uar"] = partial(self._uar, part="emotion", classes=len(self.emotions))
        return found

    def _part(self, sums: Floats, name: str) -> Floats:
        return sums[..., self.parts[name]]

    def _ccc(self, sums: Floats, region: str) -> Floats:
        """Return the concordance of a region's coordinates together.

        CCC = 2 sum_d cov_d / sum_d (var_true,d + var_pred,d + (mean_true,d - mean_pred,d)^2), over its coordinates d:
        each counts by how much it moves, where a mean of their CCC would let jitter of what hardly moves decide (after
        King, Chinchilli & Carrasco, "A repeated measures concordance correlation coefficient", Statistics in Medicine
        26, 2007, with the identity as its matrix).
        """
        moments = self._part(sums, "moments").reshape(*sums.shape[:-1], -1, _MOMENTS)[..., coordinates(region), :]
        frames = moments[..., 0]
        x, y, xx, yy, xy = (_divided(moments[..., place], frames) for place in range(1, _MOMENTS))
        covariance = (xy - x * y).sum(axis=-1)
        apart = (xx - x**2 + yy - y**2 + (x - y) ** 2).sum(axis=-1)
        return _divided(2 * covariance, apart)

    def _distance(self, sums: Floats, region: str, what: int) -> Floats:
        """Return the mean distance (0), or error of the velocity (1), of a region's points."""
        table = self._part(sums, "distances").reshape(*sums.shape[:-1], len(OROFACIAL) + 1, 2)
        count = table[..., -1, what]
        if region != "all":
            return _divided(table[..., list(OROFACIAL).index(region), what], count)
        shares = np.array([len(points) for points in OROFACIAL.values()]) / sum(map(len, OROFACIAL.values()))
        return _divided((table[..., :-1, what] * shares).sum(axis=-1), count)

    def _within(self, sums: Floats) -> Floats:
        """Return Pearson's r of the lip aperture within a clip, averaged over the clips."""
        within = self._part(sums, "within")
        return _divided(within[..., 0], within[..., 1])

    def _pooled(self, sums: Floats) -> Floats:
        """Return Pearson's r of the lip aperture over the frames of all clips together."""
        return metrics.number_scores(self._part(sums, "aperture"))["pearson"]

    def _uar(self, sums: Floats, part: str, classes: int) -> Floats:
        matrices = self._part(sums, part).reshape(*sums.shape[:-1], classes, classes)
        scores = metrics.overall_scores(matrices)["uar"]
        return np.where(matrices.sum(axis=(-2, -1)) > 0, scores, np.nan)


def coordinates(region: str) -> slice:
    """Return where the coordinates of a region are in a flattened movement.

    >>> coordinates("jaw")
    slice(80, 102, None)
    """
    if region == "all":
        return slice(None)
    first = 0
    for name, points in OROFACIAL.items():
        if name == region:
            return slice(2 * first, 2 * (first + len(points)))
        first += len(points)
    raise ValueError(f"{region!r}: none of {REGIONS}")


def less_is_better(measure: str) -> bool:
    """Tell whether a smaller value of a measure is better."""
    return measure.startswith(LESS_IS_BETTER)


def _distances(truth: Floats, predicted: Floats, seen: NDArray[np.bool_], fps: float) -> Floats:
    """Return, region after region, the sums of distances and speed errors over frames, then how many of each.

    A velocity needs two frames with a face, one after the other.
    """
    apart = np.linalg.norm(predicted - truth, axis=-1)[seen]
    steps = seen[1:] & seen[:-1]
    speeds = np.linalg.norm(np.diff(predicted, axis=0) - np.diff(truth, axis=0), axis=-1)[steps] * fps
    sums, first = [], 0
    for points in OROFACIAL.values():
        region = slice(first, first + len(points))
        sums += [apart[:, region].mean(axis=1).sum(), speeds[:, region].mean(axis=1).sum()]
        first = region.stop
    return np.array([*sums, seen.sum(), steps.sum()], np.float64)


def _pearson(one: Floats, other: Floats) -> float | None:
    """Return the correlation of two series, None where one does not vary."""
    if len(one) < 2 or one.std() < 1e-9 or other.std() < 1e-9:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _confusion(truth: Sequence[str | None], said: Sequence[str | None], classes: Sequence[str]) -> Floats:
    """Count true and predicted classes, (classes, classes), where both are known."""
    place: Mapping[str, int] = {name: number for number, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)))
    for true, predicted in zip(truth, said, strict=True):
        if true is not None and predicted is not None:
            counts[place[true]][place[predicted]] += 1
    return counts


def _divided(part: Floats, whole: Floats) -> Floats:
    """Divide, NaN where there is nothing to divide by."""
    known = np.abs(whole) > 0
    return np.asarray(np.where(known, part / np.where(known, whole, 1.0), np.nan), np.float64)
