"""How good must emotion labels be? Pre-train on labels of known quality, fine-tune, compare with training from scratch.

python benchmarks/label_quality.py RESULTS TRUTH OUTPUT [--new FILE] [--seeds 6] [--threads 2] [--only NAME ...]

RESULTS is the finished results folder of the demo, TRUTH its true emotions (`data/demo/truth/clips.parquet`), FILE a
table of `labels_emotion` by a later version. Trainings are kept in OUTPUT: a second call trains what is missing. It
prints three tables: labels of known quality against scratch, and against the labels as measured; uses of the
confidence against the same labels.
"""

import argparse
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from avpretext.config import Config
from avpretext.config_file import load
from avpretext.evaluation import scores
from avpretext.evaluation.formats import decimal, markdown, probability
from avpretext.flow.paths import CHECKPOINT
from avpretext.run.plan import Plan
from avpretext.systems import SCRATCH
from avpretext.training import finetune, pretrain

UNLABELLED, LABELLED, SETTING, MEASURE = "demo_unlabelled", "demo_labelled", "acted.speaker_kfold", "macro_f1"
ATTRACTOR = "DIS"
"""The class that wrong labels of strangers' faces fell to most often."""

SURENESS = (2.66, 1.14)
"""Confidences are drawn from this Beta distribution: .70 of the labels right, AUC .78 for right against wrong."""

Make = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]
Job = tuple[Path, Config, Mapping[str, Sequence[Path]], Mapping[str, Path]]


@dataclass(frozen=True)
class LabelSet:
    """Labels to pre-train on.

    Attributes
    ----------
    title
        Of its row.
    make
        From the measured labels, with a column `emotion` of the truth, and a generator, to these labels.
    options
        Of `pretrain`, beside the demo's.
    beside
        Name of the set that it is compared with.
    tasks
        What is learnt; of other tasks than emotion, the labels of RESULTS.
    """

    title: str
    make: Make
    options: Mapping[str, Any] = field(default_factory=dict)
    beside: str = SCRATCH
    tasks: Sequence[str] = ("emotion",)


QUALITIES = ("truth", "measured", "wrong10", "wrong25", "wrong50", "wrong75", "pulled50", "new")
"""Sets that differ in how many labels are right, not in what is made of the confidence."""


def measured(labels: pl.DataFrame, _: np.random.Generator) -> pl.DataFrame:
    """Return the labels as they are."""
    return labels


def true(labels: pl.DataFrame, _: np.random.Generator) -> pl.DataFrame:
    """Return the true emotion of every clip."""
    return labels.with_columns(label=pl.col("emotion"), confidence=pl.lit(1.0))


def made_wrong(share: float) -> Make:
    """Give a share of the labelled clips, drawn at random, another class than the true one, drawn uniformly."""

    def make(labels: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
        rows = generator.permutation(np.flatnonzero(labels["label"].is_not_null()))  # a larger share has the smaller in
        return with_wrong(labels, rows[: round(share * len(rows))], generator)

    return make


def with_wrong(labels: pl.DataFrame, rows: np.ndarray[Any, Any], generator: np.random.Generator) -> pl.DataFrame:
    """Give these rows another class than the true one, drawn uniformly."""
    classes, given = sorted(labels["emotion"].unique()), labels["label"].to_list()
    for row in rows:
        given[row] = generator.choice([name for name in classes if name != labels["emotion"][int(row)]])
    return labels.with_columns(label=pl.Series(given, dtype=pl.String))


def pulled(share: float) -> Make:
    """Give a share of the labelled clips, drawn at random, one and the same class."""

    def make(labels: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
        rows = generator.permutation(np.flatnonzero(labels["label"].is_not_null()))
        given = labels["label"].to_list()
        for row in rows[: round(share * len(rows))]:
            given[row] = ATTRACTOR
        return labels.with_columns(label=pl.Series(given, dtype=pl.String))

    return make


def told(labels: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Return labels with a confidence c each that are right with probability c."""
    sure = generator.beta(*SURENESS, len(labels))
    rows = np.flatnonzero(generator.random(len(labels)) > sure)
    return with_wrong(true(labels, generator), rows, generator).with_columns(confidence=sure)


def sets(new: bool) -> dict[str, LabelSet]:
    """Return all sets of labels by their names; `new`: those of a later version too."""
    three, calibrated = ("energy", "activation", "emotion"), "calibrated confidence"
    weights: dict[str, Any] = {"confidence": True}
    likely, sure, surer = ({"min_confidence": {"emotion": least}} for least in (0.4, 0.5, 0.7))
    found = {
        "truth": LabelSet("true emotions", true),
        "measured": LabelSet("earlier labels", measured),
        **{f"wrong{share}": LabelSet(f"{share} % made wrong", made_wrong(share / 100)) for share in (10, 25, 50, 75)},
        "pulled50": LabelSet(f"50 % made {ATTRACTOR}", pulled(0.5)),
        "weighted": LabelSet("earlier labels, weights", measured, weights, "measured"),
        "sure": LabelSet("earlier labels, at least .5", measured, sure, "measured"),
        "three": LabelSet("earlier labels, all three tasks", measured, tasks=three),
        "three_weighted": LabelSet("earlier labels, all three tasks, weights", measured, weights, "three", three),
        **{task: LabelSet(f"{task} alone", measured, tasks=[task]) for task in three[:2]},
        **{
            f"{task}_weighted": LabelSet(f"{task} alone, weights", measured, weights, task, [task])
            for task in three[:2]
        },
        "told": LabelSet(calibrated, told),
        "told_weighted": LabelSet(f"{calibrated}, weights", told, weights, "told"),
        "told_sure": LabelSet(f"{calibrated}, at least .5", told, sure, "told"),
        "told_surer": LabelSet(f"{calibrated}, at least .7", told, surer, "told"),
    }
    later = {
        "new": LabelSet("present labels", measured),
        "new_three": LabelSet("present labels, all three tasks", measured, tasks=three),
        "new_three_weighted": LabelSet(
            "present labels, all three tasks, weights", measured, weights, "new_three", three
        ),
        "new_weighted": LabelSet("present labels, weights", measured, weights, "new"),
        "new_likely": LabelSet("present labels, at least .4", measured, likely, "new"),
        "new_sure": LabelSet("present labels, at least .5", measured, sure, "new"),
    }
    return found | (later if new else {})


def pretrain_once(job: Job) -> None:
    """Pre-train once, in a process of its own."""
    folder, config, shards, labels = job
    features, index = {UNLABELLED: {"speech": shards["speech"]}}, {UNLABELLED: shards["index"]}
    pretrain.run(list(labels), features, index, {UNLABELLED: labels}, config, folder, 1)


class Bench:
    """The trainings, in a folder."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.folder: Path = arguments.output
        self.seeds, self.threads = arguments.seeds, arguments.threads
        loaded = load("config.yaml").model_copy(update={"results": str(arguments.results)})
        tuning = loaded.finetune.model_copy(update={"seeds": self.seeds})
        self.config: Config = loaded.model_copy(update={"finetune": tuning})
        self.plan = Plan(self.config)
        truth = pl.read_parquet(arguments.truth).select("clip_id", "emotion")
        tables = {"measured": self.plan.labels("emotion")[f"{UNLABELLED}.emotion"][0]}
        tables |= {"new": str(arguments.new)} if arguments.new else {}
        self.tables = {
            name: pl.read_parquet(table).join(truth, on="clip_id", how="left", maintain_order="left")
            for name, table in tables.items()
        }

    def labels(self, name: str, labels: LabelSet, draw: int) -> pl.DataFrame:
        """Return one draw of a set of labels: the same clips for sets that draw alike."""
        table = self.tables["new" if name.startswith("new") else "measured"]
        return labels.make(table, np.random.default_rng([draw, 16]))

    def pretrained(self, name: str, labels: LabelSet) -> list[Path]:
        """Pre-train once on each draw, where it is not done; return the checkpoints."""
        folders = [self.folder / "pretrain" / name / str(draw) for draw in range(self.seeds)]
        checkpoints = [folder / "0" / CHECKPOINT for folder in folders]
        drawn = [self.job(folder, name, labels, draw) for draw, folder in enumerate(folders)]
        jobs = [job for job, path in zip(drawn, checkpoints, strict=True) if not path.exists()]
        with ProcessPoolExecutor(self.threads, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(pretrain_once, jobs))
        return checkpoints

    def job(self, folder: Path, name: str, labels: LabelSet, draw: int) -> Job:
        """Write one draw of the labels; return the folder of its pre-training, options, shards, tables of labels."""
        folder.mkdir(parents=True, exist_ok=True)
        given = folder / "labels.parquet"
        self.labels(name, labels, draw).write_parquet(given)
        tables = {task: Path(self.plan.labels(task)[f"{UNLABELLED}.{task}"][0]) for task in labels.tasks}
        pretraining = chosen(self.config, {**labels.options, "seeds": 1})
        settings = self.config.model_copy(update={"seed": self.config.seed + draw, "pretrain": pretraining})
        shards = {stage: [Path(file) for file in self.plan.shards(UNLABELLED, stage)] for stage in ("speech", "index")}
        return folder, settings, shards, {**tables, **({"emotion": given} if "emotion" in tables else {})}

    def finetuned(self, name: str, starts: Sequence[Path]) -> Path:
        """Fine-tune from each pre-training on each fold, where it is not done; return the predictions."""
        folder = self.folder / "finetune" / name
        if not (folder / "predictions.parquet").exists():
            features = {LABELLED: {"speech": list(map(Path, self.plan.shards(LABELLED, "speech")))}}
            targets = {LABELLED: Path(self.plan.target_tables(LABELLED, SETTING)[LABELLED][0])}
            folds = Path(str(self.plan.layout.path("folds", corpus=LABELLED, setting=SETTING)))
            finetune.run(name, starts, features, targets, folds, None, self.config, folder, self.threads)
        return folder / "predictions.parquet"

    def quality(self, name: str, labels: LabelSet) -> list[str]:
        """Return the share of clips that teach emotion, and of right labels among them, means over the draws."""
        if "emotion" not in labels.tasks:
            return ["", ""]
        least = float(labels.options.get("min_confidence", {}).get("emotion", 0.0))
        drawn = [self.labels(name, labels, draw) for draw in range(self.seeds)]
        taught = [table.filter(pl.col("label").is_not_null(), pl.col("confidence") >= least) for table in drawn]
        right = [table.select((pl.col("label") == pl.col("emotion")).mean()).item() for table in taught]
        shares = [len(some) / len(table) for some, table in zip(taught, drawn, strict=True)]
        return [decimal(float(np.mean(values)), 3) for values in (shares, right)]


def chosen(config: Config, options: Mapping[str, Any]) -> Any:
    """Return the demo's options of pre-training with others, checked."""
    return type(config.pretrain).model_validate({**config.pretrain.model_dump(), **options})


class Scores:
    """Scores of the systems, and their comparisons."""

    def __init__(self, bench: Bench, files: Mapping[str, Path]) -> None:
        self.task = scores.task_of(list(files.values()))
        self.options, self.seed = bench.config.evaluate, bench.config.seed
        rows = {name: scores.read_test([file], self.task.scoring) for name, file in files.items()}
        own = {name: some.filter(pl.col("seed") < bench.seeds) for name, some in rows.items()}
        self.systems = {name: scores.collect(name, some, self.task) for name, some in own.items()}
        found = scores.metric_rows(list(self.systems.values()), self.task, self.options, self.seed)
        self.rows = {row["initialisation"]: row for row in found if row["measure"] == MEASURE and row["class"] is None}

    def score(self, name: str) -> str:
        """Return the score of a system with its interval."""
        return with_interval(self.rows[name], "value", sign=False)

    def compared(self, names: Sequence[str], beside: Callable[[str], str]) -> dict[str, list[str]]:
        """Return the difference of each of these systems to another with its interval, p, and p by Holm's method."""
        pairs = [(self.systems[name], self.systems[beside(name)]) for name in names]
        rows = [scores.compare(*pair, MEASURE, self.task.scoring, self.options, self.seed) for pair in pairs]
        return {
            name: [with_interval(row, "difference"), probability(row["p_value"]), probability(row["p_holm"])]
            for name, row in zip(names, scores.corrected(rows, "p_value"), strict=True)
        }


def with_interval(row: Mapping[str, Any], key: str, sign: bool = True) -> str:
    """Return a number of a row with its interval."""
    value, low, high = (decimal(row[name], 3, sign=sign) for name in (key, "ci_low", "ci_high"))
    return f"{value} [{low}, {high}]"


def tables(bench: Bench, asked: Mapping[str, LabelSet], scored: Scores) -> Iterator[str]:
    """Yield the tables of label quality, against scratch and as measured, and of uses of the confidence."""
    plain = [name for name, one in asked.items() if one.beside == SCRATCH and name in QUALITIES]
    used = [name for name, one in asked.items() if one.beside != SCRATCH]
    besides = dict.fromkeys(asked[name].beside for name in used)
    first = ["none: from scratch", "", "", scored.score(SCRATCH), "", "", ""]
    yield rows_of(bench, asked, scored, plain, lambda _: SCRATCH, [first])
    if "measured" in plain:
        others = [name for name in plain if name != "measured"]
        yield rows_of(bench, asked, scored, others, lambda _: "measured")
    yield rows_of(
        bench,
        asked,
        scored,
        used,
        lambda name: asked[name].beside,
        [[asked[name].title, *bench.quality(name, asked[name]), scored.score(name), "", "", ""] for name in besides],
    )


def rows_of(
    bench: Bench,
    asked: Mapping[str, LabelSet],
    scored: Scores,
    names: Sequence[str],
    beside: Callable[[str], str],
    first: Sequence[Sequence[str]] = (),
) -> str:
    """Return a table of these sets of labels, one family of comparisons."""
    header = ["labels", "clips that teach", "right", "macro-F1", "difference to", "p", "p (Holm)"]
    rows = []
    for name, (difference, *p_values) in scored.compared(names, beside).items():
        quality = bench.quality(name, asked[name])
        other = asked[beside(name)].title if beside(name) in asked else beside(name)
        rows.append([asked[name].title, *quality, scored.score(name), f"{other}: {difference}", *p_values])
    return markdown(header, [*first, *rows], numbers=1)


def main() -> None:
    """Train what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("results", "truth", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--new", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    bench = Bench(arguments)
    known = sets(bool(arguments.new))
    asked = {name: one for name, one in known.items() if name in arguments.only or not arguments.only}
    files = {SCRATCH: bench.finetuned(SCRATCH, [])}
    files |= {name: bench.finetuned(name, bench.pretrained(name, one)) for name, one in asked.items()}
    print(*tables(bench, asked, Scores(bench, files)), sep="\n")


if __name__ == "__main__":
    main()
