"""How far the tables of two kinds of processor differ: training and what follows, made again with other arithmetic.

    python benchmarks/processors.py PROJECT WORK [--arithmetic default avx2]

PROJECT is a folder with a configuration and finished results, such as the checkout after `make demo`; it is not
changed. For this machine's own arithmetic and for each one named, a copy is made in WORK, and the workflow makes
pre-training and fine-tuning anew in it, up to the main table. `default` is PyTorch's arithmetic without AVX, `avx2`
that of most processors. Prints, in Markdown, how many test predictions have another label than with the machine's own
arithmetic, the largest differences of outputs and of macro-F1, and whether that one has the bytes of PROJECT again.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import torch

from avpretext import shards

SOURCE = Path(__file__).resolve().parents[1]
ARITHMETIC = {
    "native": {},
    "default": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}
TRAINED = ("pretrain", "finetune")
KEY = ["file", "initialisation", "fold", "seed", "clip_id"]
HEAD = ["arithmetic", "initialisation", "other label", "output", "macro-F1", "macro-F1, mean of runs", "gain"]
"""Of the table: after the labels the largest differences."""
NAMES = ["corpus", "target", "protocol", "initialisation"]


def copy(project: Path, folder: Path) -> None:
    """Copy configuration, results and Snakemake's records; the corpora are linked to."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy2(project / "config.yaml", folder)
    shutil.copytree(project / "results", folder / "results")
    if (project / ".snakemake" / "metadata").is_dir():
        shutil.copytree(project / ".snakemake" / "metadata", folder / ".snakemake" / "metadata")
    if (project / "data").is_dir():
        (folder / "data").symlink_to((project / "data").resolve())


def train(folder: Path, arithmetic: str, cores: int) -> None:
    """Make pre-training, fine-tuning and what follows anew, up to the main table."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SOURCE / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "config.yaml"), "--cores", str(cores), "--rerun-triggers", "mtime"]
    command += ["--forcerun", *TRAINED, "--", "results/tables/main.csv"]
    subprocess.run(command, check=True, env={**os.environ, **ARITHMETIC[arithmetic]}, stdout=sys.stderr)


def predictions(folder: Path) -> pl.DataFrame:
    """Return the test predictions of all fine-tunings in the main table."""
    root = folder / "results"
    shown = scores(folder)["initialisation"].implode()
    tables = [
        shards.read(path)
        .filter(pl.col("initialisation").is_in(shown), split="test")
        .with_columns(file=pl.lit(str(path.relative_to(root))))
        for path in sorted(root.glob("*/finetune/**/predictions.parquet"))
    ]
    return pl.concat([table.select(*KEY, "predicted", "probabilities") for table in tables])


def changed_labels(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return, by initialisation, the number of test predictions, of other labels, and how far outputs differ."""
    pairs = one.join(other, on=KEY, suffix="_other", validate="1:1")
    assert len(pairs) == len(one) == len(other), "the copies predict other clips"
    changed = pl.col("predicted").ne_missing(pl.col("predicted_other"))
    difference = (pl.col("probabilities") - pl.col("probabilities_other")).list.eval(pl.element().abs()).list.max()
    return pairs.group_by("initialisation", maintain_order=True).agg(
        pl.len().alias("predictions"), changed.sum(), difference.max().alias("difference")
    )


def scores(folder: Path) -> pl.DataFrame:
    """Return macro-F1 of each row of the main table: of the mean of the runs, and the mean over runs."""
    table = pl.read_csv(folder / "results" / "tables" / "main.csv")
    return table.select(*NAMES, "macro_f1", "macro_f1_mean", "macro_f1_difference")


def compare(native: Path, other: Path) -> str:
    """Return rows of a table in Markdown: one for each initialisation."""
    changed = changed_labels(predictions(native), predictions(other))
    values = [name for name in scores(native).columns if name not in NAMES]
    apart = scores(native).join(scores(other), on=NAMES, suffix="_other")
    largest = apart.group_by("initialisation").agg(
        (pl.col(name) - pl.col(f"{name}_other")).abs().max() for name in values
    )
    rows = changed.join(largest, on="initialisation", how="left", maintain_order="left")
    together = {"initialisation": "all, largest", **{name: rows[name].sum() for name in ("predictions", "predicted")}}
    together["difference"] = rows["difference"].max()
    together |= {name: apart.select((pl.col(name) - pl.col(f"{name}_other")).abs().max()).item() for name in values}
    return "\n".join(row(other.name, entry, values) for entry in [*rows.iter_rows(named=True), together])


def row(arithmetic: str, entry: dict[str, Any], values: list[str]) -> str:
    """Return a row of the table in Markdown."""
    labels = f"{entry['predicted']} of {entry['predictions']} ({entry['predicted'] / entry['predictions']:.1%})"
    cells = ["" if entry[name] is None else f"{entry[name]:.3f}" for name in values]
    return line(arithmetic, entry["initialisation"], labels, f"{entry['difference']:.1g}", *cells)


def line(*cells: str) -> str:
    """Return a row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Make the copies, compare them and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument(
        "--arithmetic", nargs="+", default=["default"], choices=[name for name in ARITHMETIC if name != "native"]
    )
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    for name in ("native", *arguments.arithmetic):
        copy(arguments.project, work / name)
        train(work / name, name, arguments.cores)
    main_table = Path("results/tables/main.csv")
    same = (work / "native" / main_table).read_bytes() == (arguments.project / main_table).read_bytes()
    print(f"{platform.machine()}, PyTorch {torch.__version__}, native: {torch.backends.cpu.get_cpu_capability()}.")
    print(f"Native arithmetic again: {'the same bytes' if same else 'OTHER BYTES'} in main.csv as in the project.\n")
    print(line(*HEAD), line(*["---"] * len(HEAD)), sep="\n")
    for name in arguments.arithmetic:
        print(compare(work / "native", work / name))


if __name__ == "__main__":
    main()
