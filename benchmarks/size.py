"""Memory and time of training by the number of clips, and what each clip costs; two checkouts side by side.

    python benchmarks/size.py [--results results] [--clips 2000 8000] [--stages pretrain finetune ...] [--epochs 2]
        [--against OTHER_CHECKOUT] [--work FOLDER] [--keep] [--model '{"encoder": "conv"}']

The corpora are those of the finished demo (`make demo`), copied as often as it takes: every copy has speakers of its
own, and its numbers are changed by a few percent, so that nothing is read twice from the same bytes. Clips last 2 s on
average: 110,000 of them are 60 hours. Each training is a process of its own with one thread. `memory` is the highest
anonymous memory, which cannot be given back without swap; what is mapped from disk is not counted, for the system takes
it back when it is needed elsewhere. `first` are seconds of processor until the first epoch, `epoch` those of the last.
`baseline` has no epochs. With `--against`, another checkout trains on the same files, in turns. Prints Markdown.
"""

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

STAGES = ("pretrain", "finetune", "deepemocluster", "baseline")
COPIES_PER_SHARD = 3
"""So that a shard has about 200 clips."""

BANDS = 64


def main() -> None:
    """Make corpora, train on them, and print tables."""
    if sys.argv[1:2] == ["train"]:
        part, epochs, model, files, output = sys.argv[2:]
        train(part, epochs, model, Path(files), Path(output))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--clips", type=int, nargs="+", default=[2000, 8000])
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--epochs", default="2")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--keep", action="store_true", help="keep the corpora in WORK/CLIPS, and use those there")
    parser.add_argument("--model", default="{}", help="options of the group model, as JSON")
    arguments = parser.parse_args()
    checkouts = {"this": Path(__file__).resolve().parents[1]}
    if arguments.against:
        checkouts = {"other": arguments.against.resolve(), **checkouts}
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    print("| stage | clips | checkout | memory, MB | highest resident, MB | first, s | epoch, s |", flush=True)
    print("|---|---:|---|---:|---:|---:|---:|", flush=True)
    for clips in arguments.clips:
        with tempfile.TemporaryDirectory(dir=arguments.work) as work:
            folder = arguments.work / str(clips) if arguments.keep else Path(work)
            for stage, (name, checkout) in itertools.product(arguments.stages, checkouts.items()):
                make(arguments.results, folder, clips, stage)
                measured = in_process(checkout, stage, (arguments.epochs, arguments.model), folder)
                found.setdefault((stage, name), []).append({**measured, "clips": clips})
                row = [f"{measured[part]:.0f}" for part in ("memory", "resident")]
                row += [f"{measured[part]:.1f}" for part in ("first", "epoch")]
                print(f"| `{stage}` | {clips:,} | {name} | {' | '.join(row)} |", flush=True)
    print_slopes(found)


def print_slopes(found: dict[tuple[str, str], list[dict[str, float]]]) -> None:
    """Print what a clip costs: by the straight line through all sizes."""
    print(
        "\n| stage | checkout | memory, bytes a clip | first, ms a clip | epoch, ms a clip |\n|---|---|---:|---:|---:|"
    )
    for (stage, name), rows in found.items():
        if len(rows) > 1:
            clips = [row["clips"] for row in rows]
            slopes = {part: np.polyfit(clips, [row[part] for row in rows], 1)[0] for part in rows[0]}
            told = [f"{slopes['memory'] * 1e6:,.0f}", f"{slopes['first'] * 1e3:.2f}", f"{slopes['epoch'] * 1e3:.2f}"]
            print(f"| `{stage}` | {name} | {' | '.join(told)} |")


def in_process(checkout: Path, stage: str, options: tuple[str, str], folder: Path) -> dict[str, float]:
    """Train in a new process with the package of a checkout; return what it measured."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        command = [sys.executable, str(Path(__file__).resolve()), "train", stage, *options, str(folder), output]
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
        environment = {**os.environ, **limits, "PYTHONPATH": str(checkout / "src"), "THP_MEM_ALLOC_ENABLE": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{stage}, {checkout}: {done.stderr[-2000:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def make(results: Path, folder: Path, clips: int, stage: str) -> None:
    """Write what a stage reads, unless it is there."""
    labelled = stage != "pretrain"
    corpus = results / ("demo_labelled" if labelled else "demo_unlabelled")
    own = sum(pq.read_metadata(path).num_rows for path in sorted(corpus.glob("index/*.parquet")))
    copies = -(-clips // own)
    features = {"baseline": "functionals", "deepemocluster": "log_mel"}.get(stage, "speech")
    for name in ("index", features):
        if not (folder / corpus.name / name).exists():
            copy_shards(corpus, name, folder / corpus.name / name, copies)
    tables = {
        "targets.parquet": "targets/acted.parquet", "folds.parquet": "folds/acted.speaker_kfold.parquet"
    } if labelled else {
        "energy.parquet": "labels_energy/all.parquet", "emotion.parquet": "labels_emotion/all.parquet"
    }  # fmt: skip
    for table, source in tables.items():
        read = pq.read_table(corpus / source)
        if table == "folds.parquet":
            read = read.filter(pc.equal(read["fold"], 0))
        named = pa.concat_tables([renamed(read, copy) for copy in range(copies)])
        pq.write_table(named.replace_schema_metadata(read.schema.metadata), folder / corpus.name / table)


def copy_shards(corpus: Path, name: str, folder: Path, copies: int) -> None:
    """Write the shards of a stage as often, their numbers changed; mel spectrograms are made of noise."""
    folder.mkdir(parents=True)
    shards = sorted((corpus / ("speech" if name == "log_mel" else name)).glob("*.parquet"))
    tables = [pq.read_table(shard) for shard in shards]
    if name == "log_mel":
        tables = [spectrogram(table) for table in tables]
    numbers = itertools.count()
    for table in tables:
        for first in range(0, copies, COPIES_PER_SHARD):
            several = range(first, min(copies, first + COPIES_PER_SHARD))
            parts = [
                perturbed(renamed(table, copy), copy) if name != "index" else renamed(table, copy) for copy in several
            ]
            path = folder / f"{next(numbers):04d}.parquet"
            pq.write_table(pa.concat_tables(parts), path, compression="zstd", row_group_size=65_536)


def spectrogram(speech: pa.Table) -> pa.Table:
    """Return log-mel bands of noise, as loud as the speech is."""
    rng = np.random.default_rng(0)
    loud = np.log(1e-4 + speech["energy"].to_numpy())
    bands = {f"mel[{band}]": (loud + rng.normal(size=len(loud))).astype(np.float32) for band in range(BANDS)}
    return pa.table({**{key: speech[key] for key in ("clip_id", "frame", "time_s")}, **bands})


def renamed(table: pa.Table, copy: int) -> pa.Table:
    """Return a table of clips and speakers with names of their own."""
    for place, name in enumerate(table.column_names):
        if name in ("clip_id", "speaker", "path"):
            column = pc.binary_join_element_wise(table[name].cast(pa.string()), f"{copy:05d}", "~")
            table = table.set_column(place, name, column)
    return table


def perturbed(table: pa.Table, copy: int) -> pa.Table:
    """Return a table whose numbers of float32 are changed by some percent, alone or in lists."""
    rng = np.random.default_rng(copy)
    for place, field in enumerate(table.schema):
        kind, column = field.type, table[field.name]
        if kind == pa.float32():
            values = column.to_numpy() * rng.normal(1, 0.03, len(column)).astype(np.float32)
            table = table.set_column(place, field, pa.array(values, pa.float32(), from_pandas=True))
        elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
            flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            flat = flat * rng.normal(1, 0.03, len(flat)).astype(np.float32)
            parts = pl.Series(flat).reshape((len(column), -1)).to_list() if len(column) else []
            table = table.set_column(place, field, pa.array(parts, kind))
    return table


def train(stage: str, epochs: str, model: str, folder: Path, output: Path) -> None:
    """Run a stage in this process, and print what it took."""
    from avpretext.config_file import parse
    from avpretext.training import baseline, deepemocluster, finetune, loop, pretrain

    count = int(epochs)
    options = {
        "corpora": {"c": {"path": ".", "use": ["pretrain"]}},
        "model": json.loads(model),
        "pretrain": {"epochs": count, "patience": count, "seeds": 1},
        "finetune": {"epochs": count, "patience": count, "seeds": 1},
        "deepemocluster": {"epochs": count, "variants": ["head_trained"], "width": 8, "clusters": 10},
        "baseline": {"costs": {"linear": [1e-4], "rbf": [1.0]}},
    }
    config, begin, ends = parse(options), time.process_time(), []

    def timed(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def epochs_of(*arguments: Any, **named: Any) -> Iterator[Any]:
            ends.append(time.process_time())
            for state in function(*arguments, **named):
                ends.append(time.process_time())
                yield state

        return epochs_of

    pretrain.epochs = loop.epochs = timed(loop.epochs)  # type: ignore
    learn = deepemocluster.Learner.learn_clusters

    def learn_timed(self: Any, rng: Any) -> None:
        ends.append(time.process_time())
        learn(self, rng)
        ends.append(time.process_time())

    deepemocluster.Learner.learn_clusters = learn_timed  # type: ignore[method-assign]
    corpus = folder / ("demo_unlabelled" if stage == "pretrain" else "demo_labelled")
    files = {name: sorted((corpus / name).glob("*.parquet")) for name in ("index", "speech", "log_mel", "functionals")}
    targets, folds = {corpus.name: corpus / "targets.parquet"}, corpus / "folds.parquet"
    highest = watch()
    if stage == "pretrain":
        labels = {task: corpus / f"{task}.parquet" for task in ("energy", "emotion")}
        pretrain.run(tuple(labels), {"c": {"speech": files["speech"]}}, {"c": files["index"]}, {"c": labels}, config,
                     output, 1)  # fmt: skip
    elif stage == "finetune":
        features = {corpus.name: {"speech": files["speech"]}}
        finetune.run("scratch", [], features, targets, folds, None, config, output, 1)
    elif stage == "deepemocluster":
        deepemocluster.run({corpus.name: {"log_mel": files["log_mel"]}}, {}, targets, folds, config, output, 1)
    else:
        vectors = {corpus.name: {"functionals": files["functionals"]}}
        baseline.run(vectors, targets, folds, config.baseline, output / "predictions.parquet")
    ends = ends or [time.process_time()]
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    taken = {"first": ends[0] - begin, "epoch": ends[-1] - ends[-2] if len(ends) > 1 else 0.0}
    print(json.dumps({"memory": highest[0], "resident": resident, **taken}))


def watch() -> list[float]:
    """Return a list whose one number is the highest anonymous memory of this process so far, in MB."""
    highest, page = [0.0], os.sysconf("SC_PAGE_SIZE") / 1e6

    def look() -> None:
        while True:
            _, resident, shared = Path("/proc/self/statm").read_text().split()[:3]
            highest[0] = max(highest[0], (int(resident) - int(shared)) * page)
            time.sleep(0.02)

    threading.Thread(target=look, daemon=True).start()
    return highest


if __name__ == "__main__":
    main()
