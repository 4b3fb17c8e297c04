"""Memory of `folds` by the number of clips, on made-up targets and fingerprints: no corpus is needed.

    python benchmarks/folds.py [--clips 10000 40000 160000] [--work FOLDER]

Clips last 3.3 s, 199 frames of a fingerprint, of which every other one is loud, as in 2,378 real clips (RAVDESS,
BanglaSER, URDU). A word is a chain of bits, each equal to the one below it with the probability `EQUAL`: then two clips
have equal words as often as two of these real clips, 13.5 times as often as by chance. One clip in a hundred is a copy.
Each size runs in a process of its own with one thread. Prints Markdown: highest anonymous memory, highest resident
memory, seconds of the processor.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from size import watched_memory

from avpretext import shards
from avpretext.config import CorpusOptions
from avpretext.corpora import folds
from avpretext.flow.artefacts import schema_of

FRAMES, LOUD, BITS, EQUAL = 199, 0.5, 24, 0.673
COPIES = 0.01
SPEAKERS = 1000
SHARD = 2000


def main() -> None:
    """Run all sizes, and print a table."""
    if sys.argv[1:2] == ["run"]:
        measure(int(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000, 40_000, 160_000])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    print("| clips | memory, MB | resident, MB | all, s |\n|---:|---:|---:|---:|", flush=True)
    for clips in arguments.clips:
        with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
            make(clips, Path(folder))
            command = [sys.executable, __file__, "run", str(clips), folder]
            subprocess.run(command, check=True, env={**os.environ, **limits})


def words(frames: int, rng: np.random.Generator) -> NDArray[np.uint32]:
    """Return fingerprints of so many frames."""
    bits = np.empty((frames, BITS), bool)
    bits[:, 0] = rng.random(frames) < 0.5
    bits[:, 1:] = bits[:, :1] ^ np.logical_xor.accumulate(rng.random((frames, BITS - 1)) > EQUAL, axis=1)
    found: NDArray[np.uint32] = (bits.astype(np.uint32) << np.arange(BITS, dtype=np.uint32)).sum(1, dtype=np.uint32)
    return np.where(rng.random(frames) < LOUD, found, np.uint32(0))


def make(clips: int, folder: Path) -> None:
    """Write index, targets and audio of so many clips; audio without sound."""
    rng, labels = np.random.default_rng(0), ("ang", "hap", "neu", "sad")
    for shard, first in enumerate(range(0, clips, SHARD)):
        numbers = np.arange(first, min(clips, first + SHARD))
        prints = words(FRAMES * len(numbers), rng).reshape(len(numbers), FRAMES)
        for copy in np.flatnonzero(rng.random(len(numbers)) < COPIES):
            prints[copy] = prints[copy - 1]
        names = [f"speaker{number % SPEAKERS:04d}/clip{number:07d}" for number in numbers]
        known = {"clip_id": names, "speaker": [name.partition("/")[0] for name in names]}
        drawn = rng.integers(len(labels), size=len(numbers))
        given = {
            "index": {"path": [f"{name}.wav" for name in names]},
            "split.audio": {"content": [f"{number:064x}" for number in numbers], "fingerprint": prints.tolist()},
            "targets": {"label": [labels[one] for one in drawn], "values": np.eye(len(labels))[drawn].tolist()},
        }
        for artefact, columns in given.items():
            schema = schema_of(artefact)
            nothing = dict.fromkeys(schema.names, [None] * len(numbers))
            shards.write_table(folder / artefact / f"{shard:04d}.parquet", nothing | known | columns, schema, {})
    facts = {"kind": "hard", "classes": labels, "target": "acted", "options": {"reader": "folder"}}
    targets = shards.read(sorted((folder / "targets").glob("*.parquet")))
    shards.write_table(folder / "targets.parquet", targets, schema_of("targets"), facts)


def measure(clips: int, folder: Path) -> None:
    """Run `folds` in this process, and print what it took."""
    files = {name: {"made": sorted((folder / name).glob("*.parquet"))} for name in ("index", "split.audio")}
    options = CorpusOptions.model_validate(
        {"path": ".", "reader": "folder", "use": ["finetune"], "protocol": {"name": "speaker_kfold", "folds": 5}}
    )
    targets, output = {"made": folder / "targets.parquet"}, folder / "folds.parquet"
    highest, begin = watched_memory(), time.process_time()
    folds.run("made", options, "acted.speaker_kfold", files["index"], targets, files["split.audio"], 1, output)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    taken = time.process_time() - begin
    print(f"| {clips:,} | {highest['memory']:,.0f} | {resident:,.0f} | {taken:.0f} |", flush=True)


if __name__ == "__main__":
    main()
