"""How long it takes to index and to check a corpus of 100,000 files: `avpretext corpus` and the stage `index`.

    python benchmarks/corpus.py [--clips 100000] [--shards 500] [--repeats 3]

Two corpora of hard links to sounds of 0.1 s are made in a temporary folder:

- crema_d: names of CREMA-D in one folder, with its table of votes for every clip
- folder: 2,000 folders, a speaker each

Times are seconds on the clock, the best of the repeats, with the file system's cache warm.
"""

import argparse
import itertools
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile

from avpretext import corpora
from avpretext.config import CorpusOptions
from avpretext.corpora import index, listing
from avpretext.corpora.checks import check
from avpretext.corpora.readers import crema_d

LINKS = 30_000
"""A file may have no more than 65,000 names on ext4."""

SPEAKERS = 2000


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = {}
        for reader, make in {"crema_d": make_crema_d, "folder": make_folders}.items():
            root = Path(folder) / reader
            make(root, arguments.clips)
            options = CorpusOptions(
                path=str(root), reader=reader, use=["finetune"], video=False, shards=arguments.shards
            )
            ways = ways_to_run(options, Path(folder) / f"{reader}-results")
            measured[reader] = {name: seconds(run, arguments.repeats) for name, run in ways.items()}
    report(measured)


def links(root: Path, names: Iterator[str]) -> None:
    """Make files of these names; they share their bytes, so that many fit."""
    sound = root / ".sound"
    for number, name in enumerate(names):
        if number % LINKS == 0:
            sound.unlink(missing_ok=True)
            soundfile.write(sound, np.zeros(1600, dtype=np.int16), 16_000, format="WAV")
        os.link(sound, root / name)
    sound.unlink()


def make_crema_d(root: Path, clips: int) -> None:
    """Make a corpus named like CREMA-D, with as many actors as it takes."""
    (root / "AudioWAV").mkdir(parents=True)
    parts = itertools.product(range(1001, 9999), crema_d.SENTENCES, crema_d.EMOTIONS, ("LO", "MD", "HI", "XX"))
    names = ["_".join(map(str, part)) for part in itertools.islice(parts, clips)]
    links(root, (f"AudioWAV/{name}.wav" for name in names))
    rows = [f'"{raters}{number}",3,1,0,2,0,1,"{name}"' for raters in (1, 2, 3) for number, name in enumerate(names)]
    (root / crema_d.VOTES).write_text('"","A","D","F","H","N","S","fileName"\n' + "\n".join(rows) + "\n")


def make_folders(root: Path, clips: int) -> None:
    """Make a corpus in which each speaker has a folder."""
    for speaker in range(SPEAKERS):
        (root / f"{speaker:04d}").mkdir(parents=True)
    links(root, (f"{number % SPEAKERS:04d}/take {number}.wav" for number in range(clips)))


def ways_to_run(options: CorpusOptions, results: Path) -> dict[str, Callable[[], object]]:
    """Return what is measured."""
    files = corpora.scan(options)
    prints, found = corpora.fingerprints(files, options.shards), results / "listing.parquet"
    clips, rejects = results / "0000.parquet", results / "rejects.parquet"
    listing.write(files, options, found)

    def write_listing() -> None:
        found.unlink()
        listing.write(files, options, found)

    return {
        "scan": lambda: corpora.scan(options),
        "fingerprints of all shards": lambda: corpora.fingerprints(files, options.shards),
        "listing written": write_listing,
        "listing compared, nothing new": lambda: listing.write(files, options, found),
        "one shard read from the listing": lambda: listing.shard_from(found, options, 0, prints[0]),
        "`index` of a shard, with a scan of its own": lambda: index.run(options, 0, clips, rejects),
        "`index` of a shard, from the listing": lambda: index.run(options, 0, clips, rejects, found, prints[0]),
        "check, no headers": lambda: check.check(options, "none"),
        "check, headers of 2,000 files": lambda: check.check(options, "sample"),
        "check, headers of all files": lambda: check.check(options, "all"),
    }


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Return the least time that a run takes."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def report(measured: dict[str, dict[str, float]]) -> None:
    """Print the machine, and a row for each way."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("av", "soundfile", "polars", "pyarrow"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}\n")
    print(f"| what | {' | '.join(measured)} |")
    print(f"|---|{'---|' * len(measured)}")
    for way in next(iter(measured.values())):
        print(f"| {way} | {' | '.join(f'{times[way]:.2f}' for times in measured.values())} |")


if __name__ == "__main__":
    main()
