"""Options of chunks, models, trainings and the baseline."""

from typing import Annotated, Literal

from pydantic import Field

from avpretext.options.base import Count, Options, Positive, Task


class ChunkOptions(Options):
    """The grid of chunks that labels and models share (dynamic chunking, Lin & Busso)."""

    method: Literal["exact", "published"] = Field(
        "exact", description="exact: reads every frame, any clip; published: the formula of Lin & Busso, flaws kept"
    )
    length_s: Positive = Field(1.0, description="length of a chunk, in seconds; at least 0.01")
    count: Count = Field(5, description="number of chunks, the same for every clip (C)")
    factor: Count = Field(1, description="chunks are this many times as many (n)")


class ModelOptions(Options):
    """What the speech model hears and how it is built."""

    channels: list[str] = Field(["*"], description="columns of `speech` that the model hears; * stands for anything")
    normalise: Literal["train", "speaker"] = Field(
        "train",
        description="mean and deviation of a channel: over the training set, or over the speaker's own clips"
        " (without their labels, test speakers too)",
    )
    encoder: Literal["blstm", "conv_gru", "conv", "lstm"] = Field(
        "blstm", description="encoder of the steps of a chunk; lstm: the published one"
    )
    aggregator: Literal["mean", "gated", "rnn_attention", "self_attention"] = Field(
        "mean", description="from chunk vectors to a clip vector"
    )
    step_frames: Count = Field(4, description="10 ms frames averaged into one step of the encoder; published: 1")
    width: int = Field(64, ge=2, multiple_of=2, description="size of a chunk vector; published: 130")
    layers: Count = Field(1, description="layers of the encoder; published: 2")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout in the encoder, 0..1; published: 0.5")
    head_dropout: float = Field(0.3, ge=0, lt=1, description="dropout in the heads of clips, 0..1; published: 0")


class LoopOptions(Options):
    """What both trainings share."""

    epochs: Count = Field(30, description="passes over the training clips, at most")
    patience: Count = Field(12, description="training stops after this many epochs without a better dev score")
    batch_size: Count = Field(32, description="clips per step")
    learning_rate: Positive = Field(0.003, description="of AdamW, at its highest; cosine decay over the epochs")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    averaging: float = Field(
        0.98,
        ge=0,
        lt=1,
        description="weights that are kept are a running mean over the steps with this decay; 0: the last",
    )
    mixup: float = Field(0.4, ge=0, description="augmentation: clips are mixed in pairs, by Beta(mixup, mixup); 0: not")
    time_mask: float = Field(0.4, ge=0, lt=1, description="augmentation: longest stretch of a chunk silenced, 0..1")
    noise: float = Field(0.2, ge=0, description="augmentation: noise on every value, in deviations")
    channel_dropout: float = Field(0.1, ge=0, lt=1, description="augmentation: share of channels silenced, 0..1")
    device: Literal["cpu", "cuda", "auto"] = Field("cpu", description="auto: a GPU where there is one")
    threads: Count = Field(1, description="CPU threads of a job; results are the same bytes for the same number")


class PretrainOptions(LoopOptions):
    """Pre-training on the pretext tasks."""

    task_sets: list[list[Task]] | Literal["all"] = Field("all", description="sets of tasks; all: every subset")
    task_weights: dict[Task, Annotated[float, Field(ge=0)]] = Field(
        {"energy": 1.0, "activation": 1.0, "emotion": 1.0}, description="weight of each task in the loss"
    )
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
        ],
        description="columns of `speech` set to zero in the input, for they carry the energy that task 1 asks for",
    )
    hidden_from: list[Task] = Field(
        ["energy"],
        description="the tasks that are asked without the hidden columns; in a set with others, each clip comes twice",
    )
    keep: Literal["last", "best"] = Field(
        "last", description="weights kept: of the last of all epochs, or of that with the least dev loss (see patience)"
    )
    confidence: bool = Field(
        False, description="true: each pseudo-label counts by its confidence; false: all alike, as more are learnt from"
    )
    dev_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="share of the speakers held out to measure what is learnt, 0..1; at least one"
    )


class FinetuneOptions(LoopOptions):
    """Fine-tuning for speech emotion recognition."""

    seeds: Count = Field(3, description="runs per fold")
    body_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        0.3,
        description="a pre-trained encoder learns at this share of learning_rate, 0..1; at all of it if channels were"
        " hidden from each of its tasks; the head at all",
    )
    class_balance: bool = Field(True, description="true: every class weighs the same in the loss")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of the target spread over all classes, 0..1")


class FunctionalOptions(Options):
    """openSMILE functionals, one vector per clip, for the baseline."""

    feature_set: Literal["ComParE_2016", "eGeMAPSv02"] = Field("ComParE_2016", description="openSMILE feature set")


class BaselineOptions(Options):
    """What the tables compare with: a linear support vector machine on functionals."""

    normalise: list[Literal["train", "speaker"]] = Field(
        ["train"], description="one baseline for each: by the training set, by the speaker's own clips; []: none"
    )
    costs: list[Positive] = Field(
        [1e-5, 1e-4, 1e-3, 1e-2], description="values of C tried; UAR on the dev clips chooses", min_length=1
    )
    class_balance: bool = Field(True, description="true: every class weighs the same in the loss")
