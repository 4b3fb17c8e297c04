"""The plan of a run: which artefacts a configuration asks for, and what each is made from.

The rules of the workflow ask here; no artefact is opened.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from avpretext.action_units import backends
from avpretext.config import LAYERS, Config, CorpusOptions, Variant
from avpretext.corpora import emobox, label_maps, reader_of, settings_of, target_name, targets_of
from avpretext.corpora.settings import Kind, Setting
from avpretext.corpora.transcripts import transcript_files
from avpretext.errors import UserError
from avpretext.flow.artefacts import ARTEFACTS, STAGES
from avpretext.flow.paths import Layout, condition_of, copy_of, expand, original_of
from avpretext.flow.result_tables import (
    COMPARED_TABLES,
    LAYER_TABLES,
    PENALTY_TABLES,
    TABLES,
    TOGETHER_TABLES,
    TRUTH_TABLES,
)
from avpretext.flow.tasks import LABELLED
from avpretext.run.plan_checks import check_ensembles, check_penalty, check_pretrainings, check_silent, check_smoothing
from avpretext.sound import encoder_files
from avpretext.sound.encoder_files import EncoderFiles
from avpretext.systems import BEST, SCRATCH, ensembles_of

Keyed = dict[str, list[str]]
"""Name on the command line, such as a corpus, to files."""


class Made(NamedTuple):
    """An artefact of the plan: its name in the registry, whose it is, and its files."""

    artefact: str
    of: str
    files: list[str]


class ScoredTogether(NamedTuple):
    """What is scored over several corpora: settings with one kind of label, by whose clips are tested.

    `tested` is `within`, trained on the corpus that is tested, or `across`, on others.
    """

    kind: Kind
    tested: str
    settings: dict[str, list[tuple[str, str]]]

    @property
    def members(self) -> list[tuple[str, str]]:
        """Every (corpus, setting) of it."""
        return [one for of_clips in self.settings.values() for one in of_clips]


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
        self.layout = Layout.of_run(config.results)
        self.settings = {
            name: {setting.name: setting for setting in settings_of(corpus)} for name, corpus in config.corpora.items()
        }
        self.ablated = {
            name: {setting.name: setting for setting in settings_of(corpus.ablated(config.ablation.targets))}
            for name, corpus in config.corpora.items()
        }
        self.targets = {name: self._targets_of(name) for name in config.corpora}
        check_penalty(config, self.settings, self.ablated)
        check_smoothing(config, self.settings, self.ablated)
        check_ensembles(config)
        check_pretrainings(config)
        check_silent(config)

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

    # Everything that the tables rest on.

    @cached_property
    def made(self) -> list[Made]:
        """Every artefact that the result tables and the report rest on, in the order of the flow.

        A file of the results that is not among them was left by an earlier configuration, and nothing reads it.
        """
        found = [*self._of_corpora(), *self._of_pretraining(), *self._of_settings()]
        order = {name: place for place, name in enumerate(ARTEFACTS)}
        return sorted(found, key=lambda made: order[made.artefact])

    @cached_property
    def files(self) -> list[str]:
        """The files of `made`."""
        return [file for made in self.made for file in made.files]

    def _of_corpora(self) -> Iterator[Made]:
        if self.config.with_video():
            yield Made("models", "", [self.layout.path("models")])
        for corpus in self.config.with_clips():
            for artefact in self.of_corpus(corpus):
                yield Made(artefact, corpus, self.shards(corpus, artefact))
        for copy in dict.fromkeys(name for name, _ in self._features() if "@" in name):
            yield Made("degrade" if condition_of(copy) else "speed", copy, self.shards(copy, "split.audio"))
        for corpus, artefact in self._features():
            if artefact == "split.audio":
                continue  # of the corpus itself, or of a copy
            made = ("encoder", f"{corpus}/{artefact}") if artefact in self.config.encoders else (artefact, corpus)
            yield Made(*made, self.shards(corpus, artefact))

    def of_corpus(self, corpus: str) -> list[str]:
        """Return the artefacts that are made of a corpus before anything is trained."""
        refusing = self.refusing(corpus)
        return [
            *(stage for stage in refusing if stage in ARTEFACTS),
            *(f"{stage}.rejects" for stage in refusing),
            "split.audio",
            *(("split.frames",) if self.seen(corpus) and self.config.split.keep_frames else ()),
            "rejects",
            *(("landmarks.preview", "landmarks.thumbnails", "action_units") if self.seen(corpus) else ()),
            *(("neutral",) if self.seen(corpus) and self._calibrates() else ()),
            *(("motion",) if self.seen(corpus) and "activation" in self.config.tasks_of(corpus) else ()),
            *self.label_stages(corpus),
        ]

    def label_stages(self, corpus: str) -> list[str]:
        """Return the stages that label a corpus for pre-training, also one that has no sound to train on."""
        return [LABELLED[task].stage for task in self.config.tasks_of(corpus) if task in LABELLED]

    def _features(self) -> Iterator[tuple[str, str]]:
        """Yield corpus and artefact of what models hear, `speech` of whole corpora left out, which is made anyway."""
        heard: dict[tuple[str, str], None] = {}
        for corpus in self.config.heard_for_pretraining():
            heard |= {(corpus, name): None for name in self._heard_features("pretrain", corpus)}
        for corpus in self.config.used_for("finetune"):
            for name in self.heard("finetune", corpus):
                heard |= {(name, feature): None for feature in self._heard_features("finetune", name)}
            settings = self.settings[corpus]
            if any(self.has_baseline(corpus, setting) for setting in settings):
                for name in self.heard("baseline", corpus):
                    heard |= {(name, vectors): None for vectors in self._vectors()}
            if self.config.deepemocluster.variants and settings:
                heard |= {(name, "log_mel"): None for name in self.heard("deepemocluster", corpus)}
        of_clips = dict.fromkeys((self._whose(corpus), name) for corpus, name in heard)
        yield from ((corpus, name) for corpus, name in of_clips if name != "speech" or "@" in corpus)

    def _heard_features(self, stage: str, corpus: str) -> list[str]:
        """Return the artefacts that a training hears of a corpus: sound where a pre-trained encoder learns."""
        starts = self.config.initialisations() if stage == "finetune" else [SCRATCH]
        sound = {self.config.hears_sound(stage, start) for start in starts}
        return [*(self._stage_features(corpus) if False in sound else ()), *(["split.audio"] if True in sound else ())]

    def _stage_features(self, corpus: str) -> list[str]:
        own = self._options_of(corpus).features
        return [name for name in self.config.model.features if name not in own]

    def _vectors(self) -> list[str]:
        chosen = list(self.config.baseline.vectors)
        return [*chosen, *(self.config.statistics.features if "statistics" in chosen else ())]

    def _of_pretraining(self) -> Iterator[Made]:
        own = self.config.variant.network
        for tasks in self.config.task_sets():
            yield Made("pretrain.checkpoint", tasks, self.checkpoints(own, tasks))
            if self.config.pretrain.encoder.tuned:
                yield Made("pretrain.encoder", tasks, self.learnt_encoders(own, tasks))
            yield Made("pretrain.history", tasks, [self.layout.path("pretrain.history", network=own, tasks=tasks)])

    def _of_settings(self) -> Iterator[Made]:
        targets: dict[tuple[str, str], None] = {}
        for corpus in self.config.used_for("finetune"):
            for setting in self.settings[corpus]:
                tables = self.target_tables(corpus, setting)
                targets |= {(name, file): None for name, files in tables.items() for file in files}
                for artefact in self._of_setting(corpus, setting):
                    files = [self.layout.path(artefact, corpus=corpus, setting=setting)]
                    yield Made(artefact, f"{corpus}/{setting}", files)
                for part in STAGES["finetune"].writes:
                    files = self.tuned(corpus, setting, self.config.variant, self.config.initialisations(), part)
                    yield from (Made(f"finetune.{part}", f"{corpus}/{setting}", [file]) for file in files)
                for name in self.config.export.initialisations:
                    for artefact in ("export.model", "export.weights", "card.readme", "card.card"):
                        place = self.layout.path(artefact, corpus=corpus, setting=setting, exported=name)
                        yield Made(artefact, f"{corpus}/{setting}", [place])
        yield from (Made("targets", name, [file]) for name, file in targets)
        if self.groups:
            yield Made("overall", "", [self.layout.path("overall")])

    def _of_setting(self, corpus: str, setting: str) -> list[str]:
        penalised = self.config.finetune.loss == "penalty" and self.setting(corpus, setting).votes
        return [
            "folds",
            *(("co_occurrence",) if penalised else ()),
            *(self._beside(corpus, setting)),
            *(("deepemocluster.history",) if self.config.deepemocluster.variants else ()),
            *(("ensemble.predictions",) if self._has_ensembles(corpus, setting) else ()),
            *(f"{name}.{part}" for name in ("evaluate", "trust") for part in STAGES[name].writes),
        ]

    @cached_property
    def encoders(self) -> list[str]:
        """The pre-trained encoders that anything is learnt from."""
        learning = {"split.audio": self.config.model.features}
        heard = {name for _, found in self._features() for name in learning.get(found, ())}
        return [name for name in self.config.encoders if name in heard or name in self.stored_encoders]

    @cached_property
    def stored_encoders(self) -> list[str]:
        """Those of them whose hidden states are stored."""
        heard = {name for _, name in self._features()}
        moved = self.config.orofacial.features if self.config.orofacial_corpora() else ()
        return [name for name in self.config.encoders if name in heard or name in moved]

    def encoder_files(self, encoder: str) -> EncoderFiles:
        """Return the files of a pre-trained encoder.

        Raises
        ------
        UserError
            They are not there, or are no speech model's.
        """
        return encoder_files.find(encoder, self.config.encoders[encoder])

    # What is made of a corpus.

    def clips(self, corpus: str) -> str:
        """Return the stage whose shards list the clips of a corpus."""
        return self.config.corpora[corpus].clips_stage

    def seen(self, corpus: str) -> bool:
        """Tell whether the faces of a corpus are looked at."""
        return corpus in self.config.with_video()

    def counts_faces(self, corpus: str) -> bool:
        """Tell whether the segments of a corpus are chosen by the faces in them."""
        return self.config.corpora[corpus].video and self.config.segment.one_face > 0

    @property
    def stores_frames(self) -> bool:
        """Whether frames are stored before they are looked at; else they are looked at as they are decoded.

        They are for backends of action units that look at them later, and where the clip's start is known only once it
        is decoded.
        """
        options, needed = self.config.split, backends.needs(self.config.action_units.backend)
        return options.keep_frames or options.trim_db is not None or "frames" in needed

    def refusing(self, corpus: str) -> list[str]:
        """Return the stages that may refuse clips of a corpus."""
        options = self.config.corpora[corpus]
        made = {"segment": options.segment, "landmarks": self.seen(corpus), "speech": options.audio}
        absent = [name for name, is_made in made.items() if not is_made]
        return [name for name, stage in STAGES.items() if stage.refuses and name not in absent]

    def shards(self, corpus: str, artefact: str) -> list[str]:
        """Return all shards of an artefact, or of an encoder, of a corpus; or the one file that covers it.

        A corpus with the clips of another has what is made of those.
        """
        corpus = self._whose(corpus)
        if artefact in self.config.encoders:
            place = self.layout.shards("encoder", corpus, self._options_of(corpus).shards)
            return [path.replace("{encoder}", artefact) for path in place]
        if "{shard}" not in ARTEFACTS[artefact].place:
            return [self.layout.path(artefact, corpus=corpus)]
        return self.layout.shards(artefact, corpus, self._options_of(corpus).shards)

    def _whose(self, corpus: str) -> str:
        """Return whose clips a corpus has; of a copy at another speed, the copy of that corpus."""
        original, at, speed = corpus.partition("@")
        return self.config.clips_of(original) + at + speed

    def _options_of(self, corpus: str) -> CorpusOptions:
        """Return the options of a corpus, or of the corpus that it is a copy of."""
        return self.config.corpora[original_of(corpus)]

    def copies(self, stage: str, corpus: str) -> list[str]:
        """Return the names of a corpus played at the speeds that `finetune` or `baseline` hears too."""
        speeds = self.config.baseline.speeds if stage == "baseline" else self.config.finetune.speeds
        return [copy_of(corpus, speed) for speed in dict.fromkeys(speeds) if speed != 1]

    def in_conditions(self, stage: str, corpus: str) -> list[str]:
        """Return the names of a corpus in the conditions in which a training tests its clips; an export tests none."""
        conditions = [] if stage == "export" else self.config.evaluate.conditions
        return [copy_of(corpus, condition) for condition in dict.fromkeys(conditions)]

    def speeds(self) -> list[str]:
        """Return every speed, as paths name it, at which a corpus is played."""
        asked = {*self.config.finetune.speeds, *self.config.baseline.speeds}
        return [f"{speed:g}" for speed in sorted(asked) if speed != 1]

    def heard(self, stage: str, corpus: str) -> list[str]:
        """Return the corpora that a training reads: those that it learns from, their copies, and what it is tested in.

        DeepEmoCluster reads those without labels too, and no copies.
        """
        learnt = self.config.learnt_from(corpus)
        if stage == "deepemocluster":
            return list(dict.fromkeys([*self.config.heard_for_pretraining(), *learnt]))
        copies = [copy for name in learnt for copy in self.copies(stage, name)]
        return [*learnt, *copies, *self.in_conditions(stage, corpus)]

    def _calibrates(self) -> bool:
        """Tell whether action units are measured from a resting face that the corpus shows."""
        options = self.config.action_units
        return "neutral" in backends.needs(options.backend) and options.calibration != "none"

    def action_unit_inputs(self, corpus: str, shard: str) -> dict[str, str]:
        """Return what the action units of a shard are measured from, by the name of the command's option."""
        places = {"frames": "split.frames", "landmarks": "landmarks", "index": self.clips(corpus), "neutral": "neutral"}
        return {
            name: self.layout.path(places[name], corpus=corpus, shard=shard)
            for name in backends.needs(self.config.action_units.backend)
            if name in places and (name != "neutral" or self._calibrates())
        }

    def emotion_inputs(self, corpus: str) -> dict[str, str | list[str]]:
        """Return what the emotion labels of a corpus are made from, by the name of the command's option."""
        units = {"action_units": self.shards(corpus, "action_units")}
        if not self._calibrates():
            return {**units}
        return {
            **units,
            "index": self.shards(corpus, self.clips(corpus)),
            "neutral": self.layout.path("neutral", corpus=corpus),
        }

    def phone_tables(self, corpus: str) -> list[str]:
        """Return the user's own files that the phones of a corpus are found by."""
        options, phones = self.config.corpora[corpus], self.config.phones
        tables = transcript_files(options) if phones.backend == "align" else []
        truth = [str(Path(options.truth) / "phonemes.parquet")] if options.truth and phones.backend == "truth" else []
        own = [file for file in (phones.dictionary, phones.visemes) if file is not None]
        return [*map(str, tables), *truth, *own]

    def phones(self) -> list[str]:
        """Return the phones of every corpus that is heard.

        Raises
        ------
        UserError
            There is none.
        """
        heard = [name for name in self.config.with_clips() if self.config.corpora[name].audio]
        if not heard:
            raise UserError("phones: no corpus has sound that is read: each has audio: false")
        return [shard for name in heard for shard in self.shards(name, "phones")]

    def annotations(self, corpus: str) -> list[str]:
        """Return the files, beside its media, that labels and partitions of a corpus are read from."""
        options = self.config.corpora[corpus]
        return reader_of(options).annotations(options)

    def people_files(self, corpus: str) -> list[str]:
        """Return the files of a corpus that the sex of its speakers is read from."""
        options = self.config.corpora[corpus]
        return reader_of(options).people_files(options)

    def own_targets(self, corpus: str, setting: str) -> str:
        """Return the table of label targets of a setting."""
        return self.target_tables(corpus, setting)[corpus][0]

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

    # What models learn from.

    def of_corpora(self, artefact: str, corpora: Iterable[str]) -> Keyed:
        """Return {corpus: all shards} of an artefact; `clips` is the one that lists the clips."""
        return {name: self.shards(name, self.clips(name) if artefact == "clips" else artefact) for name in corpora}

    def sets(self, artefacts: Sequence[str], corpora: Iterable[str]) -> Keyed:
        """Return {corpus.artefact: all shards} of several artefacts."""
        return {f"{name}.{artefact}": self.shards(name, artefact) for name in corpora for artefact in artefacts}

    def labels(self, tasks: str) -> Keyed:
        """Return {corpus.task: pseudo-label table} of a set of tasks."""
        return {
            f"{corpus}.{task}": self.shards(corpus, LABELLED[task].stage)
            for corpus in self.config.heard_for_pretraining()
            for task in tasks.split("-")
            if task in LABELLED and task in self.config.tasks_of(corpus)
        }

    def sound_encoder(self, stage: str, start: str | None = None, exported: str | None = None) -> str | None:
        """Return the encoder by which a training hears sound; None where it does not.

        `start` is the initialisation, `exported` the name of a model to export.
        """
        if stage == "export":
            starts = self.config.initialisations() if exported == BEST else [exported or SCRATCH]
        elif stage in ("finetune", "pretrain"):
            starts = [start or SCRATCH]
        else:
            return None
        group = "pretrain" if stage == "pretrain" else "finetune"
        return self.config.model.features[0] if any(self.config.hears_sound(group, one) for one in starts) else None

    def features(self, corpora: Iterable[str], sound: bool = False) -> Keyed:
        """Return {corpus.feature: all files} of what the model hears of corpora; with `sound` their sound itself.

        Raises
        ------
        UserError
            The user's own features are asked for at another speed or in a condition.
        """
        found = {}
        for corpus in corpora:
            own = self._options_of(corpus).features
            foreign = [name for name in self.config.model.features if name in own]
            if foreign and "@" in corpus:
                key, form = ("finetune.speeds", "at another speed")
                if condition_of(corpus):
                    key, form = ("evaluate.conditions", "of other sound")
                raise UserError(
                    f"{key}: {foreign[0]!r} are features of your own, which cannot be had {form}: set {key}: []"
                )
            for name in self.config.model.features:
                stage = "split.audio" if sound else name
                files = list(map(str, expand(own[name]))) if name in own else self.shards(corpus, stage)
                found[f"{corpus}.{name}"] = files
        return found

    def setting_names(self) -> set[str]:
        """Return the names of all settings of all corpora."""
        return {name for of in (self.settings, self.ablated) for settings in of.values() for name in settings}

    def setting(self, corpus: str, name: str) -> Setting:
        """Return the setting of that name."""
        return {**self.settings[corpus], **self.ablated[corpus]}[name]

    def target_tables(self, corpus: str, setting: str) -> Keyed:
        """Return {corpus: table of label targets}: of the setting, and the first of each corpus it is trained on."""
        own = self.setting(corpus, setting).target_name
        chosen = {
            name: own if name == corpus else next(iter(self._first_target(name)))
            for name in self.config.learnt_from(corpus)
        }
        return {name: [self.layout.path("targets", corpus=name, target=target)] for name, target in chosen.items()}

    # What is trained, and what starts from it.

    def checkpoints(self, network: str, tasks: str) -> list[str]:
        """Return the checkpoints of a set of tasks, one for each seed; both may be wildcards."""
        return [
            self.layout.path("pretrain.checkpoint", network=network, tasks=tasks, seed=seed)
            for seed in range(self.config.pretrainings)
        ]

    def learnt_encoders(self, network: str, tasks: str) -> list[str]:
        """Return the weights of the pre-trained encoder after each of these, where it learns too."""
        place = self.layout.path("pretrain.encoder", network=network, tasks=tasks)
        return [place.replace("{seed}", str(seed)) for seed in range(self.config.pretrainings)]

    def start(self, variant: Variant, initialisation: str) -> list[str]:
        """Return the checkpoints that an initialisation starts from, one for each pre-training; none from scratch."""
        if initialisation in self.config.finetune.checkpoints:
            return self.config.checkpoints_of(initialisation)
        return [] if initialisation == SCRATCH else self.checkpoints(variant.network, initialisation)

    def export_starts(self, name: str) -> Keyed:
        """Return {initialisation: checkpoints} of what an exported model may start from; scratch has none."""
        names = self.config.initialisations() if name == BEST else [name]
        return {start: self.start(self.config.variant, start) for start in names if start != SCRATCH}

    def export_histories(self, corpus: str, setting: str, name: str) -> Keyed:
        """Return {initialisation: history of its fine-tuning} of those that `best` chooses from, none for another."""
        names = self.config.initialisations() if name == BEST else []
        histories = self.tuned(corpus, setting, self.config.variant, names, "history")
        return {start: [file] for start, file in zip(names, histories, strict=True)}

    def tuned(
        self, corpus: str, setting: str, variant: Variant, starts: Sequence[str], part: str = "predictions"
    ) -> list[str]:
        """Return the predictions, or another part, of these initialisations with loss and aggregator of a variant."""
        place = self.layout.path(f"finetune.{part}", corpus=corpus, setting=setting, variant=variant.name)
        return [place.replace("{initialisation}", start) for start in starts]

    def has_baseline(self, corpus: str, setting: str) -> bool:
        """Tell whether a setting is compared with baselines: these learn one class of each clip, nothing else."""
        return bool(self.config.baseline.normalise) and self.setting(corpus, setting).kind == "hard"

    def _has_ensembles(self, corpus: str, setting: str) -> bool:
        return bool(ensembles_of(self.config.ensemble.members, self.setting(corpus, setting).kind))

    def _beside(self, corpus: str, setting: str) -> list[str]:
        """Return the artefacts of what is compared with fine-tuning: DeepEmoCluster, support vector machines."""
        clustered = ["deepemocluster.predictions"] if self.config.deepemocluster.variants else []
        return [*clustered, *(["baseline.predictions"] if self.has_baseline(corpus, setting) else [])]

    def beside(self, corpus: str, setting: str) -> list[str]:
        """Return the predictions of what is compared with fine-tuning."""
        return [self.layout.path(name, corpus=corpus, setting=setting) for name in self._beside(corpus, setting)]

    def alone(self, corpus: str, setting: str) -> list[str]:
        """Return the predictions of every initialisation, and of what stands beside them, in a setting."""
        tuned = self.tuned(corpus, setting, self.config.variant, self.config.initialisations())
        return [*tuned, *self.beside(corpus, setting)]

    def predictions(self, corpus: str, setting: str) -> list[str]:
        """Return the same predictions and those of ensembles."""
        together = [self.layout.path("ensemble.predictions", corpus=corpus, setting=setting)]
        return [*self.alone(corpus, setting), *(together if self._has_ensembles(corpus, setting) else [])]

    # What ends in tables.

    @cached_property
    def groups(self) -> list[ScoredTogether]:
        """What is scored over several corpora; none where no two are tested alike."""
        found: dict[tuple[Kind, str], ScoredTogether] = {}
        for corpus in self.config.used_for("finetune"):
            across = self.config.corpora[corpus].protocol.name == "cross_corpus"
            for name, setting in self.settings[corpus].items():
                key = (setting.kind, "across" if across else "within")
                group = found.setdefault(key, ScoredTogether(*key, {}))
                group.settings.setdefault(self.config.clips_of(corpus), []).append((corpus, name))
        return [group for group in found.values() if len(group.settings) > 1]

    def scored_together(self) -> list[str]:
        """Return the predictions that `overall` reads."""
        members = [one for group in self.groups for one in group.members]
        return [file for corpus, setting in members for file in self.predictions(corpus, setting)]

    def ablation(self) -> list[str]:
        """Return what the ablation compares: predictions of every system, of what stands beside, and raters' pairs."""
        starts, found = self.config.ablated_starts(), []
        for corpus, settings in self.ablated.items():
            for name, setting in settings.items():
                for variant in self.config.ablated(setting.votes):
                    found += self.tuned(corpus, name, variant, starts)
                found += self.beside(corpus, name)
                if setting.votes and "penalty" in self.config.ablation.losses:
                    found.append(self.layout.path("co_occurrence", corpus=corpus, setting=name))
        return found

    def tables(self) -> list[str]:
        """Return the result tables."""
        config = self.config
        asked_for = [
            (TABLES, True),
            (TOGETHER_TABLES, bool(self.groups)),
            (COMPARED_TABLES, config.report.compare_action_units),
            (PENALTY_TABLES, config.finetune.loss == "penalty"),
            (LAYER_TABLES, config.model.encoder == LAYERS),
            (TRUTH_TABLES, any(corpus.truth for corpus in config.corpora.values())),
        ]
        return self.named_tables(name for tables, made in asked_for if made for name in tables)

    def named_tables(self, names: Iterable[str]) -> list[str]:
        """Return the paths of tables."""
        return [self.layout.path("tables", table=name) for name in names]
