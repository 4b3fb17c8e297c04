"""How often action units (AUs) fire, alone and together, and what the emotion labels make of them.

The tables `action_units` and `au_combinations`. Both come of one pass over the shards; what is held does not grow with
the frames.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.flow.columns import ACTION_UNITS
from avpretext.labels.emotion import OUTCOMES, clip_intensities, intensities

Floats = NDArray[np.float64]

ACTIVE = 0.5
"""An action unit is active in a frame, or over a clip, from this intensity on; over a clip it is `clip_intensities`."""

COMBINATIONS = 15
"""So many of the most frequent combinations are listed for each corpus."""

ALL = "all"
"""Stands for the clips of a corpus, whatever their label."""

BINS = 1000
"""Quantiles are read off a histogram with this many steps from 0 to 1, so they are exact to half a step.

Intensities beyond 0..1, which a backend of the user's own may write, are counted at the ends.
"""


def _zeros() -> Floats:
    return np.zeros(len(ACTION_UNITS))


@dataclass
class Firing:
    """What is counted over clips: of each action unit, shape (20,), over the clips and frames where it is known."""

    clips: int = 0
    clips_known: Floats = field(default_factory=_zeros)
    clips_active: Floats = field(default_factory=_zeros)
    clip_intensity: Floats = field(default_factory=_zeros)
    total: Floats = field(default_factory=_zeros)
    frames_active: Floats = field(default_factory=_zeros)
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(ACTION_UNITS), BINS + 1), np.int64))

    def add(self, frames: Floats, clip: Floats) -> None:
        """Count a clip: its frames (F, 20), 0..1, NaN in gaps and throughout where an action unit is unknown.

        `clip` (20,) is the intensity over the clip by which its emotion is judged; NaN when not measured.
        """
        seen = np.isfinite(frames)
        self.clips += 1
        self.frames_active += (seen & (frames >= ACTIVE)).sum(axis=0)
        self.total += np.where(seen, frames, 0.0).sum(axis=0)
        # Without the limits, an intensity beyond them would count for the next action unit.
        bins = np.rint(frames[seen].clip(0, 1) * BINS).astype(np.int64) + (BINS + 1) * np.nonzero(seen)[1]
        self.histogram += np.bincount(bins, minlength=self.histogram.size).reshape(self.histogram.shape)
        measured = np.isfinite(clip)
        self.clips_known += measured
        self.clips_active += np.nan_to_num(clip) >= ACTIVE
        self.clip_intensity += np.where(measured, clip, 0.0)

    def rows(self) -> Rows:
        """Return a row for each action unit; None where it is nowhere known."""
        frames = self.histogram.sum(axis=1).astype(np.float64)
        numbers = {
            "active_frames": self.frames_active / np.where(frames, frames, np.nan),
            "active_clips": self.clips_active / np.where(self.clips_known, self.clips_known, np.nan),
            "mean": self.total / np.where(frames, frames, np.nan),
            "quantile_90": self.quantile(0.9),
            "clip_intensity": self.clip_intensity / np.where(self.clips_known, self.clips_known, np.nan),
        }
        return [
            {"action_unit": unit, "frames": int(frames[k]), "clips": self.clips}
            | {name: None if np.isnan(values[k]) else float(values[k]) for name, values in numbers.items()}
            for k, unit in enumerate(ACTION_UNITS)
        ]

    def quantile(self, share: float) -> Floats:
        """Return the intensity that this share of the frames does not exceed, shape (20,); NaN without frames."""
        below = self.histogram.cumsum(axis=1)
        frames = below[:, -1:]
        return np.where(frames[:, 0] > 0, (below >= share * frames).argmax(axis=1) / BINS, np.nan)


def action_unit_rows(run: OpenRun) -> tuple[Rows, Rows, dict[str, "Combinations"]]:
    """Count how action units fire in every corpus that has them: the rows of `action_units` and of `au_combinations`.

    The label `all` stands for all clips, another for an emotion, or why there is none. Besides, all combinations of
    each corpus.
    """
    single: Rows = []
    together: Rows = []
    of_corpus: dict[str, Combinations] = {}
    for corpus in run.config.with_clips():
        firing, sets = _count(run, corpus)
        of_corpus[corpus] = sets
        # All clips first, then the emotions by name, then the clips without label.
        for label in sorted(firing, key=lambda label: (0 if label == ALL else 1 + int(label in OUTCOMES), label)):
            single += [{"corpus": corpus, "label": label, **row} for row in firing[label].rows()]
        together += [{"corpus": corpus, **row} for row in combination_rows(sets)]
    return single, together, of_corpus


Combinations = dict[tuple[str, ...], Counter[str]]
"""Set of action units that are active over a clip, to how many clips of each label show just that set."""


def _count(run: OpenRun, corpus: str) -> tuple[dict[str, Firing], Combinations]:
    labels = run.labels(corpus, "emotion", ["clip_id", "label", "outcome"])
    given = {} if labels is None else {clip: label or outcome for clip, label, outcome in labels.iter_rows()}
    firing: dict[str, Firing] = defaultdict(Firing)
    sets: Combinations = defaultdict(Counter)
    for clip_id, rows in run.clips(corpus, "action_units", ACTION_UNITS):
        frames = intensities(rows)
        clip = clip_intensities(frames, run.config.labels.emotion)
        label = given.get(clip_id)
        for group in (ALL, label) if label else (ALL,):
            firing[group].add(frames, clip)
        if np.isfinite(clip).any():
            active = tuple(unit for unit, value in zip(ACTION_UNITS, clip, strict=True) if value >= ACTIVE)
            sets[active][label or "unlabelled"] += 1
    return firing, sets


def combination_rows(sets: Combinations) -> Rows:
    """Return the most frequent combinations: rank, action_units, clips, share of the measured clips, labels."""
    total = sum(labels.total() for labels in sets.values())
    ranked = sorted(sets.items(), key=lambda entry: (-entry[1].total(), entry[0]))[:COMBINATIONS]
    return [
        {"rank": rank, "action_units": "+".join(units) or "(none)", "clips": labels.total(),
         "share": labels.total() / total, "labels": "; ".join(f"{label} {clips}" for label, clips in _ranked(labels))}
        for rank, (units, labels) in enumerate(ranked, start=1)
    ]  # fmt: skip


def _ranked(labels: Counter[str]) -> list[tuple[str, int]]:
    return sorted(labels.items(), key=lambda entry: (-entry[1], entry[0]))
