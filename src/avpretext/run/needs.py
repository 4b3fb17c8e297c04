"""Memory that jobs request, in MB, where it grows with what they read; benchmarks/size.md has what they held."""

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
