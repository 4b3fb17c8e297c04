"""How long jobs take of which nothing like them was run before: by rates measured elsewhere (benchmarks/rates.md)."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean

import av

from avpretext.config import ChunkOptions, Config, CorpusOptions, ModelOptions
from avpretext.corpora.scan import ClipFile
from avpretext.flow.paths import original_of
from avpretext.media.container import opened

START_S = 2.0
"""Of a job of any stage: to start Python and load the package."""

TRAINING_START_S = 5.0
"""Of a training: to load PyTorch or scikit-learn too."""

MEDIA_S = {
    "segment": 0.06, "watch": 0.27, "split": 0.02, "split_audio": 0.02, "speed": 0.02, "degrade": 0.03,
    "speech": 0.02, "log_mel": 0.01, "functionals": 0.02, "statistics": 0.01,
    "motion": 0.005, "neutral": 0.002, "action_units": 0.01,
    "labels_energy": 0.001, "labels_activation": 0.001, "labels_emotion": 0.002,
}  # fmt: skip
"""Processor seconds for each second of recordings that a job reads; of pictures of 256 x 256 pixels."""

EPOCH_S = {"pretrain": 0.0012, "finetune": 0.0004}
"""Processor seconds of the default network for each clip, in each epoch of each run, as benchmarks/rates.md has them.

Twice as much where each clip comes twice; the epochs of `finetune` are those allowed, of which it runs about half.
"""

BASELINE_S = 0.004
"""Processor seconds of a linear support vector machine for each clip, in each fold and at each cost."""

FEW = {"index", "targets", "folds", "rejects", "evaluate", "trust", "overall", "card", "manifest", "tables", "report",
       "models"}  # fmt: skip
"""Stages that take some seconds, whatever the corpus."""

SAMPLE = 12
"""Files of a corpus that are opened to know how long its recordings are on average."""

FOLDS = 5
"""Of protocols where the clips decide how many there are."""


class Expected:
    """The expected times of jobs; `files_of` returns the clips of a corpus, as a scan finds them."""

    def __init__(self, config: Config, files_of: Callable[[str], Sequence[ClipFile]]) -> None:
        self._config, self._files_of = config, files_of
        self._media_of = functools.cache(self._media_s)

    def seconds(self, rule: str, wildcards: Mapping[str, str]) -> float | None:
        """Return the processor seconds of a job; None where no rate is known for its rule or its options."""
        corpus = original_of(wildcards.get("corpus", ""))
        if rule in FEW:
            return START_S
        if rule == "action_units" and self._config.action_units.backend == "pyfeat":
            return None
        if rule in MEDIA_S:
            media_s = self._media_of(self._config.clips_of(corpus))
            jobs = self._config.corpora[corpus].shards if "shard" in wildcards else 1
            return None if media_s is None else START_S + MEDIA_S[rule] * media_s / jobs
        training_s = self._training_s(rule, corpus, wildcards.get("tasks", "").split("-"))
        return None if training_s is None else TRAINING_START_S + training_s

    def _training_s(self, rule: str, corpus: str, tasks: Sequence[str]) -> float | None:
        """Return the same of a training; recordings that are yet to be cut have no number of clips."""
        config = self._config
        read = config.heard_for_pretraining() if rule == "pretrain" else config.learnt_from(corpus) if corpus else []
        if any(config.corpora[config.clips_of(name)].segment for name in read):
            return None
        default = config.model == ModelOptions() and config.chunks == ChunkOptions()
        if rule == "pretrain" and default:
            clips = self._clips(config.heard_for_pretraining()) * (2 if config.pretrain.doubles(tasks) else 1)
            return EPOCH_S[rule] * clips * config.pretrain.epochs * config.pretrainings
        if rule in ("finetune", "export") and default:
            folds = folds_of(config.corpora[corpus]) if rule == "finetune" else 1
            clips = self._clips(config.learnt_from(corpus), config.finetune.speeds)
            return EPOCH_S["finetune"] * clips * folds * config.finetune.epochs * config.finetune.seeds
        machines = config.baseline.machines()
        if rule == "baseline" and all(machine.learner == "linear" for machine in machines):
            clips = self._clips(config.learnt_from(corpus), config.baseline.speeds)
            tried = len(machines) * len(config.baseline.tried("linear"))
            return BASELINE_S * clips * folds_of(config.corpora[corpus]) * tried
        return None

    def _clips(self, corpora: Iterable[str], speeds: Iterable[float] = ()) -> int:
        """Return the number of clips of corpora, with their copies at other speeds."""
        own = sum(len(self._files_of(self._config.clips_of(name))) for name in corpora)
        return own * (1 + len(set(speeds) - {1}))

    def _media_s(self, corpus: str) -> float | None:
        """Return the length of all recordings of a corpus, from those of a few files; None if none can be opened."""
        files = self._files_of(corpus)
        chosen = files[:: max(1, len(files) // SAMPLE)]
        root = Path(self._config.corpora[corpus].path)
        lengths = [length for file in chosen if file.clip and (length := _length_s(root, file)) is not None]
        return mean(lengths) * len(files) if lengths else None


def folds_of(options: CorpusOptions) -> int:
    """Return the number of folds of a corpus, as far as its options tell it; else `FOLDS`."""
    protocol = options.protocol
    if protocol.name == "speaker_kfold":
        return protocol.folds
    if protocol.name == "speakers":
        return len(protocol.test_speakers or [])
    return 1 if protocol.name in ("cross_corpus", "partitions") else FOLDS


def _length_s(root: Path, file: ClipFile) -> float | None:
    """Return the length of a clip: as its table has it, or as the header of its file declares it."""
    clip = file.clip
    if clip is not None and clip.end_s is not None:
        return clip.end_s - (clip.start_s or 0)
    try:
        with opened(root / file.path) as container:
            return container.duration / av.time_base if container.duration else None
    except (av.FFmpegError, OSError, ValueError):
        return None
