"""What a configuration asks for: which artefacts there will be, and what each is made from.

The rules of the workflow ask here, so that they hold no logic of their own; no artefact is opened.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from avpretext.config import LABELLED_TASKS, Config, CorpusOptions, Variant
from avpretext.corpora import emobox, label_maps, reader_of, settings_of, target_name, targets_of
from avpretext.corpora.settings import Setting
from avpretext.corpora.transcripts import transcript_files
from avpretext.errors import UserError
from avpretext.flow.paths import Layout, copy_of, expand, original_of
from avpretext.run.imports import fingerprint_of
from avpretext.run.plan_checks import check_ensembles, check_penalty, check_pretrainings
from avpretext.systems import BEST, SCRATCH, ensembles_of

SCORES = ("metrics", "runs", "seeds", "comparisons", "confusion")
"""Files that `evaluate` writes of each setting."""

TABLES = (
    "main.csv", "main.md", "main.tex", "provenance.csv", "provenance.json", "per_class.csv", "significance.csv",
    "seeds.csv", "label_balance.csv", "label_speakers.csv", "label_agreement.csv", "folds.csv", "copies.csv",
    "corpora.csv",
    "rejects.csv", "rejects_clips.csv", "action_units.csv", "au_combinations.csv",
)  # fmt: skip
ABLATION_TABLES = ("ablation.csv", "ablation.md", "ablation.tex", "ablation_effects.csv", "ablation_co_occurrence.csv")
TRUTH_TABLES = ("truth.csv", "truth_action_units.csv")

EXPORTED = ("model.json", "model.safetensors", "README.md", "card.json")
"""Files of a trained model's folder: two by `export`, two by `card`."""

StageOf = str | Callable[[str], str]
"""A stage, or what names the stage of a corpus."""


class Plan:
    """The artefacts of a configuration.

    Parameters
    ----------
    config
        The whole configuration.

    Raises
    ------
    UserError
        A label target or a protocol is not one that its corpus has.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.layout = Layout(config.results)
        self.settings = {
            name: {setting.name: setting for setting in settings_of(corpus)} for name, corpus in config.corpora.items()
        }
        self.ablated = {name: self._ablated_of(corpus) for name, corpus in config.corpora.items()}
        self.targets = {name: self._targets_of(name) for name in config.corpora}
        check_penalty(config, self.settings, self.ablated)
        check_ensembles(config)
        check_pretrainings(config)

    def _ablated_of(self, corpus: CorpusOptions) -> dict[str, Setting]:
        """Return the settings of a corpus that the ablation looks at."""
        chosen = corpus.ablated(self.config.ablation.targets)
        return {setting.name: setting for setting in settings_of(chosen)}

    def _co_occurrences(self, settings: Mapping[str, Mapping[str, Setting]]) -> list[str]:
        """Return the tables that the penalty loss needs in these settings of each corpus."""
        return [
            self.layout.co_occurrence(corpus, name)
            for corpus, of_corpus in settings.items()
            for name, setting in of_corpus.items()
            if setting.votes
        ]

    def _targets_of(self, corpus: str) -> dict[str, str]:
        """Return {name: target} of the label targets that anything is trained or tested on."""
        settings = {**self.settings[corpus], **self.ablated[corpus]}
        learnt = {setting.target_name: setting.target for setting in settings.values()}
        trains = any(corpus in other.protocol.train for other in self.config.corpora.values())
        return {**self._first_target(corpus), **learnt} if trains else learnt

    def _first_target(self, corpus: str) -> dict[str, str]:
        """Return {name: target} of what other corpora are tested with after training on this one."""
        options = self.config.corpora[corpus]
        first = targets_of(options)[0]
        return {target_name(options, first): first}

    def clips(self, corpus: str) -> str:
        """Return the stage whose shards list the clips of a corpus."""
        return self.config.corpora[corpus].clips_stage

    def counts_faces(self, corpus: str) -> bool:
        """Tell whether the segments of a corpus are chosen by the faces in them."""
        return self.config.corpora[corpus].video and self.config.segment.one_face > 0

    @property
    def stores_frames(self) -> bool:
        """Whether frames are stored before they are looked at; else they are looked at as they are decoded.

        They are for py-feat, which looks at them later, and where the clip's start is known only once it is decoded.
        """
        options = self.config.split
        return options.keep_frames or options.trim_db is not None or self.config.action_units.backend == "pyfeat"

    def refusing(self, corpus: str) -> list[str]:
        """Return the stages that can refuse clips of a corpus."""
        cut = ["segment"] if self.config.corpora[corpus].segment else []
        seen = ["landmarks"] if corpus in self.config.with_video() else []
        return ["index", *cut, "split", "speech", *seen]

    def shards(self, corpus: str, stage: StageOf, artefact: str | None = None) -> list[str]:
        """Return all shards of a stage of a corpus."""
        count = self._options_of(corpus).shards
        return self.layout.shards(corpus, _name(stage, corpus), count, artefact)

    def shard_set(self, corpus: str, stage: StageOf, artefact: str | None = None) -> str:
        """Return the same shards in the short form of the command line, FOLDER@COUNT."""
        first = self.layout.shard(corpus, _name(stage, corpus), 0, artefact)
        return f"{Path(first).parent}@{self._options_of(corpus).shards}"

    def _options_of(self, corpus: str) -> CorpusOptions:
        """Return the options of a corpus, or of the corpus that it is a faster or slower copy of."""
        return self.config.corpora[original_of(corpus)]

    def copies(self, stage: str, corpus: str) -> list[str]:
        """Return the names of a corpus played at the speeds that `finetune` or `baseline` hears too."""
        speeds = self.config.finetune.speeds if stage == "finetune" else self.config.baseline.speeds
        return [copy_of(corpus, speed) for speed in dict.fromkeys(speeds) if speed != 1]

    def speeds(self) -> list[str]:
        """Return every speed, as paths name it, at which a corpus is played."""
        asked = {*self.config.finetune.speeds, *self.config.baseline.speeds}
        return [f"{speed:g}" for speed in sorted(asked) if speed != 1]

    def heard(self, stage: str, corpus: str) -> list[str]:
        """Return the corpora that a training reads: those that it learns from, and their copies.

        DeepEmoCluster reads those without labels too, and no copies.
        """
        learnt = self.config.learnt_from(corpus)
        if stage == "deepemocluster":
            return list(dict.fromkeys([*self.config.used_for("pretrain"), *learnt]))
        return [*learnt, *(copy for name in learnt for copy in self.copies(stage, name))]

    def action_unit_inputs(self, corpus: str, shard: str) -> dict[str, str]:
        """Return what the action units of a shard are measured from, by the name of the command's option."""
        backend, stage = self.config.action_units.backend, self.config.corpora[corpus].clips_stage
        if backend == "pyfeat":
            return {"frames": self.layout.shard(corpus, "split", shard, "frames")}
        listed = {
            "landmarks": self.layout.shard(corpus, "landmarks", shard),
            "index": self.layout.shard(corpus, stage, shard),
        }
        by_speaker = backend == "blendshapes" and self.config.action_units.calibration == "speaker"
        return {**listed, "neutral": self.layout.corpus(corpus, "neutral")} if by_speaker else listed

    def imports(self) -> str | None:
        """Return what changes when a file of imported action units is added, replaced or removed; None without any."""
        options = self.config.action_units
        return fingerprint_of(options.imports if options.backend == "import" else None, (".csv",))

    def phone_inputs(self, corpus: str, shard: str) -> dict[str, str | list[str]]:
        """Return what the phones of a shard are found in."""
        options, phones = self.config.corpora[corpus], self.config.phones
        tables = transcript_files(options) if phones.backend == "align" else []
        truth = [str(Path(options.truth) / "phonemes.parquet")] if options.truth and phones.backend == "truth" else []
        own = [file for file in (phones.dictionary, phones.visemes) if file is not None]
        return {
            "audio": self.layout.shard(corpus, "split", shard, "audio"),
            "index": self.layout.shard(corpus, options.clips_stage, shard),
            "tables": [*tables, *truth, *own],
        }

    def imported_phones(self) -> str | None:
        """Return what changes when a file of imported phones is added, replaced or removed; None without any."""
        options = self.config.phones
        return fingerprint_of(options.imports if options.backend == "import" else None, (".textgrid", ".ctm", ".align"))

    def labels(self, corpus: str) -> list[str]:
        """Return the pseudo-label tables of a corpus."""
        tasks = self.config.tasks_of(corpus)
        return [self.layout.corpus(corpus, f"labels_{task}") for task in tasks if task in LABELLED_TASKS]

    def checkpoints(self, aggregator: str, tasks: str) -> list[str]:
        """Return the checkpoints of a set of tasks, one for each seed; both may be wildcards."""
        return [self.layout.checkpoint(aggregator, tasks, seed) for seed in range(self.config.pretrainings)]

    def pretrained(self) -> list[str]:
        """Return the checkpoints of the main table."""
        own = self.config.variant.aggregator
        return [path for tasks in self.config.task_sets() for path in self.checkpoints(own, tasks)]

    def task_labels(self, tasks: str) -> dict[str, str]:
        """Return the pseudo-label tables of a set of tasks, as {corpus.task: path}."""
        return {
            f"{corpus}.{task}": self.layout.corpus(corpus, f"labels_{task}")
            for corpus in self.config.used_for("pretrain")
            for task in tasks.split("-")
            if task in LABELLED_TASKS and task in self.config.tasks_of(corpus)
        }

    def annotations(self, corpus: str) -> list[str]:
        """Return the files, beside its media, that labels and partitions of a corpus are read from."""
        options = self.config.corpora[corpus]
        return reader_of(options).annotations(options)

    def label_map(self, corpus: str) -> list[str]:
        """Return the user's own file of the label map, if there is one."""
        return label_maps.map_files(self.config.corpora[corpus])

    def protocol_lists(self, corpus: str) -> list[str]:
        """Return the lists of clips that a protocol is read from, if it is.

        Raises
        ------
        UserError
            Their folder is missing or holds none.
        """
        folder = self.config.corpora[corpus].protocol.lists
        lists = {} if folder is None else emobox.list_files(Path(folder))
        return [str(path) for parts in lists.values() for path in parts.values()]

    def setting_names(self) -> set[str]:
        """Return the names of all settings of all corpora."""
        return {name for of in (self.settings, self.ablated) for settings in of.values() for name in settings}

    def setting(self, corpus: str, name: str) -> Setting:
        """Return the setting of that name."""
        return {**self.settings[corpus], **self.ablated[corpus]}[name]

    def target_tables(self, corpus: str, setting: str) -> dict[str, str]:
        """Return {corpus: table of label targets}: of the setting, and the first of each corpus it is trained on."""
        own = self.setting(corpus, setting).target_name
        chosen = {
            name: own if name == corpus else next(iter(self._first_target(name)))
            for name in self.config.learnt_from(corpus)
        }
        return {name: self.layout.targets(name, target) for name, target in chosen.items()}

    def has_baseline(self, corpus: str, setting: str) -> bool:
        """Tell whether a setting is compared with baselines: these learn one class of each clip, nothing else."""
        return bool(self.config.baseline.normalise) and self.setting(corpus, setting).kind == "hard"

    def predictions(self, corpus: str, setting: str) -> list[str]:
        """Return the predictions of every initialisation, and of what stands beside them, in a setting."""
        possible = ensembles_of(self.config.ensemble.members, self.setting(corpus, setting).kind)
        together = [self.layout.ensemble(corpus, setting)] if possible else []
        return [*self.alone(corpus, setting), *together]

    def alone(self, corpus: str, setting: str) -> list[str]:
        """Return the same predictions without those of ensembles."""
        tuned = self.tuned(corpus, setting, self.config.variant, self.config.initialisations())
        return [*tuned, *self.beside(corpus, setting)]

    def tuned(self, corpus: str, setting: str, variant: Variant, starts: Sequence[str]) -> list[str]:
        """Return the predictions of these initialisations with the loss and the aggregator of a variant."""
        file = "predictions.parquet"
        return [self.layout.finetune(corpus, setting, variant.name, start, file) for start in starts]

    def start(self, variant: Variant, initialisation: str) -> list[str]:
        """Return the checkpoints that an initialisation starts from, one for each pre-training; none from scratch."""
        if initialisation in self.config.finetune.checkpoints:
            return self.config.checkpoints_of(initialisation)
        return [] if initialisation == SCRATCH else self.checkpoints(variant.aggregator, initialisation)

    def export_starts(self, name: str) -> dict[str, list[str]]:
        """Return {initialisation: checkpoints} of what an exported model may start from; scratch has none."""
        names = self.config.initialisations() if name == BEST else [name]
        return {start: self.start(self.config.variant, start) for start in names if start != SCRATCH}

    def export_histories(self, corpus: str, setting: str, name: str) -> dict[str, str]:
        """Return {initialisation: history of its fine-tuning} of those that `best` chooses from, none for another."""
        names, variant = self.config.initialisations() if name == BEST else [], self.config.variant.name
        return {start: self.layout.finetune(corpus, setting, variant, start, "history.parquet") for start in names}

    def exported(self) -> list[str]:
        """Return the files of every trained model to take away."""
        return [
            self.layout.export(corpus, setting, name, file)
            for corpus in self.config.used_for("finetune")
            for setting in self.settings[corpus]
            for name in self.config.export.initialisations
            for file in EXPORTED
        ]

    def beside(self, corpus: str, setting: str) -> list[str]:
        """Return the predictions of what is compared with fine-tuning: DeepEmoCluster, support vector machines."""
        clustered = [self.layout.deepemocluster(corpus, setting, "predictions.parquet")]
        machines = [self.layout.baseline(corpus, setting)]
        return [
            *(clustered if self.config.deepemocluster.variants else []),
            *(machines if self.has_baseline(corpus, setting) else []),
        ]

    def ablation(self) -> list[str]:
        """Return the predictions of every system that the ablation compares."""
        starts = self.config.ablated_starts()
        return [
            path
            for corpus, settings in self.ablated.items()
            for name, setting in settings.items()
            for variant in self.config.ablated(setting.votes)
            for path in self.tuned(corpus, name, variant, starts)
        ]

    def ablation_beside(self) -> list[str]:
        """Return the predictions of what stands beside the systems of the ablation."""
        beside = [
            path for corpus, settings in self.ablated.items() for name in settings for path in self.beside(corpus, name)
        ]
        penalised = "penalty" in self.config.ablation.losses
        return [*beside, *(self._co_occurrences(self.ablated) if penalised else [])]

    def ablation_tables(self) -> list[str]:
        """Return the tables of the ablation."""
        return [self.layout.table(name) for name in ABLATION_TABLES]

    def features(self, corpus: str) -> dict[str, str]:
        """Return {name: shards, in the short form of the command line} of what the model hears of a corpus.

        Raises
        ------
        UserError
            The user's own features are asked for at another speed.
        """
        own = self._options_of(corpus).features
        foreign = [name for name in self.config.model.features if name in own]
        if foreign and "@" in corpus:
            raise UserError(
                f"finetune.speeds: {foreign[0]!r} are features of your own, which cannot be had at another speed: set"
                " finetune.speeds: []"
            )
        return {name: own[name] if name in own else self.shard_set(corpus, name) for name in self.config.model.features}

    def feature_files(self, corpus: str) -> list[str]:
        """Return all files of what the model hears of a corpus."""
        own = self._options_of(corpus).features
        return [
            str(path)
            for name in self.config.model.features
            for path in (expand(own[name]) if name in own else self.shards(corpus, name))
        ]

    def scores(self, corpus: str, setting: str) -> list[str]:
        """Return the scores of a setting; both may be wildcards."""
        return [self.layout.evaluate(corpus, setting, name) for name in SCORES]

    def tables(self) -> list[str]:
        """Return the result tables."""
        known = any(corpus.truth for corpus in self.config.corpora.values())
        compared = ("compared_action_units.csv",) if self.config.report.compare_action_units else ()
        penalty = ("co_occurrence.csv",) if self.config.finetune.loss == "penalty" else ()
        return [self.layout.table(name) for name in (*TABLES, *compared, *penalty, *(TRUTH_TABLES if known else ()))]

    def everything(self) -> list[str]:
        """Return what the tables and the report speak of."""
        tested = [
            path
            for corpus in self.config.used_for("finetune")
            for setting in self.settings[corpus]
            for path in self.scores(corpus, setting)
        ]
        refused = [self.layout.corpus(corpus, "rejects") for corpus in self.config.corpora]
        labels = [table for corpus in self.config.used_for("pretrain") for table in self.labels(corpus)]
        seen = [
            shard
            for corpus in self.config.with_video()
            for stage, artefact in (("action_units", None), ("landmarks", "thumbnails"))
            for shard in self.shards(corpus, stage, artefact)
        ]
        own = self.config.variant.aggregator
        trained = [self.layout.pretrain(own, tasks, "history.parquet") for tasks in self.config.task_sets()]
        named_together = self._co_occurrences(self.settings) if self.config.finetune.loss == "penalty" else []
        return [*tested, *refused, *seen, *labels, *trained, *named_together]

    def kept(self) -> list[str]:
        """Return what else is made on the way to `everything` and kept, so that none of it can be missing.

        Snakemake makes a file again that what it is asked for is older than, or would be made from; one that a killed
        run has removed, before an edit was taken back, is neither.
        """
        files: list[str] = []
        for corpus in self.config.corpora:
            for stage in self.refusing(corpus):
                files += self.shards(corpus, stage, "audio" if stage == "split" else None)
            if "activation" in self.config.tasks_of(corpus) and corpus in self.config.used_for("pretrain"):
                files += self.shards(corpus, "motion")
        for corpus in self.config.used_for("pretrain"):
            files += self.feature_files(corpus)
        for corpus in self.config.used_for("finetune"):
            for setting in self.settings[corpus]:
                files += self.predictions(corpus, setting)
                files += [*self.target_tables(corpus, setting).values(), self.layout.folds(corpus, setting)]
        return files


def _name(stage: StageOf, corpus: str) -> str:
    return stage if isinstance(stage, str) else stage(corpus)
