"""Memory, time and disk of the stages by the number of clips, and what each clip costs; two checkouts side by side.

    python benchmarks/size.py [--results results] [--clips 1000 4000] [--stages labels_energy pretrain:energy ...]
        [--options '{"pretrain": {"epochs": 2}}'] [--folds 1] [--against OTHER_CHECKOUT] [--work FOLDER] [--keep]

The corpora are those of the finished demo (`make demo`), copied as often as it takes, and their numbers are changed by
a few percent, so that nothing is read twice from the same bytes. Clips last 2 s on average: 110,000 of them are 60
hours. Every copy of the unlabelled corpus has speakers of its own; the labelled one has 91 speakers, as CREMA-D has.
Predictions are those of the demo, changed likewise, of the folds that the stage `folds` makes.

Each stage is a process of its own with one thread. `memory` is the highest anonymous memory, which cannot be given back
without swap; what is mapped from disk is not counted, for the system takes it back when it is needed elsewhere. `disk`
is the most that lay in arrays without names. Seconds are of the processor, those of the clock in brackets: until the
first epoch, of the last epoch, and in all. `pretrain:TASKS` names the set of tasks, such as `energy-emotion`. With
`--against`, another checkout works on the same files, in turns. Prints Markdown.
"""

import argparse
import functools
import importlib
import itertools
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

UNLABELLED, LABELLED = "demo_unlabelled", "demo_labelled"
TARGET, SETTING = "acted", "acted.speaker_kfold"
TUNED, SCRATCH = f"finetune/{SETTING}/base.mean", "scratch"
SPEAKERS, FOLDS, SEEDS = 91, 5, 3
"""Of the labelled corpus."""

TASK_SETS = [
    list(tasks) for size in (1, 2, 3) for tasks in itertools.combinations(("energy", "activation", "emotion"), size)
]
SYSTEMS = [SCRATCH, *("-".join(tasks) for tasks in TASK_SETS)]

READS = {
    "labels_energy": (UNLABELLED, "index", "speech"),
    "labels_activation": (UNLABELLED, "motion", "split/audio"),
    "labels_emotion": (UNLABELLED, "index", "action_units", "neutral"),
    "pretrain": (UNLABELLED, "index", "speech", "labels_energy", "labels_activation", "labels_emotion"),
    "folds": (LABELLED, "index", "split/audio", "targets"),
    "finetune": (LABELLED, "speech", "targets", "folds"),
    "deepemocluster": (LABELLED, "log_mel", "targets", "folds"),
    "baseline": (LABELLED, "functionals", "targets", "folds"),
    "evaluate": (LABELLED, "folds", "predictions"),
    "trust": (LABELLED, "targets", "folds", "predictions"),
    "tables": (LABELLED, "index", "split/audio", "targets", "folds", "predictions"),
    "report": (LABELLED, "index", "split/audio", "targets", "folds", "predictions"),
}
"""The corpus of a stage, and what it reads of it; the other corpus counts in `tables` and `report` if it is there."""

TRAININGS = ("pretrain", "finetune", "deepemocluster")
"""Stages that have epochs."""

COPIES_PER_SHARD = 3
"""So that a shard has about 200 clips."""

BANDS = 64
NAMES = ("clip_id", "path", "content", "group")
"""Columns of texts that tell copies apart, beside `speaker`."""


def main() -> None:
    """Make corpora, run stages on them, and print tables."""
    if sys.argv[1:2] == ["run"]:
        stage, options, folds, folder = sys.argv[2:]
        measure(stage, json.loads(options), int(folds), Path(folder))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--clips", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--stages", nargs="+", default=list(READS), help="the default is all, in this order")
    parser.add_argument("--options", default="{}", help="of the configuration, as JSON; else one epoch is trained")
    parser.add_argument("--folds", default="1", help="how many are fine-tuned")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--keep", action="store_true", help="keep the corpora in WORK/CLIPS, and use those there")
    arguments = parser.parse_args()
    checkouts = {"this": Path(__file__).resolve().parents[1]}
    if arguments.against:
        checkouts = {"other": arguments.against.resolve(), **checkouts}
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    print("| stage | clips | checkout | memory, MB | resident, MB | disk, MB | first, s | epoch, s | all, s |")
    print("|---|---:|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for clips in arguments.clips:
        with tempfile.TemporaryDirectory(dir=arguments.work) as work:
            folder = arguments.work / str(clips) if arguments.keep else Path(work)
            for stage, (name, checkout) in itertools.product(arguments.stages, checkouts.items()):
                corpus, *needed = READS[stage.partition(":")[0]]
                own = rows_of(arguments.results / corpus)
                copies = -(-clips // own)
                for one in needed:
                    make(arguments.results / corpus, folder / corpus, copies, one)
                measured = in_process(checkout, stage, (arguments.options, arguments.folds), folder)
                found.setdefault((stage, name), []).append({**measured, "clips": copies * own})
                row = [f"{measured[part]:,.0f}" for part in ("memory", "resident", "disk")]
                row += [f"{measured[part]:.1f} ({measured[f'{part}_clock']:.1f})" for part in ("first", "epoch", "all")]
                print(f"| `{stage}` | {copies * own:,} | {name} | {' | '.join(row)} |", flush=True)
    print_slopes(found)


def print_slopes(found: dict[tuple[str, str], list[dict[str, float]]]) -> None:
    """Print what a clip costs: by the straight line through all sizes."""
    print("\n| stage | checkout | memory, bytes a clip | disk, bytes a clip | first, ms | epoch, ms | all, ms |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for (stage, name), rows in found.items():
        if len(rows) > 1:
            clips = [row["clips"] for row in rows]
            slopes = {part: np.polyfit(clips, [row[part] for row in rows], 1)[0] for part in rows[0]}
            told = [f"{slopes[part] * 1e6:,.0f}" for part in ("memory", "disk")]
            told += [f"{slopes[part] * 1e3:.2f}" for part in ("first", "epoch", "all")]
            print(f"| `{stage}` | {name} | {' | '.join(told)} |")


def in_process(checkout: Path, stage: str, options: tuple[str, str], folder: Path) -> dict[str, float]:
    """Run a stage in a new process with the package of a checkout; return what it measured."""
    command = [sys.executable, str(Path(__file__).resolve()), "run", stage, *options, str(folder)]
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    environment = {**os.environ, **limits, "PYTHONPATH": str(checkout / "src"), "THP_MEM_ALLOC_ENABLE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{stage}, {checkout}: {done.stderr[-2000:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def rows_of(corpus: Path) -> int:
    """Return the number of clips of a corpus."""
    return sum(pq.read_metadata(path).num_rows for path in corpus.glob("index/*.parquet"))


def make(corpus: Path, target: Path, copies: int, name: str) -> None:
    """Write what is read of a corpus, unless it is there."""
    if name == "predictions":
        make_predictions(corpus, target)
        make_people(target.parent / "data")
    elif not (target / name).exists():
        copy_shards(corpus, name, target / name, copies)


def copy_shards(corpus: Path, name: str, folder: Path, copies: int) -> None:
    """Write the shards, or the one table, of a stage as often, their numbers changed; spectrograms are noise."""
    sources = sorted((corpus / ("speech" if name == "log_mel" else name)).glob("*.parquet"))
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    unfinished.mkdir(parents=True, exist_ok=True)
    numbers, people = itertools.count(), speakers_of(corpus)
    for source in sources:
        table = spectrogram(source) if name == "log_mel" else pq.read_table(source)
        table = table.drop_columns(["audio"]) if "audio" in table.column_names else table
        sharded = source.stem.isdigit()
        step = COPIES_PER_SHARD if sharded else copies
        for first in range(0, copies, step):
            path = unfinished / (f"{next(numbers):04d}.parquet" if sharded else source.name)
            with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
                for copy in range(first, min(copies, first + step)):
                    part = perturbed(renamed(table, copy, people), copy, name)
                    writer.write_table(part, row_group_size=65_536)
    unfinished.rename(folder)


def speakers_of(corpus: Path) -> list[str]:
    """Return the speakers of the labelled corpus, sorted; none of the other."""
    if corpus.name != LABELLED:
        return []
    index = pl.read_parquet(sorted(corpus.glob("index/*.parquet")))
    return index["speaker"].unique().sort().to_list()


def spectrogram(path: Path) -> pa.Table:
    """Return log-mel bands of noise, as loud as the speech is."""
    speech, rng = pq.read_table(path), np.random.default_rng(0)
    loud = np.log(1e-4 + speech["energy"].to_numpy())
    bands = {f"mel[{band}]": (loud + rng.normal(size=len(loud))).astype(np.float32) for band in range(BANDS)}
    return pa.table({**{key: speech[key] for key in ("clip_id", "frame", "time_s")}, **bands})


def renamed(table: pa.Table, copy: int, people: Sequence[str]) -> pa.Table:
    """Return a table of clips with names of their own: speakers too, or they are dealt to `SPEAKERS` of `people`."""
    for place, name in enumerate(table.column_names):
        if name == "speaker" and people:
            known = {speaker: str(1101 + (copy * len(people) + at) % SPEAKERS) for at, speaker in enumerate(people)}
            column = pl.Series(table[name].cast(pa.string())).replace(known).to_arrow().cast(pa.string())
        elif name in (*NAMES, "speaker"):
            column = pc.binary_join_element_wise(table[name].cast(pa.string()), f"{copy:05d}", "~")
        else:
            continue
        table = table.set_column(place, table.schema.field(name).with_type(pa.string()), column)
    return table


def perturbed(table: pa.Table, copy: int, stage: str) -> pa.Table:
    """Return a table whose numbers of float32 are changed by some percent, alone or in lists; labels stay."""
    rng = np.random.default_rng(copy)
    for place, field in enumerate(table.schema):
        kind, column = field.type, table[field.name]
        if field.name == "votes":  # of ten raters, most of whom agree with the label
            values = np.stack(table["values"].to_pylist())
            votes = [rng.multinomial(10, shares) for shares in 0.7 * values + 0.3 / values.shape[1]]
            table = table.set_column(place, field, pa.array([row.astype(np.float32) for row in votes], kind))
        elif field.name == "fingerprint":
            flat = column.combine_chunks()
            values = flat.flatten().to_numpy() * np.uint32(2 * rng.integers(1 << 22) + 1) % np.uint32(1 << 24)
            table = table.set_column(place, field, pa.ListArray.from_arrays(flat.offsets, pa.array(values), kind))
        elif stage == "targets" or stage.startswith("labels"):
            continue
        elif kind == pa.float32():
            values = column.to_numpy() * rng.normal(1, 0.03, len(column)).astype(np.float32)
            values = np.minimum(values, 1) if stage == "action_units" else values
            table = table.set_column(place, field, pa.array(values, pa.float32(), from_pandas=True))
        elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
            flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            flat = flat * rng.normal(1, 0.03, len(flat)).astype(np.float32)
            parts = pl.Series(flat).reshape((len(column), -1)).to_list() if len(column) else []
            table = table.set_column(place, field, pa.array(parts, kind))
    return table


def make_predictions(corpus: Path, target: Path) -> None:
    """Write predictions of `SYSTEMS`, unless they are there, on the folds of the target."""
    from avpretext.training.predictions import HistoryRow, LabelledFolds, Run

    table, rng = target / "folds" / f"{SETTING}.parquet", np.random.default_rng(0)
    labelled = LabelledFolds.read({LABELLED: target / "targets" / f"{TARGET}.parquet"}, table)
    demo = pl.read_parquet(corpus / TUNED / SCRATCH / "predictions.parquet").filter(
        pl.col("seed") < SEEDS, split="test"
    )
    curves = pl.read_parquet(corpus / TUNED / SCRATCH / "history.parquet")
    for name in SYSTEMS:
        runs = []
        for ((seed,), rows), fold in itertools.product(
            demo.group_by("seed", maintain_order=True), labelled.table.folds
        ):
            learnt = curves.filter(seed=seed, fold=fold.number % curves["fold"].n_unique())
            history = [HistoryRow(*row) for row in learnt.select(HistoryRow._fields).iter_rows()]
            runs.append((name, Run(fold.number, seed, changed(rows, fold.parts, rng), history)))
        if not (target / TUNED / name / "predictions.parquet").exists():
            labelled.write(runs, "finetune", {}, target / TUNED / name, 0 if name == SCRATCH else SEEDS)


def make_people(folder: Path) -> None:
    """Write the sex of each speaker of the labelled corpus, as CREMA-D does."""
    folder.mkdir(exist_ok=True)
    people = [
        {"ActorID": 1101 + number, "Age": 30, "Sex": ("Female", "Male")[number % 2]} for number in range(SPEAKERS)
    ]
    pl.DataFrame(people).write_csv(folder / "VideoDemographics.csv")


def changed(demo: pl.DataFrame, parts: Mapping[str, Collection[str]], rng: np.random.Generator) -> list[Any]:
    """Return predictions of the dev and test clips of a fold: the demo's, of which they are copies, and some noise."""
    from avpretext.training.predictions import Prediction

    known, found = dict(demo.select("clip_id", "probabilities").iter_rows()), []
    for split in ("dev", "test"):
        names = sorted(parts[split])
        shares = np.array([known[re.sub(r"^.*/|~.*$", "", name)] for name in names]) + 1e-6
        shares *= np.exp(rng.normal(0, 0.3, shares.shape))
        found.append(Prediction(split, names, (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)))
    return found


def measure(stage: str, options: Mapping[str, Any], folds: int, folder: Path) -> None:
    """Run a stage in this process, and print what it took."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        run = prepared(stage, options, folds, folder, Path(output))
        marks = watched_epochs() if stage.partition(":")[0] in TRAININGS else []
        highest = watched_memory()
        begin = clocks()
        run()
        end = clocks()
    marks = marks or [begin]
    taken = {"first": marks[0] - begin, "epoch": marks[-1] - marks[-2:][0], "all": end - begin}
    seconds = {name: float(both[0]) for name, both in taken.items()}
    seconds |= {f"{name}_clock": float(both[1]) for name, both in taken.items()}
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({**highest, "resident": resident, **seconds}))


def prepared(stage: str, options: Mapping[str, Any], folds: int, folder: Path, output: Path) -> Callable[[], None]:
    """Return a stage as a function of nothing, its modules imported; trainings write into `output`."""
    from avpretext.flow.artefacts import STAGES
    from avpretext.flow.paths import Layout

    name, _, tasks = stage.partition(":")
    corpus, layout, config = READS[name][0], Layout(folder), configured(folder, options, name)
    setting = {"corpus": corpus, "target": TARGET, "setting": SETTING}

    def files(artefact: str) -> list[Path]:
        return sorted(Path(layout.path(artefact, corpus=corpus, shard=0)).parent.glob("*.parquet"))

    def path(artefact: str) -> Path:
        return Path(layout.path(artefact, **setting))

    targets, few = {corpus: path("targets")}, output / "folds.parquet"
    if "folds" in READS[name][1:]:
        read = pq.read_table(path("folds"))
        pq.write_table(read.filter(pc.less(read["fold"], folds)), few)
    predictions = sorted((folder / corpus).glob(f"{TUNED}/*/predictions.parquet"))
    labels = {task: path(f"labels_{task}") for task in (tasks or "energy-emotion").split("-")}
    given: dict[str, tuple[Any, ...]] = {
        "labels_energy": (
            files("speech"), files("index"), config.labels.energy, config.chunks, path("labels_energy"),
        ),
        "labels_activation": (
            files("motion"), files("split.audio"), config.labels.activation, config.chunks, path("labels_activation"),
        ),
        "labels_emotion": (
            files("action_units"), config.labels.emotion, path("labels_emotion"), files("index"), path("neutral"),
        ),
        "pretrain": (
            tuple(labels), {corpus: {"speech": files("speech")}}, {corpus: files("index")}, {corpus: labels}, config,
            output, 1,
        ),
        "folds": (
            corpus, config.corpora[corpus], SETTING, {corpus: files("index")}, targets, {corpus: files("split.audio")},
            config.seed, path("folds"),
        ),
        "finetune": ("scratch", [], {corpus: {"speech": files("speech")}}, targets, few, None, config, output, 1),
        "deepemocluster": ({corpus: {"log_mel": files("log_mel")}}, {}, targets, few, config, output, 1),
        "baseline": (
            {corpus: {"functionals": files("functionals")}}, targets, few, config.baseline,
            output / "predictions.parquet",
        ),
        "evaluate": (predictions, config.evaluate, config.seed, path("evaluate.metrics").parent),
        "trust": (
            predictions, path("targets"), config.corpora[corpus], config.evaluate, config.seed,
            path("trust.speakers").parent,
        ),
        "tables": (config, folder / "tables"),
        "report": (config, folder / "report.html"),
    }  # fmt: skip
    return functools.partial(importlib.import_module(STAGES[name].module).run, *given[name])


def configured(folder: Path, options: Mapping[str, Any], stage: str) -> Any:
    """Return the configuration: that of the demo, one epoch and one seed in trainings, and the given options."""
    from avpretext.config_file import parse

    def corpus(name: str, **more: Any) -> dict[str, Any]:
        shards = len(list((folder / name / "index").glob("*.parquet")))
        return {"path": str(folder / "data"), "synthetic": True, "shards": max(1, shards), **more}

    content: dict[str, dict[str, Any]] = {
        "corpora": {
            UNLABELLED: corpus(UNLABELLED, reader="folder", use=["pretrain"]),
            LABELLED: corpus(
                LABELLED, reader="crema_d", use=["finetune"], protocol={"name": "speaker_kfold", "folds": FOLDS}
            ),
        },
        "pretrain": {"epochs": 1, "seeds": 1, "task_sets": TASK_SETS},
        "finetune": {"epochs": 1, "seeds": 1 if stage == "finetune" else SEEDS},
        "deepemocluster": {"epochs": 1, "variants": ["head_trained"] if stage == "deepemocluster" else []},
        "baseline": {} if stage == "baseline" else {"normalise": []},
    }
    for group, values in options.items():
        content[group] = {**content.get(group, {}), **values}
    return parse({"results": str(folder), **content})


def clocks() -> NDArray[np.float64]:
    """Return the seconds of the processor and of the clock."""
    return np.array([time.process_time(), time.perf_counter()])


def watched_epochs() -> list[NDArray[np.float64]]:
    """Return a list of `clocks`, to which trainings add: before the first epoch, and after each."""
    from avpretext.training import deepemocluster, loop, pretrain

    marks: list[NDArray[np.float64]] = []

    def timed(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def epochs_of(*arguments: Any, **named: Any) -> Iterator[Any]:
            marks.append(clocks())
            for state in function(*arguments, **named):
                marks.append(clocks())
                yield state

        return epochs_of

    pretrain.epochs = loop.epochs = timed(loop.epochs)  # type: ignore
    learn = deepemocluster.Learner.learn_clusters

    def learn_timed(self: Any, rng: Any) -> None:
        marks.append(clocks())
        learn(self, rng)
        marks.append(clocks())

    deepemocluster.Learner.learn_clusters = learn_timed  # type: ignore[method-assign]
    return marks


def watched_memory() -> dict[str, float]:
    """Return the highest anonymous memory of this process so far, and the most of arrays without names, in MB."""
    highest, page = {"memory": 0.0, "disk": 0.0}, os.sysconf("SC_PAGE_SIZE") / 1e6

    def look() -> None:
        for turn in itertools.count():
            _, resident, shared = Path("/proc/self/statm").read_text().split()[:3]
            highest["memory"] = max(highest["memory"], (int(resident) - int(shared)) * page)
            if turn % 20 == 0:
                mapped = re.findall(r"(?m)^(\w+)-(\w+) .*\(deleted\)$", Path("/proc/self/maps").read_text())
                held = sum(int(last, 16) - int(first, 16) for first, last in mapped) / 1e6
                highest["disk"] = max(highest["disk"], held)
            time.sleep(0.02)

    threading.Thread(target=look, daemon=True).start()
    return highest


if __name__ == "__main__":
    main()
