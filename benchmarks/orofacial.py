"""How fast speech moves a face: `taskset -c 0 python benchmarks/orofacial.py MODEL SPEECH...`; see orofacial.md.

Times the parts of `avpretext animate` on each file, several times, in processor seconds, so that other jobs on the
machine change little, and prints the mean of each against the length of the speech.
"""

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.evaluation import formats
from avpretext.media.encode import write_mp4
from avpretext.orofacial import animate, mouth
from avpretext.orofacial.moved_clips import on_video_grid
from avpretext.orofacial.orofacial_model import read_model


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("speech", type=Path, nargs="+")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}, {cores} core(s)\n")
    header = ["speech", "length", "decode", "features", "network", "blendshapes", "together", "film"]
    print(formats.markdown(header, [row(arguments.model, path, arguments.repeats) for path in arguments.speech], 1))


def row(folder: Path, source: Path, repeats: int) -> list[str]:
    """Return a line of the table: each part in seconds, and how many times real time all of them are."""
    model = read_model(folder)
    sound, decode_s = timed(lambda: animate.listen(source, model), repeats)
    frames, features_s = timed(lambda: animate.features_of(model, sound), repeats)
    length_s = len(sound) / SAMPLE_RATE_HZ
    count = round(length_s * model.fps)
    steps = on_video_grid(frames, count, model.fps, model.config.orofacial.context)
    said, network_s = timed(lambda: model.predict(steps), repeats)
    _, blendshapes_s = timed(lambda: animate.blendshape_rows(model, said), repeats)
    shapes = model.rest + said.movement.reshape(count, -1, 2)
    with tempfile.TemporaryDirectory() as temporary:
        size = (animate.SIZE, animate.SIZE)

        def film() -> None:
            pictures = (mouth.draw(shape, animate.SIZE) for shape in shapes)
            write_mp4(Path(temporary) / "film.mp4", pictures, size, model.fps, sound, SAMPLE_RATE_HZ)

        _, film_s = timed(film, 1)
    together = decode_s + features_s + network_s + blendshapes_s
    parts = [decode_s, features_s, network_s, blendshapes_s]
    return [
        source.name, f"{length_s:.1f} s", *(f"{part:.3f} s" for part in parts), f"{length_s / together:.0f} x",
        f"{length_s / film_s:.0f} x",
    ]  # fmt: skip


def timed(function: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """Return what a function returns, and the mean of its processor seconds, those of ffmpeg among them."""
    times = []
    for _ in range(repeats):
        start = processor_s()
        result = function()
        times.append(processor_s() - start)
    return result, max(statistics.mean(times), 1e-3)


def processor_s() -> float:
    """Return the processor seconds of this process and its children so far."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
