"""How long Snakemake takes to plan a large corpus: `snakemake --dry-run`, to pseudo-labels and pre-training.

    python benchmarks/scheduling.py [--clips 100000] [--shards 512] [--repository .] [--against OTHER_CHECKOUT | --bare]

A corpus of empty videos (hard links to 2 kB of zeros) is made in a temporary folder, 50 in the folder of each speaker.
Seconds are on the clock; memory is the highest that the process held. With `--against`, another checkout of this
repository plans the same corpus with the same Python, in turn, so that both meet the same load. With `--bare`, plain
Snakemake plans the same jobs, by rules without functions and without a corpus to scan: nothing plans them in less.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

LINKS = 30_000
"""A file may have no more than 65,000 names on ext4."""

CLIPS_PER_SPEAKER = 50

PER_SHARD = {
    "index": ([], ["index", "index_rejects"]),
    "watch": (
        ["index"],
        ["audio", "split_rejects", "landmarks", "landmarks_rejects", "preview", "thumbnails"],
    ),
    "speech": (["audio"], ["speech", "speech_rejects"]),
    "motion": (["landmarks"], ["motion"]),
    "action_units": (["landmarks"], ["action_units"]),
}
"""Rules with a job for each shard: what they read and write."""

OF_ALL = {
    "neutral": (["landmarks", "index"], []),
    "rejects": (["index", "index_rejects", "split_rejects", "landmarks_rejects", "speech_rejects"], []),
    "labels_energy": (["speech", "index"], ["rejects"]),
    "labels_activation": (["motion", "audio"], ["rejects"]),
    "labels_emotion": (["action_units", "index"], ["rejects"]),
    **{
        f"pretrain_{number}": (["speech", "index"], ["rejects", "labels_energy", "labels_activation", "labels_emotion"])
        for number in range(8)
    },
}
"""Rules with one job: the shards and the single files that they read."""

ALONE = {"watch": "models", "action_units": "neutral"}
"""Single files that a job for each shard reads too."""

BARE = """
rule {name}:
    input: {inputs}
    output: {outputs}
    log: "logs/{name}{of}.log"
    benchmark: "benchmarks/{name}{of}.tsv"
    resources: mem_mb=1000, runtime=10
    params: options="none"
    shell: "touch {{output}}"
"""


class Planned(NamedTuple):
    """What a dry run took."""

    seconds: float
    cpu_s: float
    memory_mb: float
    jobs: int


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=512)
    parser.add_argument("--repository", type=Path, default=Path(__file__).resolve().parents[1])
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--against", type=Path)
    other.add_argument("--bare", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_corpus(Path(folder) / "corpus", arguments.clips)
        checkouts = [checkout for checkout in (arguments.against, arguments.repository) if checkout is not None]
        planned = [plan(checkout.resolve(), Path(folder), arguments.shards) for checkout in checkouts]
        if arguments.bare:
            planned.insert(0, plan_bare(Path(folder) / "bare", arguments.shards))
    report(arguments.clips, arguments.shards, planned, "bare" if arguments.bare else "before")


def make_corpus(root: Path, clips: int) -> None:
    """Make files too long to be pointers of Git LFS, which a scan would open; many share their bytes."""
    source = root.parent / "source"
    for number in range(clips):
        if number % LINKS == 0:
            source.unlink(missing_ok=True)
            source.write_bytes(bytes(2048))
        folder = root / f"speaker {number // CLIPS_PER_SPEAKER:06d}"
        if number % CLIPS_PER_SPEAKER == 0:
            folder.mkdir(parents=True)
        os.link(source, folder / f"take {number:07d}.mp4")


def plan(checkout: Path, folder: Path, shards: int) -> Planned:
    """Return what a dry run of a checkout takes."""
    corpus = {"path": str(folder / "corpus"), "reader": "folder", "use": ["pretrain"], "shards": shards}
    config = folder / "config.json"
    config.write_text(json.dumps({"results": str(folder / "results"), "corpora": {"large": corpus}}))
    return dry_run(folder, checkout, "--configfile", str(config))


def plan_bare(folder: Path, shards: int) -> Planned:
    """Return what the same jobs take without our rules."""
    folder.mkdir()
    (folder / "Snakefile").write_text("".join(bare_rules(shards)))
    return dry_run(folder, folder)


def bare_rules(shards: int) -> Iterator[str]:
    """Yield the rules of a workflow of the same jobs."""
    every = [f"{number:04d}" for number in range(shards)]
    yield f"SHARDS = {every}\nwildcard_constraints: shard=r'\\d{{4}}'\n"
    yield f"rule all:\n    input: {[f'{name}.all' for name in OF_ALL]}\n"
    yield BARE.format(name="models", inputs="[]", outputs="'models.all'", of="")
    for name, (reads, writes) in PER_SHARD.items():
        inputs = [*(f"{file}/{{shard}}.parquet" for file in reads), *([f"{ALONE[name]}.all"] if name in ALONE else [])]
        outputs = [f"{file}/{{shard}}.parquet" for file in writes]
        yield BARE.format(name=name, inputs=inputs, outputs=", ".join(map(repr, outputs)), of="/{shard}")
    for name, (reads, alone) in OF_ALL.items():
        inputs = f"expand('{{of}}/{{shard}}.parquet', of={reads}, shard=SHARDS), {[f'{file}.all' for file in alone]}"
        yield BARE.format(name=name, inputs=inputs, outputs=repr(f"{name}.all"), of="")


def dry_run(folder: Path, checkout: Path, *more: str) -> Planned:
    """Return what a dry run in a folder takes, of the workflow of a checkout."""
    command = [
        sys.executable, "-m", "snakemake", "--dry-run", "--cores", "2", "--snakefile", str(checkout / "Snakefile"),
        "--directory", str(folder), *more,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    begin = time.perf_counter()
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=checkout, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    said = log.read_text()
    if status:
        raise SystemExit(said[-2000:])
    jobs = max(int(found) for found in re.findall(r"^(?:Jobs to run: |total +)(\d+)", said, re.MULTILINE))
    return Planned(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, jobs)


def report(clips: int, shards: int, planned: list[Planned], first: str) -> None:
    """Print the machine, a row for each checkout, and the ratio of the last to the first."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
    print(f"snakemake {version('snakemake')}; {clips:,} clips, {shards:,} shards\n")
    print("| checkout | jobs | seconds | seconds of processor | memory, MB |\n|---|---:|---:|---:|---:|")
    names = [first, "this"] if len(planned) > 1 else ["this"]
    for name, run in zip(names, planned, strict=True):
        print(f"| {name} | {run.jobs:,} | {run.seconds:.1f} | {run.cpu_s:.1f} | {run.memory_mb:.0f} |")
    if len(planned) > 1:
        other, this = planned
        ratios = [this.seconds / other.seconds, this.cpu_s / other.cpu_s, this.memory_mb / other.memory_mb]
        print(f"| this / {first} | | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")


if __name__ == "__main__":
    main()
