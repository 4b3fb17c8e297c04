"""What a configuration asks for: which artefacts there will be, and what each is made from.

The rules of the workflow ask here, so that they hold no logic of their own; no artefact is opened.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from avpretext.config import Config
from avpretext.corpora import emobox, label_maps, reader_of, settings_of, target_name, targets_of
from avpretext.corpora.settings import Setting
from avpretext.paths import Layout

SCORES = ("metrics", "runs", "comparisons", "confusion")
"""Files that `evaluate` writes of each setting."""

TABLES = (
    "main.csv", "main.md", "main.tex", "provenance.csv", "provenance.json", "per_class.csv", "significance.csv",
    "label_balance.csv", "folds.csv", "corpora.csv", "rejects.csv", "rejects_clips.csv", "action_units.csv",
    "au_combinations.csv",
)  # fmt: skip
TRUTH_TABLES = ("truth.csv", "truth_action_units.csv")

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
        self.targets = {name: self._targets_of(name) for name in config.corpora}

    def _targets_of(self, corpus: str) -> dict[str, str]:
        """Return {name: target} of the label targets that anything is trained or tested on."""
        learnt = {setting.target_name: setting.target for setting in self.settings[corpus].values()}
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

    def refusing(self, corpus: str) -> list[str]:
        """Return the stages that can refuse clips of a corpus."""
        cut = ["segment"] if self.config.corpora[corpus].segment else []
        seen = ["landmarks"] if corpus in self.config.with_video() else []
        return ["index", *cut, "split", "speech", *seen]

    def shards(self, corpus: str, stage: StageOf, artefact: str | None = None) -> list[str]:
        """Return all shards of a stage of a corpus."""
        count = self.config.corpora[corpus].shards
        return self.layout.shards(corpus, _name(stage, corpus), count, artefact)

    def shard_set(self, corpus: str, stage: StageOf, artefact: str | None = None) -> str:
        """Return the same shards in the short form of the command line, FOLDER@COUNT."""
        first = self.layout.shard(corpus, _name(stage, corpus), 0, artefact)
        return f"{Path(first).parent}@{self.config.corpora[corpus].shards}"

    def action_unit_inputs(self, corpus: str, shard: str) -> dict[str, str]:
        """Return what the action units of a shard are measured from, by the name of the command's option."""
        backend, stage = self.config.action_units.backend, self.config.corpora[corpus].clips_stage
        if backend == "pyfeat":
            return {"frames": self.layout.shard(corpus, "split", shard, "frames")}
        landmarks = {"landmarks": self.layout.shard(corpus, "landmarks", shard)}
        if backend == "import":
            return landmarks
        calibrated = {"neutral": self.layout.corpus(corpus, "neutral")}
        needed = calibrated if self.config.action_units.calibration == "speaker" else {}
        return {**landmarks, "index": self.layout.shard(corpus, stage, shard), **needed}

    def imports(self) -> str | None:
        """Return what changes when a file of imported action units is added, replaced or removed; None without any."""
        options = self.config.action_units
        if options.backend != "import" or options.imports is None:
            return None
        files = sorted(Path(options.imports).rglob("*.csv"))
        lines = [f"{file}\0{file.stat().st_size}\0{file.stat().st_mtime_ns}" for file in files]
        return hashlib.blake2b("\0\0".join(lines).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()

    def labels(self, corpus: str) -> list[str]:
        """Return the pseudo-label tables of a corpus."""
        return [self.layout.corpus(corpus, f"labels_{task}") for task in self.config.tasks_of(corpus)]

    def task_labels(self, tasks: str) -> dict[str, str]:
        """Return the pseudo-label tables of a set of tasks, as {corpus.task: path}."""
        return {
            f"{corpus}.{task}": self.layout.corpus(corpus, f"labels_{task}")
            for corpus in self.config.used_for("pretrain")
            for task in tasks.split("-")
            if task in self.config.tasks_of(corpus)
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

    def setting(self, corpus: str, name: str) -> Setting:
        """Return the setting of that name."""
        return self.settings[corpus][name]

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
        """Return the predictions of every initialisation, and of the baselines, in a setting."""
        starts = self.config.initialisations()
        tuned = [self.layout.finetune(corpus, setting, start, "predictions.parquet") for start in starts]
        return tuned + ([self.layout.baseline(corpus, setting)] if self.has_baseline(corpus, setting) else [])

    def scores(self, corpus: str, setting: str) -> list[str]:
        """Return the scores of a setting; both may be wildcards."""
        return [self.layout.evaluate(corpus, setting, name) for name in SCORES]

    def tables(self) -> list[str]:
        """Return the result tables."""
        known = any(corpus.truth for corpus in self.config.corpora.values())
        compared = ("compared_action_units.csv",) if self.config.report.compare_action_units else ()
        return [self.layout.table(name) for name in (*TABLES, *compared, *(TRUTH_TABLES if known else ()))]

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
        trained = [self.layout.pretrain(tasks, "history.parquet") for tasks in self.config.task_sets()]
        return [*tested, *refused, *seen, *labels, *trained]


def _name(stage: StageOf, corpus: str) -> str:
    return stage if isinstance(stage, str) else stage(corpus)
