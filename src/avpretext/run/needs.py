"""Memory and time that jobs request, where they grow with what is read; benchmarks/size.md has what they took."""

import math
from typing import NamedTuple


class Memory(NamedTuple):
    """What a job holds whatever it reads, for each further run at a time, and for each MB of what it reads."""

    base_mb: float
    run_mb: float = 0.0
    per_mb: float = 0.0

    def of(self, input_mb: float, runs: int = 1) -> float:
        """Return what is requested by a job that reads so much and has so many runs at a time."""
        return self.base_mb + self.run_mb * (runs - 1) + self.per_mb * input_mb


PRETRAIN = Memory(1000, 500, 0.02)
"""Networks on features. What they read lies on disk; in memory are names and a batch."""

FINETUNE = Memory(1000, 500, 0.12)
"""The same; labels, folds and predictions of each clip beside."""

DEEPEMOCLUSTER = Memory(3000, 0, 0.05)
"""The activations of a batch, of `deepemocluster.batch_size` clips: these are for the defaults."""

BASELINE = Memory(1000, 0, 6)
"""Support vector machines: the solver of linear ones holds its training clips, in 16 bytes a value."""

PAIR_MB = 16e-6
"""Of a machine with a Gaussian kernel, for each pair of clips."""

FOLDS = Memory(1000, 0, 0.5)
"""The fingerprints of all clips, and of a part of them the words that they share; most of what it reads is sound."""

SCORES = Memory(1000, 0, 40)
"""Of `evaluate` and `trust`: the predictions of a setting as a table, 15 to 35 times the size of their files."""

DAY_MIN = 1440
"""Minutes that a training may run, whatever it reads."""

LAYOUT_S = 0.027
"""Of a `pretrain` before its first epoch, for each MB that it reads: processor seconds of the default network."""

EPOCH_S = 0.02
"""The same of an epoch; twice as much where each clip comes twice."""


def pretrain_minutes(input_mb: float, epochs: int, runs: int, twice: bool) -> int:
    """Return the runtime of a `pretrain` in minutes: twice that measured, at least `DAY_MIN`.

    A job that is killed goes on from its last epoch, so that a short request loses little.

    Parameters
    ----------
    input_mb
        What it reads.
    epochs, runs
        Epochs of a run, and runs one after another.
    twice
        Whether each clip comes twice: channels are hidden from some of the tasks.
    """
    seconds = input_mb * (LAYOUT_S + EPOCH_S * (1 + twice) * epochs * runs)
    return max(DAY_MIN, math.ceil(2 * seconds / 60))
