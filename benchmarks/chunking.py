"""What the chunks of a batch cost, in one run, on one thread: a loop over slices, and one gather.

    [THP_MEM_ALLOC_ENABLE=1] python benchmarks/chunking.py

A corpus of 1,024 made-up clips of 3 to 11 s with 130 features lies in memory; batches of 128 clips are drawn from it.
The ways, one after the other in each of many rounds (a way's median of processor time is reported):

- a loop: how published code cuts, from its description: for each clip ``step = int(int(T - m) / (n * C - 1))``, each
  chunk a slice appended to a list, and ``np.array`` of the list; the clips being arrays of float64 or float32;
- on the fly: `models/chunking.py`, from the one array of all frames;
- cut at load: every clip was cut before training, and a batch takes its clips' chunks.

"Fresh memory": the batch is a new array, as in the loop; "buffer": one that is filled again and again. Chunks cut at
load are also held as float16, and with 4 frames averaged to a step, as the workflow does unless told otherwise; both
hold less than what the loop gives. "Copying alone" moves as many bytes from one place to one other: what memory allows.
Before anything is timed, all that should be equal is compared. With THP_MEM_ALLOC_ENABLE=1 torch takes fresh memory in
pages of 2 MB, as NumPy always does, and not of 4 KB.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext.config import ModelOptions
from avpretext.models.chunking import ChunkGrid, gather_chunks
from avpretext.models.network import make_network
from avpretext.training.data import cut_clips

CLIPS, BATCH, FEATURES, CHUNKS, AVERAGED = 1024, 128, 130, 11, 4
SETTINGS = {"62.5 frames/s, chunks of 62": (62.5, 62), "100 frames/s, chunks of 100": (100.0, 100)}
Clips = list[NDArray[np.floating]]


class Way(NamedTuple):
    """A way to make a batch of the clips of these rows, and how many megabytes that batch has."""

    make: Callable[[NDArray[np.int64]], object]
    megabytes: float


def main() -> None:
    """Measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--one", choices=SETTINGS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if arguments.one:
        print_setting(arguments.one, arguments.rounds)
        return
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}"
    print(f"{platform.machine()}, {versions}", flush=True)
    for name in SETTINGS:
        # A process each: memory that another setting has given up would not be fresh.
        subprocess.run([sys.executable, __file__, "--rounds", str(arguments.rounds), "--one", name], check=True)
    print_training_step()


def print_setting(name: str, rounds: int) -> None:
    """Measure one setting, and print its table."""
    rate_hz, length = SETTINGS[name]
    ways = ways_of(make_clips(rate_hz), length)
    times = measure(ways, rounds)
    print(f"\n### {name}\n\n| way | MB of a batch | ms | times the loop, float64 | times the loop, float32 |")
    print("|---|---|---|---|---|")
    double, single = (times[way] for way in list(ways)[:2])
    for way, spent in times.items():
        figures = f"{ways[way].megabytes:.0f} | {1000 * spent:.2f} | {double / spent:.1f} | {single / spent:.1f}"
        print(f"| {way} | {figures} |", flush=True)


def make_clips(rate_hz: float) -> Clips:
    """Return made-up clips, (T, features) float64."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(int(seconds * rate_hz), FEATURES)) for seconds in rng.uniform(3, 11, CLIPS)]


def loop(clips: Clips, rows: NDArray[np.int64], length: int) -> NDArray[np.floating]:
    """Return the chunks (clips * C, m, F) of these clips, slice by slice."""
    chunks = []
    for row in rows:
        step = int(int(len(clips[row]) - length) / (CHUNKS - 1))
        for chunk in range(CHUNKS):
            chunks.append(clips[row][chunk * step : chunk * step + length])
    return np.array(chunks)


def ways_of(clips: Clips, length: int) -> Mapping[str, Way]:
    """Return all ways, checked against each other."""
    short: Clips = [clip.astype(np.float32) for clip in clips]
    by_name = {f"{row:04d}": clip for row, clip in enumerate(short)}
    lengths = torch.tensor([len(clip) for clip in clips])
    first, frames = lengths.cumsum(0) - lengths, torch.from_numpy(np.concatenate(short))
    grid = ChunkGrid(length, CHUNKS, method="published")
    averaged = ChunkGrid(length, CHUNKS, method="published", step_frames=AVERAGED)
    speakers, names = dict.fromkeys(by_name, "one"), [str(column) for column in range(FEATURES)]
    cut, coarse = (cut_clips(by_name, speakers, names, one).steps for one in (grid, averaged))
    half, coarse_half = cut.half(), coarse.half()
    buffer, half_buffer, coarse_buffer, coarse_half_buffer = (
        torch.zeros_like(source[:BATCH]) for source in (cut, half, coarse, coarse_half)
    )

    def on_the_fly(rows: NDArray[np.int64], out: Tensor | None = None) -> Tensor:
        return gather_chunks(frames, first[rows], lengths[rows], grid, out).steps

    def taken(source: Tensor, rows: NDArray[np.int64], out: Tensor | None = None) -> Tensor:
        return torch.index_select(source, 0, torch.from_numpy(rows), out=out)

    whole, part = buffer.nbytes / 1e6, coarse_buffer.nbytes / 1e6
    ways = {
        "a loop, float64": Way(lambda rows: loop(clips, rows, length), 2 * whole),
        "a loop, float32": Way(lambda rows: loop(short, rows, length), whole),
        "on the fly, fresh memory": Way(on_the_fly, whole),
        "on the fly, buffer": Way(lambda rows: on_the_fly(rows, buffer), whole),
        "cut at load, fresh memory": Way(lambda rows: taken(cut, rows), whole),
        "cut at load, buffer": Way(lambda rows: taken(cut, rows, buffer), whole),
        "copying alone": Way(lambda rows: buffer.copy_(cut[:BATCH]), whole),
        "cut at load, float16, buffer": Way(lambda rows: taken(half, rows, half_buffer), whole / 2),
        "4 frames a step, fresh memory": Way(lambda rows: taken(coarse, rows), part),
        "4 frames a step, buffer": Way(lambda rows: taken(coarse, rows, coarse_buffer), part),
        "4 frames a step, float16, buffer": Way(lambda rows: taken(coarse_half, rows, coarse_half_buffer), part / 2),
    }
    rows = np.random.default_rng(1).permutation(CLIPS)[:BATCH]
    expected = torch.from_numpy(loop(short, rows, length)).view(BATCH, CHUNKS, length, FEATURES)
    for name in list(ways)[2:6]:
        if not torch.equal(ways[name].make(rows), expected):
            raise SystemExit(f"{name}: other chunks than those of the loop")
    return ways


def measure(ways: Mapping[str, Way], rounds: int) -> dict[str, float]:
    """Return the median processor time of each way, in seconds; every round draws other clips."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    rng = np.random.default_rng(2)
    for _ in range(rounds):
        rows = rng.permutation(CLIPS)[:BATCH]
        for name, way in ways.items():
            begin = time.process_time()
            way.make(rows)
            times[name].append(time.process_time() - begin)
    return {name: float(np.median(spent)) for name, spent in times.items()}


def print_training_step() -> None:
    """Print what the same batch costs in the network: the published LSTM, forward and backward, best of three."""
    options = ModelOptions(encoder="lstm", width=FEATURES, layers=2, dropout=0.5, step_frames=1)
    network = make_network(FEATURES, options, {"emotion": 4}, 0)
    steps, mask = torch.randn(BATCH, CHUNKS, 62, FEATURES), torch.ones(BATCH, CHUNKS, 62, dtype=torch.bool)
    times = []
    for _ in range(3):
        begin = time.process_time()
        network(steps, mask)["emotion"].sum().backward()
        times.append(time.process_time() - begin)
    print(f"\nThe published LSTM on such a batch (62 frames), forward and backward: {1000 * min(times):.0f} ms")


if __name__ == "__main__":
    main()
