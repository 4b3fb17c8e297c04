"""The one description of every option: type, default, unit, meaning; unknown keys are errors.

`config.yaml` at the top level shows each key with a comment; `workflow/schemas/config.schema.json` is generated from
here (`avpretext schema`), and a test keeps the three in step.
"""

import itertools
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

TASKS = ("energy", "activation", "emotion")
"""The pretext tasks, in the order in which sets of them are named."""

Task = Literal["energy", "activation", "emotion"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Options(BaseModel):
    """A group of options; a key that is not among them is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CorpusOptions(Options):
    """One corpus: where it lies, how it is read, what it is used for."""

    path: str = Field(description="folder of the corpus, as it was downloaded")
    reader: str = Field("folder", description="how names are read: crema_d, ravdess, grid or folder")
    use: list[Literal["pretrain", "finetune"]] = Field(
        description="pretrain: pseudo-labels are derived from it; finetune: its labels are learnt and tested"
    )
    video: bool = Field(True, description="false: audio only; landmarks and what needs them are left out")
    shards: Count = Field(1, description="number of pieces worked on in parallel; about one for 200 clips")
    target: str | None = Field(None, description="which label of the corpus is learnt, e.g. acted; null: its default")
    speakers: list[str] | None = Field(None, description="only these speakers; null: all")
    truth: str | None = Field(None, description="folder of known truth to score the stages against; demo only")
    synthetic: bool = Field(False, description="true: the report says on its first line that this is no real corpus")


class MediaOptions(Options):
    """How videos become audio and frames."""

    fps: Positive = Field(25.0, description="frames per second of the constant-rate grid, for every source")
    height: int = Field(480, ge=32, description="frames taller than this are scaled down to it, in pixels")
    jpeg_quality: int = Field(3, ge=1, le=31, description="ffmpeg's q:v for stored frames; 2 is best, 31 smallest")
    keep_frames: bool = Field(False, description="true: frame shards stay after landmarks are done")
    min_duration_s: float = Field(0.3, ge=0, description="shorter clips are refused, in seconds")
    max_duration_s: Positive = Field(600.0, description="longer clips are refused, in seconds")
    ffmpeg: str = Field(
        "bundled", description="bundled: the program of the imageio-ffmpeg wheel; else a path or a name"
    )


class RejectsOptions(Options):
    """When a run stops because of refused clips."""

    max_reject_fraction: Fraction = Field(0.2, description="the run stops when more of a corpus is refused, 0..1")


class ModelFileOptions(Options):
    """Where model files come from; SHA-256 is checked wherever."""

    folder: str | None = Field(None, description="folder that holds face_landmarker.task; null: download it")


class SpeechOptions(Options):
    """openSMILE low-level descriptors."""

    feature_set: Literal["ComParE_2016", "eGeMAPSv02"] = Field("ComParE_2016", description="openSMILE feature set")
    deltas: bool = Field(False, description="true: also the deltas (ComParE_2016 only)")


class LandmarkOptions(Options):
    """MediaPipe FaceLandmarker."""

    points: Literal["all", "dlib68"] = Field("all", description="all: 478 points; dlib68: 68 of them in dlib order")
    max_faces: Count = Field(
        2, description="faces looked for in a frame, of which one is followed; 1 is some 10 % faster"
    )
    min_confidence: Fraction = Field(0.5, description="detection and tracking confidence, 0..1")
    min_face_fraction: Fraction = Field(0.3, description="clips with a face in fewer of their frames are refused, 0..1")


class MotionOptions(Options):
    """Landmark speed with head motion removed."""

    smooth_s: float = Field(0.12, ge=0, description="landmarks are smoothed over this window, in seconds; 0: not")


class ActionUnitOptions(Options):
    """Action unit intensities, 0..1."""

    backend: Literal["blendshapes"] = Field("blendshapes", description="how action units are measured")
    calibration: Literal["speaker", "clip", "none"] = Field(
        "speaker",
        description="whose resting face counts as zero: the speaker's (else the clip's), the clip's, nobody's",
    )


class ThresholdOptions(Options):
    """How a measured value becomes high or low."""

    quantile: Fraction = Field(0.5, description="values above this quantile are high, 0..1")
    scope: Literal["corpus", "speaker", "clip"] = Field("corpus", description="over what the quantile is taken")
    dead_zone: Fraction = Field(0.0, description="share of values around the threshold left without label, 0..1")


class EnergyLabelOptions(ThresholdOptions):
    """Task 1: is the energy variation of a chunk high?"""

    measure: Literal["deviation", "mean"] = Field("deviation", description="of the frame energy in dB over the chunk")
    floor_db: float = Field(-60.0, le=0, description="frames count as at least this loud, in dB below full scale")


class ActivationLabelOptions(ThresholdOptions):
    """Task 2: is the face active in a chunk?"""

    region: Literal["face", "brows", "eyes", "mouth", "jaw"] = Field("face", description="whose motion counts")
    min_coverage: Fraction = Field(0.5, description="chunks with a face in fewer frames are not measured, 0..1")


class EmotionLabelOptions(Options):
    """Task 3: which emotion do the action units of a clip show?"""

    table: str | None = Field(None, description="YAML file of action units per emotion; null: the one that is shipped")
    upper_quantile: Fraction = Field(0.75, description="over the frames of a clip: how strong brows, eyes and nose are")
    mouth_quantile: Fraction = Field(0.5, description="the same for the mouth, which speech moves too")
    min_coverage: Fraction = Field(0.5, description="clips with a face in fewer frames are `unmeasured`, 0..1")
    neutral_below: Fraction = Field(0.3, description="clips without emotion are neutral if no AU is stronger, 0..1")
    min_score: Fraction = Field(0.15, description="clips whose best emotion scores lower are `none`, 0..1")
    min_margin: Fraction = Field(0.02, description="clips whose best two emotions are closer are `ambiguous`, 0..1")


class LabelOptions(Options):
    """The three sets of pseudo-labels."""

    energy: EnergyLabelOptions = EnergyLabelOptions()
    activation: ActivationLabelOptions = ActivationLabelOptions()
    emotion: EmotionLabelOptions = EmotionLabelOptions()


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

    protocol: Literal["speaker_kfold", "speakers"] = Field(
        "speaker_kfold", description="speaker_kfold: folds of speakers by seed; speakers: the lists in `test_speakers`"
    )
    folds: int = Field(4, ge=3, description="number of folds of speaker_kfold")
    test_speakers: list[list[str]] | None = Field(
        None, description="speakers: the test speakers of each fold, e.g. [[1, 11], [4, 10]]"
    )
    dev_speakers: Count = Field(2, description="speakers: this many of the other speakers, drawn by seed, are dev")
    seeds: Count = Field(3, description="runs per fold")
    body_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        0.3,
        description="a pre-trained encoder learns at this share of learning_rate, 0..1; at all of it if channels were"
        " hidden from each of its tasks; the head at all",
    )
    class_balance: bool = Field(True, description="true: every class weighs the same in the loss")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of the target spread over all classes, 0..1")


class EvaluateOptions(Options):
    """Metrics, intervals and tests."""

    bootstrap: Count = Field(2000, description="resamplings of the speakers for intervals")
    permutations: Count = Field(5000, description="sign flips for the paired test against scratch")
    level: Fraction = Field(0.95, description="level of the intervals, 0..1")


class DemoOptions(Options):
    """The synthetic demo corpus."""

    seed: int = Field(1, ge=0, description="seed of the demo corpus")
    labelled_speakers: int = Field(10, ge=1, le=13, description="speakers of the labelled part")
    clips_per_emotion: int = Field(3, ge=1, le=12, description="labelled clips per speaker and emotion")
    unlabelled_speakers: int = Field(13, ge=1, le=13, description="speakers of the unlabelled part, all others")
    clips_per_speaker: Count = Field(19, description="unlabelled clips per speaker")
    overlap: float = Field(0.7, ge=0, description="scatter of voices within an emotion; 0: none, larger: harder")
    coupling: Fraction = Field(0.6, description="correlation of vocal arousal and strength of the expression, 0..1")
    flicker: Fraction = Field(0.12, description="noise of action units over time, in units of intensity")
    emphasis_db: float = Field(2.5, ge=0, description="loudness that rises and falls with the face, in dB")
    fps: Positive = Field(25.0, description="frames per second of the clips")
    size: int = Field(256, ge=96, multiple_of=2, description="width and height of the clips, in pixels")


class Config(Options):
    """Everything in `config.yaml`."""

    results: str = Field("results", description="folder that the workflow writes")
    seed: int = Field(1, ge=0, description="seed of everything random")
    corpora: dict[str, CorpusOptions] = Field(description="name: corpus")
    models: ModelFileOptions = ModelFileOptions()
    split: MediaOptions = MediaOptions()
    rejects: RejectsOptions = RejectsOptions()
    speech: SpeechOptions = SpeechOptions()
    landmarks: LandmarkOptions = LandmarkOptions()
    motion: MotionOptions = MotionOptions()
    action_units: ActionUnitOptions = ActionUnitOptions()
    labels: LabelOptions = LabelOptions()
    chunks: ChunkOptions = ChunkOptions()
    model: ModelOptions = ModelOptions()
    pretrain: PretrainOptions = PretrainOptions()
    finetune: FinetuneOptions = FinetuneOptions()
    evaluate: EvaluateOptions = EvaluateOptions()
    demo: DemoOptions = DemoOptions()

    @model_validator(mode="after")
    def _corpora_are_named_and_used(self) -> Self:
        if not self.corpora:
            raise ValueError("corpora: at least one corpus is needed; see the README, 'Your own corpus'")
        for name in self.corpora:
            if not name.replace("_", "").replace("-", "").isalnum() or name in RESERVED_NAMES:
                raise ValueError(f"corpora.{name}: a name has letters, digits, - and _ and is none of {RESERVED_NAMES}")
        return self

    @model_validator(mode="after")
    def _chosen_tasks_can_be_measured(self) -> Self:
        if self.pretrain.task_sets != "all" and self.used_for("pretrain"):
            for task in sorted({task for chosen in self.pretrain.task_sets for task in chosen}):
                if task not in self.available_tasks():
                    raise ValueError(f"pretrain.task_sets: {task} needs a corpus with `use: [pretrain]` and video")
        return self

    def used_for(self, use: str) -> list[str]:
        """Return the names of the corpora used for `pretrain` or `finetune`."""
        return [name for name, corpus in self.corpora.items() if use in corpus.use]

    def with_video(self) -> list[str]:
        """Return the names of the corpora whose faces are looked at."""
        return [name for name in self.used_for("pretrain") if self.corpora[name].video]

    def heard_in_pretraining(self) -> list[str]:
        """Return the fine-tuned corpora whose speech, without its labels, pre-training hears too."""

        def share(one: CorpusOptions, other: CorpusOptions) -> bool:
            apart = one.speakers and other.speakers and not set(one.speakers) & set(other.speakers)
            return one.path == other.path and not apart

        sources = [self.corpora[name] for name in self.used_for("pretrain")]
        return [name for name in self.used_for("finetune") if any(share(self.corpora[name], one) for one in sources)]

    def tasks_of(self, corpus: str) -> list[str]:
        """Return the pretext tasks that a corpus allows: without video, energy alone."""
        if corpus not in self.used_for("pretrain"):
            return []
        return list(TASKS) if corpus in self.with_video() else ["energy"]

    def available_tasks(self) -> list[str]:
        """Return the pretext tasks that any of the pre-training corpora allows."""
        allowed = {task for name in self.corpora for task in self.tasks_of(name)}
        return [task for task in TASKS if task in allowed]

    def task_sets(self) -> list[str]:
        """Return the names of the sets of tasks to pre-train on, such as `energy-emotion`, small sets first."""
        available = self.available_tasks()
        if self.pretrain.task_sets == "all":
            sets: list[tuple[str, ...]] = [
                chosen for size in range(1, len(available) + 1) for chosen in itertools.combinations(available, size)
            ]
        else:
            sets = [tuple(task for task in TASKS if task in chosen) for chosen in self.pretrain.task_sets]
        return ["-".join(chosen) for chosen in sets if chosen and set(chosen) <= set(available)]

    def initialisations(self) -> list[str]:
        """Return what fine-tuning starts from: `scratch`, then each set of tasks."""
        return ["scratch", *self.task_sets()]


RESERVED_NAMES = ("models", "pretrain", "tables", "logs", "benchmarks", "report", "config")
"""Folders of the results that no corpus may be named after."""
