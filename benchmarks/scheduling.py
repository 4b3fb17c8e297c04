"""How long Snakemake takes to plan a large corpus: `snakemake --dry-run`, to pseudo-labels and pre-training.

    python benchmarks/scheduling.py [--clips 100000] [--shards 512] [--repository .] [--against OTHER_CHECKOUT]

A corpus of empty videos (hard links to 2 kB of zeros) is made in a temporary folder, 50 in the folder of each speaker.
Seconds are on the clock; memory is the highest that the process held. With `--against`, another checkout of this
repository plans the same corpus with the same Python, in turn, so that both meet the same load.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

LINKS = 30_000
"""A file may have no more than 65,000 names on ext4."""

CLIPS_PER_SPEAKER = 50


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
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_corpus(Path(folder) / "corpus", arguments.clips)
        checkouts = [checkout for checkout in (arguments.against, arguments.repository) if checkout is not None]
        planned = [plan(checkout.resolve(), Path(folder), arguments.shards) for checkout in checkouts]
    report(arguments.clips, arguments.shards, planned)


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
    command = [
        sys.executable, "-m", "snakemake", "--dry-run", "--cores", "2", "--snakefile", str(checkout / "Snakefile"),
        "--directory", str(folder), "--configfile", str(config),
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
    jobs = sum(line.startswith("would run") for line in said.splitlines())
    return Planned(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, jobs)


def report(clips: int, shards: int, planned: list[Planned]) -> None:
    """Print the machine, a row for each checkout, and the ratio of the last to the first."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
    print(f"snakemake {version('snakemake')}; {clips:,} clips, {shards:,} shards\n")
    print("| checkout | jobs | seconds | seconds of processor | memory, MB |\n|---|---:|---:|---:|---:|")
    names = ["before", "after"] if len(planned) > 1 else ["this"]
    for name, run in zip(names, planned, strict=True):
        print(f"| {name} | {run.jobs:,} | {run.seconds:.1f} | {run.cpu_s:.1f} | {run.memory_mb:.0f} |")
    if len(planned) > 1:
        before, after = planned
        ratios = [after.seconds / before.seconds, after.cpu_s / before.cpu_s, after.memory_mb / before.memory_mb]
        print(f"| after / before | | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")


if __name__ == "__main__":
    main()
