"""Options of chunks, models, trainings and the baseline."""

import itertools
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from avpretext.options.base import Aggregator, Count, Encoder, Fraction, Location, Loss, Options, Place, Positive
from avpretext.options.pretrained_encoders import TuningOptions
from avpretext.systems import BEST, DISCRIMINANT, Kernel, Learner, Machine, Normalisation

LONGEST_CHUNKS_S = 3600.0
"""All chunks of a clip together: 190 MB of openSMILE's descriptors."""

TrackingTool = Literal["tensorboard", "mlflow", "wandb"]
"""What shows the curves of trainings."""

Speeds = list[Annotated[float, Field(ge=0.5, le=2)]]


class ChunkOptions(Options):
    """Chunks of labels and models (dynamic chunking, Lin & Busso)."""

    method: Literal["exact", "published"] = Field(
        "exact",
        description="exact: reads every frame of any clip; published: the formula of Lin & Busso with its flaws",
    )
    length_s: Positive = Field(1.0, le=600, description="length of a chunk, in seconds; at least 0.01")
    count: Count = Field(5, le=1000, description="number of chunks, the same for every clip (C)")
    factor: Count = Field(1, le=100, description="multiplies the number of chunks (n)")

    @model_validator(mode="after")
    def _chunks_fit_into_memory(self) -> Self:
        whole_s = self.length_s * self.count * self.factor
        if whole_s > LONGEST_CHUNKS_S:
            raise ValueError(f"the chunks of a clip last {whole_s:g} s together; the maximum is {LONGEST_CHUNKS_S:g} s")
        return self


class ModelOptions(Options):
    """Input and architecture of the speech model."""

    features: list[str] = Field(
        ["speech"],
        description="input features: speech, log_mel, names from `features` of the corpora; or one of `encoders`",
        min_length=1,
    )
    channels: list[str] = Field(["*"], description="input columns; * matches anything")
    normalise: Literal["train", "speaker"] = Field(
        "train",
        description="mean and deviation of a channel: over the training set, or over the speaker's own clips"
        " (without labels, test speakers too)",
    )
    whole_corpora: list[str] = Field(
        [],
        description="normalise: speaker: corpora normalised as if they were one speaker; for corpora whose speakers"
        " have one label each, because the speaker's mean would remove the label",
        exclude_if=lambda names: not names,
    )
    encoder: Encoder = Field(
        "blstm",
        description="encoder of the steps of a chunk; lstm: the published one; my_package.module:NAME: your own"
        " class; pooled features of `encoders` use layers only",
    )
    aggregator: Aggregator = Field(
        "mean", description="combines chunk vectors to a clip vector; my_package.module:NAME: your own class"
    )
    step_frames: Count = Field(
        4, le=1000, description="10 ms frames averaged into one step of the encoder; published: 1"
    )
    width: int = Field(64, ge=2, le=8192, multiple_of=2, description="size of a chunk vector; published: 130")
    layers: Count = Field(1, le=64, description="layers of the encoder; published: 2")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout in the encoder, 0..1; published: 0.5")
    head_dropout: float = Field(0.3, ge=0, lt=1, description="dropout in the heads of clips, 0..1; published: 0")


class LoopOptions(Options):
    """What both trainings share."""

    epochs: Count = Field(30, description="maximum number of passes over the training clips")
    patience: Count = Field(12, description="training stops after this many epochs without a better dev score")
    batch_size: Count = Field(32, description="clips per step")
    learning_rate: Positive = Field(0.003, description="AdamW's highest learning rate; cosine decay over the epochs")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's weight decay")
    averaging: float = Field(
        0.98,
        ge=0,
        lt=1,
        description="decay of the running mean of the weights, which is saved; 0: the last weights are saved",
    )
    mixup: float = Field(0.4, ge=0, description="augmentation: clips are mixed in pairs, by Beta(mixup, mixup); 0: off")
    time_mask: float = Field(0.4, ge=0, lt=1, description="augmentation: longest stretch of a chunk silenced, 0..1")
    noise: float = Field(0.2, ge=0, description="augmentation: noise on every value, in deviations")
    channel_dropout: float = Field(0.1, ge=0, lt=1, description="augmentation: share of channels silenced, 0..1")
    device: Annotated[Literal["cpu", "cuda", "auto"], Place()] = Field("cpu", description="auto: a GPU if there is one")
    precision: Literal["float32", "mixed"] = Field("float32", description="mixed: bfloat16 where safe, on a GPU only")

    @property
    def stops_early(self) -> bool:
        """Whether a training can end before its last epoch."""
        return self.patience < self.epochs


class TunedLoopOptions(LoopOptions):
    """The same where a pre-trained encoder may learn too."""

    # Left out while frozen: results made before there was such an option stay good.
    encoder: TuningOptions = Field(TuningOptions(), exclude_if=lambda options: not options.tuned)


class ClusterOptions(Options):
    """The pretext task clusters: the k-means cluster of each chunk vector (DeepEmoCluster)."""

    count: int = Field(10, ge=2, description="clusters (k); published: 10 for arousal, 30 for dominance and valence")
    iterations: Count = Field(20, description="k-means iterations in each epoch")


class PretrainOptions(TunedLoopOptions):
    """Pre-training on the pretext tasks."""

    threads: Annotated[Count, Place()] = Field(
        1, description="parallel runs of a job, each on one CPU core; same bytes for any number"
    )
    seeds: Count | None = Field(
        None,
        description="pre-trainings per set of tasks; fine-tuning run i starts from pre-training i modulo this"
        " number; 1: intervals and tests do not cover the luck of pre-training; null: finetune.seeds, or 1 without"
        " fine-tuning",
    )
    task_sets: list[list[str]] | Literal["all"] = Field(
        "all", description="sets of tasks; all: every subset of energy, activation, emotion; and clusters alone"
    )
    task_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {"energy": 1.0, "activation": 1.0, "emotion": 1.0, "clusters": 1.0},
        description="weight of each task in the loss",
    )
    clusters: ClusterOptions = ClusterOptions()
    hidden_channels: list[str] = Field(
        [
            "energy",
            "loudness",
            "*RMSenergy*",
            "*lengthL1norm*",
            "*fftMag_fband*",
            "*spectralFlux*",
            "*spectralSlope*",
            "*spectralHarmonicity*",
            "Loudness*",
            "slope*",
            "mel[*",
        ],
        description="input columns set to zero for the tasks in hidden_from, because they reveal the energy",
    )
    hidden_from: list[str] = Field(
        ["energy"],
        description="tasks whose input has the hidden columns at zero; in a set with other tasks each clip is used"
        " twice",
    )
    keep: Literal["last", "best"] = Field(
        "last",
        description="weights of the last epoch, or of the epoch with the lowest dev loss (see patience); with"
        " clusters always last",
    )
    confidence: bool = Field(
        False, description="true: pseudo-labels are weighted by confidence; false: all have the same weight"
    )
    min_confidence: dict[str, Fraction] = Field(
        {"energy": 0.0, "activation": 0.0, "emotion": 0.0},
        description="pseudo-labels of lower confidence are not learnt, per task, 0..1; 0: all are learnt",
    )
    dev_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="share of speakers held out to measure the tasks, 0..1; at least one speaker"
    )

    def doubles(self, tasks: Sequence[str]) -> bool:
        """Return whether each clip comes twice for a set of tasks: channels are hidden from some of them only."""
        return 0 < sum(task in self.hidden_from for task in tasks) < len(tasks)


class PenaltyOptions(Options):
    """The co-occurrence penalty loss (Chou, Lee & Busso, Interspeech 2022): beta * base loss + alpha * penalty."""

    alpha: float = Field(1.0, ge=0, description="weight of the penalty")
    beta: float = Field(1.0, ge=0, description="weight of the base loss; published: 1, or 0 with alpha 1")
    sum: Literal["pair", "class"] = Field(
        "pair",
        description="pair, the intent: penalises emotions that raters seldom name together with the true one; class:"
        " the printed formula, one weight per class",
    )


class FinetuneOptions(TunedLoopOptions):
    """Fine-tuning for speech emotion recognition."""

    threads: Annotated[Count, Place()] = Field(
        1, description="parallel runs of a job, each on one CPU core; same bytes for any number"
    )
    checkpoints: Annotated[dict[str, str | list[str]], Location(nested=True)] = Field(
        {},
        description="your initialisations: name: checkpoint from `pretrain` or `avpretext convert`, or a list,"
        " one per pre-training",
    )
    loss: Loss = Field("base", description="base: loss of the kind of target; penalty: with the co-occurrence penalty")
    penalty: PenaltyOptions = PenaltyOptions()
    speeds: Speeds = Field(
        [], description="augmentation: copies of training clips at these speeds, e.g. [0.84, 0.92, 1.08, 1.2]"
    )
    seeds: Count = Field(4, description="runs per fold; a multiple of pretrain.seeds")
    body_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        0.3,
        description="share of learning_rate for a pre-trained encoder, 0..1; the head, and an encoder pre-trained"
        " with hidden columns only, use learning_rate itself",
    )
    class_balance: bool = Field(True, description="true: every class has the same weight in the loss")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of the target spread over all classes, 0..1")


class ExportOptions(Options):
    """Trained models: networks trained on all labelled clips, for `avpretext predict`."""

    initialisations: list[str] = Field(
        [BEST],
        description="initialisations: best (by dev scores), scratch, a set of tasks such as energy-emotion, a"
        " name in finetune.checkpoints; []: no model",
    )
    networks: Count = Field(
        3,
        description="networks per model; their probabilities are averaged, and they start from the pre-trainings"
        " in turn",
    )


class Variant(NamedTuple):
    """What, beside the initialisation, comparisons tell systems apart by.

    `upstream` is the upstream whose options it is trained with, `pretrained` the one whose pre-trainings it starts
    from; empty: those of the configuration itself.
    """

    loss: Loss
    aggregator: Aggregator
    upstream: str = ""
    pretrained: str = ""

    @property
    def name(self) -> str:
        """Its folder among the results, such as `base.mean`, `base.mean.wavlm`."""
        return ".".join(filter(None, (self.loss, self.aggregator, self.upstream)))

    @property
    def network(self) -> str:
        """The folder of its pre-trainings, such as `mean`, `mean.wavlm`."""
        return ".".join(filter(None, (self.aggregator, self.pretrained)))


Measure = Literal[
    "macro_precision", "macro_recall", "macro_f1", "uar", "war", "micro_f1", "hamming_accuracy", "kl_divergence", "ccc",
    "pearson", "rmse", "mae",
]  # fmt: skip
"""Measures over all classes or attributes, in the order of the tables."""


class AblationOptions(Options):
    """Factors of `snakemake ablation`: every combination, on the folds and seeds of fine-tuning."""

    initialisations: list[str] = Field([], description="scratch and sets of tasks, e.g. energy-emotion; []: all")
    losses: list[Loss] = Field(["base", "penalty"], description="losses of fine-tuning", min_length=1)
    aggregators: list[Aggregator] = Field(
        ["mean", "gated", "rnn_attention", "self_attention"], description="aggregators", min_length=1
    )
    targets: list[str] = Field([], description="targets of every corpus; []: those of the corpus")
    measure: Measure | None = Field(
        None,
        description="measure of the paired tests, also for `upstreams`; null: the main measure of the kind of target",
    )


class EnsembleOptions(Options):
    """Systems that predict together, by the mean of their probabilities, as rows of the tables."""

    members: list[Annotated[list[str], Field(min_length=1)]] = Field(
        [],
        description="ensembles, e.g. [[scratch, svm_statistics_rbf]]; members (and their seeds) have equal"
        " weight: initialisations, deepemocluster, svm_[statistics_][rbf_][speaker], lda_[statistics_][speaker]",
    )


class DeepEmoClusterOptions(Options):
    """DeepEmoCluster (Lin, Sridhar & Busso 2021), semi-supervised, on the mel spectrogram, beside fine-tuning."""

    variants: list[Literal["as_published", "head_trained"]] = Field(
        [], description="as_published: the label branch keeps its random weights; head_trained: it learns; []: none"
    )
    clusters: int = Field(10, ge=2, description="clusters (k)")
    iterations: Count = Field(20, description="k-means iterations in each epoch")
    epochs: Count = Field(50, description="passes over unlabelled and labelled clips")
    batch_size: Count = Field(64, description="clips per step")
    width: int = Field(32, ge=4, description="channels of the first convolution; the last has four times as many")
    step_frames: Count = Field(
        2, description="10 ms frames averaged into one step of the spectrogram; published: 16 ms"
    )
    seeds: Count = Field(1, description="runs per fold")
    device: Annotated[Literal["cpu", "cuda", "auto"], Place()] = Field("cpu", description="auto: a GPU if there is one")
    threads: Count = Field(1, description="CPU threads of a job; same bytes for the same number")


class LogMelOptions(Options):
    """Log-mel spectrogram, on the 10 ms frames of `speech`."""

    bands: int = Field(64, ge=8, le=256, description="mel bands; DeepEmoCluster: 128")
    window_s: Positive = Field(0.032, le=1, description="window, in seconds")
    low_hz: float = Field(50.0, ge=0, le=8000, description="lower end of the lowest band, in Hz")
    high_hz: Positive = Field(8000.0, le=8000, description="upper end of the highest band, in Hz")


class FunctionalOptions(Options):
    """openSMILE functionals, one vector per clip, for the baseline."""

    feature_set: Literal["ComParE_2016", "eGeMAPSv02"] = Field("ComParE_2016", description="openSMILE feature set")


class StatisticsOptions(Options):
    """Statistics over time of per-frame features, one vector per clip, for the baseline."""

    features: list[Literal["speech", "log_mel"]] = Field(
        ["speech", "log_mel"], description="per-frame features", min_length=1
    )
    step_frames: Count = Field(2, description="10 ms frames averaged into one step")


class BaselineOptions(Options):
    """Support vector machines and linear discriminants on one vector per clip; one for each combination of options."""

    vectors: list[str] = Field(
        ["functionals"],
        description="vectors of the stages functionals, statistics, or names in `encoders`",
        min_length=1,
    )
    kernels: list[Kernel] = Field(
        ["linear"],
        description="linear; rbf: exp(-|x - y|^2 / (2 D)) of vectors of length D, 8 bytes of memory for each pair"
        " of training clips",
        min_length=1,
    )
    normalise: list[Normalisation] = Field(
        ["train"], description="train: by the training set; speaker: by the speaker's own clips; []: no baseline"
    )
    speeds: Speeds = Field([], description="copies of training clips at these speeds, as in finetune")
    costs: dict[Kernel, Annotated[list[Positive], Field(min_length=1)]] = Field(
        {"linear": [1e-5, 1e-4, 1e-3, 1e-2], "rbf": [0.3, 1.0, 3.0, 10.0]},
        description="values of C per kernel; the best UAR on the dev clips is used",
    )
    discriminants: list[Count] = Field(
        [],
        description="linear discriminant analysis too, of this many principal components, e.g. [50, 100, 200]; the"
        " best UAR on the dev clips is used; []: none",
        exclude_if=lambda sizes: not sizes,
    )
    class_balance: bool = Field(True, description="true: every class has the same weight in the loss")

    def machines(self) -> list[Machine]:
        """Return every combination that is asked for."""
        learners: list[Learner] = list(self.kernels)
        if self.discriminants:
            learners.append(DISCRIMINANT)
        return [Machine(*parts) for parts in itertools.product(self.vectors, learners, self.normalise)]

    def tried(self, learner: Learner) -> list[float]:
        """Return what dev chooses from: values of C, or numbers of components."""
        return list(self.discriminants if learner == DISCRIMINANT else self.costs[learner])
