"""Aligned clips as people look at them: wave, spectrogram, phones and visemes; makes docs/phones.png.

python benchmarks/phones_figure.py docs/phones.png CLIP.wav CLIP.wav
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import soundfile
from matplotlib.axes import Axes

from avpretext.corpora.readers import crema_d
from avpretext.orofacial.phone_aligner import Dictionary, align
from avpretext.orofacial.visemes import SILENCE, Interval, classes, clip_confidence, covering, read_table
from avpretext.refusal import Refusal

COLOURS = plt.get_cmap("tab20")


def draw_row(axes: Axes, intervals: list[Interval], table: dict[str, str], row: int, viseme: bool) -> None:
    """Draw boxes with the names of phones, or of their visemes, in a band; the colour is the viseme."""
    names = classes(table)
    for one in intervals:
        name = table[one.phone]
        colour = "#f2f2f2" if one.phone == SILENCE else COLOURS(names.index(name) % 20)
        axes.barh(row, one.end_s - one.start_s, left=one.start_s, height=0.9, color=colour, edgecolor="white", lw=0.8)
        text = name if viseme else one.phone
        axes.text((one.start_s + one.end_s) / 2, row, text, ha="center", va="center", fontsize=7)


def draw(figure_axes: tuple[Axes, Axes, Axes], file: Path, intervals: list[Interval], table: dict[str, str]) -> None:
    """Draw one clip: wave, spectrogram up to 8 kHz, phones and visemes."""
    wave, spectrum, bands = figure_axes
    signal, rate = soundfile.read(file)
    time = np.arange(len(signal)) / rate
    wave.plot(time, signal / np.abs(signal).max(), lw=0.4, color="#333333")
    wave.set(yticks=[], ylim=(-1.05, 1.05))
    sentence = crema_d.SENTENCES[crema_d.read(file.name).sentence]  # type: ignore[union-attr,index]
    wave.set_title(f"{file.stem}: “{sentence}”  confidence {clip_confidence(intervals):.2f}", fontsize=9, loc="left")
    spectrum.specgram(
        signal + 1e-5 * np.random.default_rng(1).standard_normal(len(signal)),
        NFFT=256,
        Fs=rate,
        noverlap=240,
        cmap="Greys",
        vmin=-130,
        vmax=-45,
    )
    spectrum.set(ylabel="Hz", ylim=(0, 8000))
    draw_row(bands, intervals, table, 1, viseme=False)
    draw_row(bands, intervals, table, 0, viseme=True)
    bands.set(yticks=[0, 1], yticklabels=["viseme", "phone"], ylim=(-0.5, 1.5), xlabel="s")
    for axes in figure_axes:
        axes.set_xlim(0, time[-1])
        axes.tick_params(labelbottom=axes is bands)
        for one in intervals[1:]:
            axes.axvline(one.start_s, lw=0.5, color="#c0392b", alpha=0.7)


def main(output: Path, files: list[Path]) -> None:
    """Align clips of CREMA-D to their sentences and draw them."""
    table, dictionary = read_table(None), Dictionary()
    heights = [1, 2, 0.8, 0.1] * len(files)
    figure, grid = plt.subplots(
        4 * len(files), 1, figsize=(12, 3.9 * len(files)), height_ratios=heights, layout="constrained"
    )
    for number, file in enumerate(files):
        signal = soundfile.read(file, dtype="int16")[0]
        clip = crema_d.read(file.name)
        words = dictionary.words_of(crema_d.READER.words(clip.sentence or "") if clip else None)
        found = words if isinstance(words, Refusal) else align(signal, words, dictionary)
        if isinstance(found, Refusal):
            raise SystemExit(f"{file}: {found.reason}: {found.detail}")
        intervals = covering((phone for word in found for phone in word.phones), len(signal) / 16000)
        draw(tuple(grid[4 * number : 4 * number + 3]), file, intervals, table)
        grid[4 * number + 3].axis("off")
    figure.savefig(output, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
