"""The one description of every option: type, default, unit, meaning; unknown keys are errors.

`config.yaml` at the top level shows each key with a comment; `workflow/schemas/config.schema.json` is generated from
here (`avpretext schema`), and a test keeps the three in step. Groups of options are in `options`; they may be imported
from here.
"""

import itertools
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, create_model, model_validator

from avpretext.errors import nearest
from avpretext.flow.artefacts import STAGES
from avpretext.flow.tasks import (
    CHUNK_TASKS,
    LABELLED,
    TASKS,
    ActivationLabelOptions,
    EmotionLabelOptions,
    EnergyLabelOptions,
    ThresholdOptions,
)
from avpretext.options.base import Count, Fraction, Location, Options, Place, Positive
from avpretext.options.conditions import ConditionName
from avpretext.options.corpora import CorpusOptions, ProtocolOptions, with_clips_of_others
from avpretext.options.media import (
    ActionUnitOptions,
    LandmarkOptions,
    MediaOptions,
    ModelFileOptions,
    MotionOptions,
    RejectsOptions,
    SegmentOptions,
    SpeechOptions,
)
from avpretext.options.orofacial import OrofacialOptions
from avpretext.options.phones import PhoneOptions
from avpretext.options.pretrained_encoders import EncoderOptions
from avpretext.options.pyfeat import PyFeatOptions
from avpretext.options.training import (
    AblationOptions,
    BaselineOptions,
    ChunkOptions,
    ClusterOptions,
    DeepEmoClusterOptions,
    EnsembleOptions,
    ExportOptions,
    FinetuneOptions,
    FunctionalOptions,
    LogMelOptions,
    LoopOptions,
    ModelOptions,
    PenaltyOptions,
    PretrainOptions,
    StatisticsOptions,
    TrackingTool,
    Variant,
)
from avpretext.options.upstreams import GROUPS, UpstreamOptions, changed
from avpretext.systems import BEST, SCRATCH, VECTORS, stands_beside

LAYERS = "layers"
"""The encoder of models that hear pooled features of a pre-trained encoder."""

TAKEN = ("speech", "log_mel", "rbf", "speaker", "svm", "lda")
"""Names that no encoder may have, as features and systems have them."""


class EvaluateOptions(Options):
    """Metrics, intervals and tests."""

    bootstrap: Count = Field(2000, description="resamplings of the speakers for intervals and tests")
    permutations: Count = Field(5000, description="exchanges for the tests of orofacial systems and of sexes")
    level: Fraction = Field(0.95, description="level of the intervals, 0..1")
    # Left out while empty: results made before there was such an option stay good.
    conditions: list[ConditionName] = Field(
        [],
        description="conditions in which test clips are also scored: noise10 (pink, SNR in dB), telephone,"
        " mp3_32 and opus_12 (kbit/s), room600 (RT60 in ms); e.g. [noise20, noise10, noise0, telephone]",
        exclude_if=lambda conditions: not conditions,
    )


class ReportOptions(Options):
    """The HTML report."""

    pictures: bool = Field(True, description="false: no pictures of people")
    explorer_clips: int = Field(
        600, ge=0, description="maximum number of clips in the report's explorer; 0: no explorer"
    )
    compare_action_units: Annotated[str | None, Location(watched=True)] = Field(
        None, description="results folder of a run on the same clips by another backend, to compare with; null: none"
    )


if TYPE_CHECKING:

    class LabelOptions(Options):
        """The options of each task with pseudo-labels, by its name."""

        def __getattr__(self, task: str) -> Any: ...

else:
    LabelOptions = create_model(
        "LabelOptions",
        __base__=Options,
        __doc__="The sets of pseudo-labels, one for each task.",
        **{name: (task.options, task.options()) for name, task in LABELLED.items()},
    )


class DemoOptions(Options):
    """The synthetic demo corpus."""

    seed: int = Field(1, ge=0, description="seed of the demo corpus")
    labelled_speakers: int = Field(10, ge=1, le=13, description="speakers of the labelled part")
    clips_per_emotion: int = Field(3, ge=1, le=12, description="labelled clips per speaker and emotion")
    unlabelled_speakers: int = Field(13, ge=1, le=13, description="speakers of the unlabelled part, other people")
    clips_per_speaker: Count = Field(19, description="unlabelled clips per speaker")
    overlap: float = Field(0.7, ge=0, description="scatter of voices within an emotion; 0: none, larger: harder")
    coupling: Fraction = Field(0.6, description="correlation of vocal arousal and strength of the expression, 0..1")
    flicker: Fraction = Field(0.12, description="noise of action units over time, in units of intensity")
    emphasis_db: float = Field(2.5, ge=0, description="loudness that rises and falls with the face, in dB")
    fps: Positive = Field(25.0, description="frames per second of the clips")
    size: int = Field(256, ge=96, multiple_of=2, description="width and height of the clips, in pixels")


class Config(Options):
    """Everything in `config.yaml`."""

    results: Annotated[str, Location()] = Field("results", description="folder that the workflow writes")
    seed: int = Field(1, ge=0, description="seed of everything random")
    # Left out while empty: results made before there was such an option stay good.
    tracking: Annotated[list[TrackingTool], Place()] = Field(
        [],
        description="experiment trackers that get the curves of pre-training and fine-tuning while these train, below"
        " `results`/tracking: tensorboard, mlflow, wandb (offline)",
        exclude_if=lambda tools: not tools,
    )
    container: Annotated[str | None, Place()] = Field(
        None,
        description="image that jobs run in under `--sdm apptainer`: a file, or an address such as docker://...; null:"
        " none",
        exclude_if=lambda container: container is None,
    )
    corpora: dict[str, CorpusOptions] = Field(description="name: corpus")
    models: ModelFileOptions = ModelFileOptions()
    segment: SegmentOptions = SegmentOptions()
    split: MediaOptions = MediaOptions()
    rejects: RejectsOptions = RejectsOptions()
    speech: SpeechOptions = SpeechOptions()
    log_mel: LogMelOptions = LogMelOptions()
    encoders: dict[str, EncoderOptions] = Field(
        {}, description="name: pre-trained speech encoder, for model.features and baseline.vectors"
    )
    phones: PhoneOptions = PhoneOptions()
    landmarks: LandmarkOptions = LandmarkOptions()
    motion: MotionOptions = MotionOptions()
    action_units: ActionUnitOptions = ActionUnitOptions()
    labels: LabelOptions = LabelOptions()
    chunks: ChunkOptions = ChunkOptions()
    model: ModelOptions = ModelOptions()
    pretrain: PretrainOptions = PretrainOptions()
    finetune: FinetuneOptions = FinetuneOptions()
    export: ExportOptions = ExportOptions()
    ablation: AblationOptions = AblationOptions()
    upstreams: dict[str, UpstreamOptions] = Field(
        {},
        description="name: what `snakemake upstreams` compares, the reference first; {}: speech, each pooled encoder",
    )
    deepemocluster: DeepEmoClusterOptions = DeepEmoClusterOptions()
    functionals: FunctionalOptions = FunctionalOptions()
    statistics: StatisticsOptions = StatisticsOptions()
    ensemble: EnsembleOptions = EnsembleOptions()
    baseline: BaselineOptions = BaselineOptions()
    orofacial: OrofacialOptions = OrofacialOptions()
    evaluate: EvaluateOptions = EvaluateOptions()
    report: ReportOptions = ReportOptions()
    demo: DemoOptions = DemoOptions()

    @model_validator(mode="before")
    @classmethod
    def _clips_may_be_tested_again(cls, content: Any) -> Any:
        corpora = content.get("corpora") if isinstance(content, dict) else None
        return {**content, "corpora": with_clips_of_others(corpora)} if isinstance(corpora, dict) else content

    @model_validator(mode="after")
    def _corpora_are_named_and_used(self) -> Self:
        if not self.corpora:
            raise ValueError("corpora: at least one corpus is needed; see the README, 'Your own corpus'")
        for name in self.corpora:
            if not _is_plain(name) or name in RESERVED_NAMES:
                raise ValueError(
                    f"corpora.{name}: a name has letters, digits, - and _, starts with no -, and is none of"
                    f" {RESERVED_NAMES}"
                )
        return self

    @model_validator(mode="after")
    def _silent_recordings_are_cut_by_windows(self) -> Self:
        for name, corpus in self.corpora.items():
            if not corpus.audio and corpus.segment and self.segment.by == "speech":
                raise ValueError(
                    f"corpora.{name}.audio: false: segment.by: speech cuts where someone speaks: set segment.by:"
                    " windows, or audio: true if it has sound"
                )
        return self

    @model_validator(mode="after")
    def _pretraining_has_speech(self) -> Self:
        silent = [name for name in self.used_for("pretrain") if not self.corpora[name].audio]
        every_set = self.pretrain.task_sets == "all"
        wanted = bool(self.used_for("finetune")) if every_set else bool(self.pretrain.task_sets)
        if silent and wanted and not self.heard_for_pretraining():
            raise ValueError(
                f"pre-training learns from speech, and no corpus of `use: [pretrain]` has sound"
                f" (corpora.{silent[0]}.audio: false): add one with sound, or set pretrain.task_sets: [], which makes"
                " labels and trains nothing on them"
            )
        return self

    @model_validator(mode="after")
    def _tasks_are_known(self) -> Self:
        chosen = [] if self.pretrain.task_sets == "all" else list(itertools.chain(*self.pretrain.task_sets))
        named = {
            "task_sets": chosen,
            "task_weights": self.pretrain.task_weights,
            "hidden_from": self.pretrain.hidden_from,
        }
        for key, tasks in named.items():
            for task in tasks:
                _check_known(f"pretrain.{key}", task, TASKS)
        for task in self.pretrain.min_confidence:
            _check_known("pretrain.min_confidence", task, LABELLED, ", whose labels have a confidence")
        return self

    @model_validator(mode="after")
    def _chosen_tasks_can_be_measured(self) -> Self:
        if self.pretrain.task_sets != "all" and self.used_for("pretrain"):
            for task in sorted({task for chosen in self.pretrain.task_sets for task in chosen}):
                if task not in self.available_tasks():
                    raise ValueError(
                        f"pretrain.task_sets: {task} needs a corpus with `use: [pretrain]`, video and sound"
                    )
        return self

    @model_validator(mode="after")
    def _own_checkpoints_are_named(self) -> Self:
        for name in self.finetune.checkpoints:
            taken = name in (SCRATCH, BEST, *self.task_sets()) or stands_beside(name)
            if not name.replace("_", "").isalnum() or taken:
                raise ValueError(
                    f"finetune.checkpoints: {name!r}: a name has letters, digits and _ and is not that of another"
                    " system"
                )
        return self

    @model_validator(mode="after")
    def _machines_have_costs(self) -> Self:
        for kernel in self.baseline.kernels:
            if kernel not in self.baseline.costs:
                raise ValueError(f"baseline.costs: no values of C for {kernel}, which baseline.kernels asks for")
        return self

    @model_validator(mode="after")
    def _ablation_compares_what_there_is(self) -> Self:
        for name in self.ablation.initialisations:
            chosen = "; sets of tasks are chosen in pretrain.task_sets"
            _check_known("ablation.initialisations", name, self.initialisations(), fix=chosen)
        return self

    @model_validator(mode="after")
    def _exported_is_what_there_is(self) -> Self:
        for name in self.export.initialisations:
            _check_known("export.initialisations", name, [BEST, *self.initialisations()])
        return self

    @model_validator(mode="after")
    def _clock_of_other_files_is_kept(self) -> Self:
        timed = [f"corpora.{name}.truth" for name, corpus in self.corpora.items() if corpus.truth]
        timed += [f"corpora.{name}.features" for name, corpus in self.corpora.items() if corpus.features]
        timed += ["action_units.backend: import"] if self.action_units.backend == "import" else []
        timed += ["phones.backend: import"] if self.phones.backend == "import" else []
        if self.split.trim_db is not None and timed:
            raise ValueError(
                f"split.trim_db moves the start of each clip, and {timed[0]} is timed from where the file starts: set"
                " split.trim_db: null"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _layers_are_mixed(cls, content: Any) -> Any:
        """Make `layers` the default of `model.encoder` where the model hears pooled features."""
        if not isinstance(content, dict):
            return content
        model, encoders = content.get("model"), content.get("encoders")
        if not isinstance(model, dict) or not isinstance(encoders, dict) or "encoder" in model:
            return content
        chosen = [encoders[name] or {} for name in model.get("features") or () if name in encoders]
        pools = [group.get("pool", "chunks") for group in chosen if isinstance(group, dict)]
        return content if set(pools) <= {"frames"} else {**content, "model": {**model, "encoder": LAYERS}}

    @model_validator(mode="after")
    def _encoders_have_names_of_their_own(self) -> Self:
        for name in self.encoders:
            if not _is_plain(name) or name in (*TAKEN, *STAGES) or name.endswith(("_rbf", "_speaker")):
                raise ValueError(
                    f"encoders.{name}: a name has letters, digits, - and _, starts with no -, is none of the stages"
                    f" and of {', '.join(TAKEN)}, and does not end in _rbf or _speaker"
                )
        return self

    @model_validator(mode="after")
    def _upstreams_have_names(self) -> Self:
        for name in self.upstreams:
            if not _is_plain(name):
                raise ValueError(f"upstreams.{name}: a name has letters, digits, - and _, and starts with no -")
        return self

    @model_validator(mode="after")
    def _pooled_features_stand_alone(self) -> Self:
        pooled = [name for name in self.model.features if name in self.encoders and self.pooled(name)]
        if pooled and len(self.model.features) > 1:
            raise ValueError(
                f"model.features: {pooled[0]!r} has one vector per chunk and layer, and stands alone; to put it beside"
                f" others set encoders.{pooled[0]}.pool: frames; to combine models name them in ensemble.members"
            )
        if bool(pooled) != (self.model.encoder == LAYERS) and self.corpora_in_full:
            fix = f"{LAYERS}, or leave it out" if pooled else "blstm or another encoder of steps"
            raise ValueError(
                f"model.encoder: {self.model.encoder!r} does not fit model.features: {self.model.features}: set {fix}"
            )
        if pooled and self.model.channels != ["*"]:
            raise ValueError(
                f"model.channels: {self.model.channels}: all numbers of {pooled[0]!r} are learnt from: ['*']"
            )
        if pooled and self.encoders[pooled[0]].pool == "clip":
            for task in sorted({task for tasks in self.task_sets() for task in tasks.split("-")}):
                if task in CHUNK_TASKS:
                    raise ValueError(
                        f"encoders.{pooled[0]}.pool: clip has no chunks, and the pretext task {task} has labels for"
                        " chunks: set pool: chunks, or leave the task out of pretrain.task_sets"
                    )
        return self

    @model_validator(mode="after")
    def _a_deviation_needs_chunks(self) -> Self:
        first = self.model.features[0]
        clip = first in self.encoders and self.encoders[first].pool == "clip"
        if self.model.aggregator == "attentive_statistics" and (clip or self.chunks.count == 1):
            where = f"encoders.{first}.pool: clip" if clip else "chunks.count: 1"
            raise ValueError(
                f"model.aggregator: attentive_statistics: {where} gives one vector per clip, whose deviation is always"
                " 0: use more chunks, or set aggregator: mean"
            )
        return self

    @model_validator(mode="after")
    def _an_encoder_that_learns_stands_alone(self) -> Self:
        tuned = {"finetune": self.finetune.encoder.tuned, "pretrain": self.pretrain.encoder.tuned}
        for group in [name for name, learns in tuned.items() if learns]:
            (name, *others), where = self.model.features, f"{group}.encoder.tune"
            if others or (self.corpora_in_full and name not in self.encoders):
                raise ValueError(
                    f"{where}: model.features: {self.model.features} is no pre-trained encoder: name one of encoders"
                    " there, alone, or set tune: frozen"
                )
            if name in self.encoders and not self.pooled(name):
                raise ValueError(f"{where}: encoders.{name}.pool: frames: set pool: chunks or clip, or tune: frozen")
            if self.model.normalise != "train":
                raise ValueError(
                    f"{where}: model.normalise: {self.model.normalise}: an encoder that learns has no fixed mean of a"
                    " speaker: set model.normalise: train, or tune: frozen"
                )
            options: PretrainOptions | FinetuneOptions = getattr(self, group)
            for shared in ("processes", "machines"):
                count = getattr(options.encoder, shared)
                if options.threads > 1 and count > 1:
                    raise ValueError(
                        f"{group}.encoder.{shared}: {count} share one run, and {group}.threads: {options.threads} runs"
                        " are trained at a time: set one of them to 1"
                    )
        return self

    @model_validator(mode="after")
    def _vectors_are_there(self) -> Self:
        for name in self.baseline.vectors:
            if self.corpora_in_full:
                _check_known("baseline.vectors", name, [*VECTORS, *self.encoders])
            if name in self.encoders and not self.pooled(name):
                raise ValueError(
                    f"baseline.vectors: {name!r} has encoders.{name}.pool: frames; one vector per clip is needed: set"
                    " pool: chunks or clip"
                )
        return self

    @model_validator(mode="after")
    def _own_features_have_names_of_their_own(self) -> Self:
        for corpus, options in self.corpora.items():
            for name in options.features:
                taken = ("speech", "log_mel", *self.encoders)
                if not _is_plain(name) or name in taken:
                    raise ValueError(
                        f"corpora.{corpus}.features: {name!r}: a name has letters, digits, - and _, starts with no -,"
                        f" and is none of {', '.join(taken)}"
                    )
        return self

    @model_validator(mode="after")
    def _features_are_there(self) -> Self:
        for name in self.model.features:
            for corpus in {*self.heard_for_pretraining(), *self.used_for("finetune")}:
                fix = f"; name a pre-trained encoder in encoders, or its folder in corpora.{corpus}.features"
                _check_known("model.features", name, self.features_of(corpus), f" of corpora.{corpus}", fix)
        return self

    @model_validator(mode="after")
    def _whole_corpora_are_told_in_full(self) -> Self:
        whole = self.model.whole_corpora
        if not self.corpora_in_full or not whole:
            return self
        if self.model.normalise != "speaker":
            raise ValueError("model.whole_corpora needs model.normalise: speaker: set that, or leave whole_corpora out")
        for name in whole:
            _check_known("model.whole_corpora", name, self.corpora)
        alike = [name for name in self.corpora if name not in whole and self.clips_of(name) in whole]
        if alike:
            raise ValueError(f"model.whole_corpora: name also {', '.join(alike)}, whose clips are the same")
        return self

    @model_validator(mode="after")
    def _faces_are_there_to_move(self) -> Self:
        for name in self.orofacial.corpora:
            if name not in self.corpora:
                raise ValueError(
                    f"orofacial.corpora: {name!r} is no corpus of the configuration{nearest(name, self.corpora)}"
                )
            if name not in self.with_video():
                raise ValueError(f"orofacial.corpora: {name}: faces are looked at with `use: [pretrain]` and video")
            if not self.corpora[name].audio:
                raise ValueError(f"orofacial.corpora: {name}: speech moves the faces, and it has audio: false")
        for name in self.orofacial.features:
            if name in self.encoders and self.pooled(name):
                raise ValueError(
                    f"orofacial.features: {name!r} has one vector per {self.encoders[name].pool.rstrip('s')}, and the"
                    f" movement of a face needs one per frame: set encoders.{name}.pool: frames"
                )
            for corpus in self.orofacial_corpora():
                _check_known("orofacial.features", name, self.features_of(corpus), f" of corpora.{corpus}")
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
                if not self.corpora[other].audio:
                    raise ValueError(
                        f"corpora.{name}.protocol.train: {other} has audio: false, and fine-tuning learns from speech"
                    )
        return self

    @property
    def corpora_in_full(self) -> bool:
        """Whether the corpora are those of a configuration file: a stage's own options leave their use out."""
        return any(corpus.use for corpus in self.corpora.values())

    def features_of(self, corpus: str) -> list[str]:
        """Return the names of the features that a corpus has."""
        return ["speech", "log_mel", *self.encoders, *self.corpora[corpus].features]

    def pooled(self, encoder: str) -> bool:
        """Tell whether an encoder's hidden states are stored as means per chunk or clip."""
        return self.encoders[encoder].pool != "frames"

    def hears_sound(self, stage: str, start: str = SCRATCH) -> bool:
        """Tell whether `finetune` or `pretrain` reads sound, not stored features: its encoder learns, or has learnt.

        A checkpoint of the user's own is taken for one of such an encoder wherever one learns.
        """
        if stage == "pretrain":
            return self.pretrain.encoder.tuned
        return self.finetune.encoder.tuned or (self.pretrain.encoder.tuned and start != SCRATCH)

    def as_encoder(self, encoder: str) -> "Config":
        """Return this configuration with default chunks where an encoder does not read them."""
        if self.encoders[encoder].pool == "chunks":
            return self
        return self.model_copy(update={"chunks": ChunkOptions()})

    def compared_upstreams(self) -> dict[str, UpstreamOptions]:
        """Return what `snakemake upstreams` compares: what is named, else speech and each pooled encoder."""
        pooled = [name for name in self.encoders if self.pooled(name)]
        if self.upstreams or not pooled:
            return self.upstreams
        return {name: UpstreamOptions(model={"features": [name]}) for name in ("speech", *pooled)}

    def as_upstream(self, name: str) -> "Config":
        """Return this configuration with the options of an upstream, and nothing to be made beside its trainings.

        Raises
        ------
        pydantic.ValidationError
            The options are none of these groups, or do not fit together.
        """
        own = self.compared_upstreams()[name]
        content = self.model_dump() | {group: changed(getattr(self, group), getattr(own, group)) for group in GROUPS}
        content |= {"upstreams": {}, "export": {"initialisations": []}, "ensemble": {}}
        content["ablation"]["initialisations"] = []
        content["evaluate"]["conditions"] = []  # of the main table's systems alone
        self._fit_to_features(content, own)
        return Config.model_validate(content)

    def _fit_to_features(self, content: dict[str, Any], own: UpstreamOptions) -> None:
        """Let encoder, channels and sets of tasks be of the kind of the features, unless the upstream names them."""
        model, pretrain = content["model"], content["pretrain"]
        features = model["features"] if isinstance(model["features"], list) else []  # else refused below
        heard = [name for name in self.encoders if name in features and self.pooled(name)]
        if "encoder" not in own.model and bool(heard) != (model["encoder"] == LAYERS):
            del model["encoder"]  # the default of its kind
        if features != self.model.features and "channels" not in own.model:
            model["channels"] = ["*"]
        if any(self.encoders[name].pool == "clip" for name in heard) and "task_sets" not in own.pretrain:
            sets = [tasks.split("-") for tasks in self.task_sets()]
            pretrain["task_sets"] = [tasks for tasks in sets if not set(tasks) & set(CHUNK_TASKS)]

    def with_clips(self) -> list[str]:
        """Return the names of the corpora with clips of their own: those without `of`."""
        return [name for name, corpus in self.corpora.items() if corpus.of is None]

    def clips_of(self, corpus: str) -> str:
        """Return whose clips a corpus has: its own, or those of the corpus in `of`."""
        return self.corpora[corpus].of or corpus

    def used_for(self, use: str) -> list[str]:
        """Return the names of the corpora used for `pretrain` or `finetune`."""
        return [name for name, corpus in self.corpora.items() if use in corpus.use]

    def with_video(self) -> list[str]:
        """Return the names of the corpora whose faces are looked at."""
        return [name for name in self.used_for("pretrain") if self.corpora[name].video]

    def heard_for_pretraining(self) -> list[str]:
        """Return the names of the corpora that pre-training learns from: those of them that have sound."""
        return [name for name in self.used_for("pretrain") if self.corpora[name].audio]

    def orofacial_corpora(self) -> list[str]:
        """Return the corpora that orofacial models learn from: those named, else all that are looked at and heard."""
        return list(self.orofacial.corpora) or [name for name in self.with_video() if self.corpora[name].audio]

    def learnt_from(self, corpus: str) -> list[str]:
        """Return the corpora that the fine-tuning of a corpus reads: itself, and what a cross-corpus protocol names."""
        return [corpus, *self.corpora[corpus].protocol.train]

    def heard_in_pretraining(self) -> list[str]:
        """Return the fine-tuned corpora whose speech, without its labels, pre-training hears too."""

        def share(one: CorpusOptions, other: CorpusOptions) -> bool:
            apart = one.speakers and other.speakers and not set(one.speakers) & set(other.speakers)
            return one.path == other.path and not apart

        sources = [self.corpora[name] for name in self.heard_for_pretraining()]
        tested = dict.fromkeys(self.clips_of(name) for name in self.used_for("finetune"))
        return [name for name in tested if any(share(self.corpora[name], one) for one in sources)]

    def with_truth(self) -> list[str]:
        """Return the corpora whose truth is known."""
        return [name for name, corpus in self.corpora.items() if corpus.truth is not None]

    def tasks_of(self, corpus: str) -> list[str]:
        """Return the pretext tasks that a corpus allows: without video or sound, those that ask nothing of it."""
        if corpus not in self.used_for("pretrain"):
            return []
        seen, heard = corpus in self.with_video(), self.corpora[corpus].audio
        return [name for name, task in TASKS.items() if (seen if task.face else heard)]

    def available_tasks(self) -> list[str]:
        """Return the pretext tasks that any of the corpora allows whose speech pre-training learns from."""
        allowed = {task for name in self.heard_for_pretraining() for task in self.tasks_of(name)}
        return [task for task in TASKS if task in allowed]

    def task_sets(self) -> list[str]:
        """Return the names of the sets of tasks to pre-train on, such as `energy-emotion`, small sets first.

        `all` are all sets of tasks with pseudo-labels, then `clusters` by itself.
        """
        available = self.available_tasks()
        if self.pretrain.task_sets == "all":
            labelled = [task for task in available if task in LABELLED]
            sets: list[tuple[str, ...]] = [
                chosen for size in range(1, len(labelled) + 1) for chosen in itertools.combinations(labelled, size)
            ]
            sets += [(task,) for task in available if task not in LABELLED]
        else:
            sets = [tuple(task for task in TASKS if task in chosen) for chosen in self.pretrain.task_sets]
        return ["-".join(chosen) for chosen in sets if chosen and set(chosen) <= set(available)]

    def initialisations(self) -> list[str]:
        """Return what fine-tuning starts from: `scratch`, each set of tasks, each checkpoint of the user's own."""
        return [SCRATCH, *self.task_sets(), *self.finetune.checkpoints]

    def checkpoints_of(self, name: str) -> list[str]:
        """Return the files of an initialisation of the user's own, one for each pre-training."""
        files = self.finetune.checkpoints[name]
        return [files] if isinstance(files, str) else files

    @property
    def pretrainings(self) -> int:
        """Number of pre-trainings of each set of tasks."""
        return self.pretrain.seeds or (self.finetune.seeds if self.used_for("finetune") else 1)

    @property
    def variant(self) -> Variant:
        """Loss and aggregator of the main table."""
        return Variant(self.finetune.loss, self.model.aggregator)

    def as_variant(self, variant: Variant) -> "Config":
        """Return this configuration with loss and aggregator of a variant; what it does not read has its default."""
        model = self.model.model_copy(update={"aggregator": variant.aggregator})
        penalty = self.finetune.penalty if variant.loss == "penalty" else PenaltyOptions()
        finetune = self.finetune.model_copy(update={"loss": variant.loss, "penalty": penalty})
        pretrain = self.pretrain.model_copy(update={"seeds": self.pretrainings})
        return self.model_copy(update={"model": model, "finetune": finetune, "pretrain": pretrain})

    def ablated(self, votes: bool = True) -> list[Variant]:
        """Return the variants that the ablation compares; without votes behind the labels, none with the penalty."""
        losses = [loss for loss in self.ablation.losses if votes or loss != "penalty"]
        return [Variant(loss, aggregator) for loss in losses for aggregator in self.ablation.aggregators]

    def ablated_starts(self) -> list[str]:
        """Return the initialisations that the ablation compares."""
        chosen = self.ablation.initialisations
        return [name for name in self.initialisations() if not chosen or name in chosen]


def _is_plain(name: str) -> bool:
    """Return whether a name has letters, digits, - and _ alone, and does not start with -, as an option would."""
    return name.replace("_", "").replace("-", "").isalnum() and not name.startswith("-")


def _check_known(option: str, name: str, known: Collection[str], of: str = "", fix: str = "") -> None:
    """Raise where an option has a name that is not known; `of` and `fix` complete the message."""
    if name not in known:
        raise ValueError(f"{option}: {name!r} is none of {', '.join(known)}{of}{nearest(name, known)}{fix}")


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the configuration, for editors, with the names that tasks may have."""
    schema = Config.model_json_schema()
    pretrain = schema["$defs"]["PretrainOptions"]["properties"]
    names = {"enum": list(TASKS)}
    pretrain["task_sets"]["anyOf"][0]["items"]["items"].update(names)
    pretrain["hidden_from"]["items"].update(names)
    pretrain["task_weights"]["propertyNames"] = names
    pretrain["min_confidence"]["propertyNames"] = {"enum": list(LABELLED)}
    corpus = schema["$defs"]["CorpusOptions"]
    corpus["anyOf"] = [{"required": corpus.pop("required")}, {"required": ["of"]}]
    of_upstream = schema["$defs"]["UpstreamOptions"]["properties"]
    for group, options in GROUPS.items():
        of_upstream[group]["$ref"] = f"#/$defs/{options.__name__}"
    return schema


RESERVED_NAMES = (
    "models",
    "pretrain",
    "orofacial",
    "tables",
    "logs",
    "benchmarks",
    "report",
    "config",
    "tracking",
    "search",
    "figures",
)
"""Folders of the results that no corpus may be named after."""
