"""openSMILE low-level descriptors on the common 10 ms grid.

openSMILE stamps a row with the start of its window, and its descriptors have windows of two lengths: row j of the
20 ms ones is centred at (j + 1) * 10 ms, row j of the 60 ms ones (pitch, voice quality, zero crossings) at
(j + 3) * 10 ms. Here row k of every descriptor is centred at k * 10 ms, where the grid says that it stands. The signal
is mirrored at both ends, so that the first and last rows are measured too and clips shorter than a window have values.
Between the ends the values are openSMILE's own, but for the RASTA-filtered ones, whose filter forgets its start slowly.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import opensmile
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frame_count
from avpretext.config import SpeechOptions
from avpretext.errors import UserError
from avpretext.sound.audio_shards import below_full_scale

LOUDNESS = {"ComParE_2016": "audspec_lengthL1norm_sma", "eGeMAPSv02": "Loudness_sma3"}
"""The descriptor that is loudness: the sum of the auditory spectrum (Zwicker), in openSMILE's own scale."""

ENERGY_WINDOW = 400
"""Samples of the window of `energy`: 25 ms, two periods of a low male voice."""

PIECE_FRAMES = 6000
"""Longer clips are computed a minute at a time, since openSMILE and its wrapper need 700 KB for each second."""

MARGIN_FRAMES = 500
"""Computed on both sides of a piece and thrown away: after five seconds no filter remembers its start."""

_MIRRORED = 3 * SAMPLES_PER_FRAME
_LATE_ROWS = 2
_LONG_WINDOWS = ("F0", "voicing", "jitter", "shimmer", "HNR", "zcr", "ogRelF0")
"""What the names of the descriptors with 60 ms windows contain."""

# openSMILE's own configurations go on to compute functionals, a third of their time, even when only descriptors are
# asked for. These read the same descriptors from the same files of the package, and stop there: the same bits.
_CONFIGURATION = files("avpretext.sound").joinpath("descriptors.conf").read_text("utf-8")
_CONCATENATION = """
[{level}_all:cVectorConcat]
reader.dmLevel = {parts}
writer.dmLevel = {level}
includeSingleElementFields = 1
"""
_INCLUDES = {
    "ComParE_2016": ("compare/ComParE_2016_core.lld.conf.inc",),
    "eGeMAPSv02": ("gemaps/v01b/GeMAPSv01b_core.lld.conf.inc", "egemaps/v02/eGeMAPSv02_core.lld.conf.inc"),
}
_LEVELS = {
    "ComParE_2016": {
        "lld": "is13_lld_nzsmo;is13_lldA_smo;is13_lldB_smo",
        "lld_de": "is13_lld_nzsmo_de;is13_lldA_smo_de;is13_lldB_smo_de",
    },
    "eGeMAPSv02": {"lld": "egemapsv02_lldsetE_smo;egemapsv02_lldsetF_smo"},
}


class Descriptors:
    """An openSMILE feature set, ready to be computed for any number of clips.

    Attributes
    ----------
    names
        openSMILE's names of the descriptors.
    """

    def __init__(self, smile: opensmile.Smile, loudness: str) -> None:
        self._smile = smile
        self.names: list[str] = list(smile.feature_names)
        self._long = np.array([any(part in name for part in _LONG_WINDOWS) for name in self.names])
        self._loudness = self.names.index(loudness)

    def compute(
        self, signal: NDArray[np.float32], first: int = 0, last: int | None = None, frames: int | None = None
    ) -> NDArray[np.float32]:
        """Return the descriptors of a clip, or its rows from `first` to before `last`.

        These are those of the whole clip, bit by bit, where `first` is a multiple of `PIECE_FRAMES` and the signal, of
        `frames` frames, reaches `MARGIN_FRAMES` beyond on both sides, or to the ends of the clip.

        Parameters
        ----------
        signal
            Shape (samples,), 16 kHz, full scale 1; +1.0 itself is out of reach of 16 bit audio, which openSMILE gets.

        Returns
        -------
        float32 array, shape (T, descriptors), of a whole clip with T = max(1, samples // 160); no NaN: where openSMILE
        has no value (digital silence) it is 0.
        """
        frames = frames or frame_count(len(signal))
        last = frames if last is None else last
        pieces = [
            self._piece(signal, start, min(start + PIECE_FRAMES, last), frames)
            for start in range(first, last, PIECE_FRAMES)
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _piece(self, signal: NDArray[np.float32], first: int, last: int, frames: int) -> NDArray[np.float32]:
        """Return the rows from `first` to before `last` of a signal of so many frames."""
        start, stop = max(0, first - MARGIN_FRAMES), min(frames, last + MARGIN_FRAMES)
        end = len(signal) if stop == frames else stop * SAMPLES_PER_FRAME
        rows = self._rows(signal[start * SAMPLES_PER_FRAME : end], stop - start)
        return rows[first - start : last - start]

    def _rows(self, signal: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
        """Return all descriptors of a signal, shape (frames, descriptors), on the grid."""
        mirrored = mirror(below_full_scale(signal), frames)
        rows = self._smile(mirrored, SAMPLE_RATE_HZ)[0].T
        aligned = np.where(self._long, rows[:frames], rows[_LATE_ROWS : frames + _LATE_ROWS])
        finite: NDArray[np.float32] = np.where(np.isfinite(aligned), aligned, 0).astype(np.float32)
        return finite

    def loudness(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the column of `compute` that is loudness, shape (T,)."""
        return values[:, self._loudness]


@contextmanager
def open_descriptors(options: SpeechOptions) -> Iterator[Descriptors]:
    """Set openSMILE up for the chosen feature set; its configuration is a temporary file.

    Raises
    ------
    UserError
        Deltas are asked for of a set that has none.
    """
    levels = _LEVELS[options.feature_set]
    if options.deltas and "lld_de" not in levels:
        raise UserError(
            f"speech.deltas = true: {options.feature_set} has no deltas; set it to false, or speech.feature_set to"
            " ComParE_2016"
        )
    with TemporaryDirectory() as folder:
        file = Path(folder) / "descriptors.conf"
        file.write_text(_configuration(options.feature_set), "utf-8")
        level = "lld;lld_de" if options.deltas else "lld"
        yield Descriptors(opensmile.Smile(str(file), level), LOUDNESS[options.feature_set])


def _configuration(feature_set: str) -> str:
    root = Path(opensmile.__file__).parent / "core" / "config"
    concatenations = "\n".join(
        _CONCATENATION.format(level=level, parts=parts) for level, parts in _LEVELS[feature_set].items()
    )
    return _CONFIGURATION.format(
        includes="\n".join(rf"\{{{root / name}}}" for name in _INCLUDES[feature_set]),
        instances="\n".join(f"instance[{level}_all].type=cVectorConcat" for level in _LEVELS[feature_set]),
        concatenations=concatenations,
    )


def mirror(signal: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """Return the signal with 30 ms mirrored before it, and at least as much after it.

    The result is long enough for the windows of `frames` rows.
    """
    if not len(signal):
        signal = np.zeros(1, np.float32)
    after = _MIRRORED + max(0, frames * SAMPLES_PER_FRAME - len(signal))
    return np.pad(signal, (_MIRRORED, after), mode="symmetric")


def frame_energy(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the root mean square of the signal around each frame.

    energy[k] = sqrt(mean(x[n]^2)) over 160 k - 200 <= n < 160 k + 200 (25 ms), of which the part within the clip.

    Parameters
    ----------
    signal
        Shape (samples,), full scale 1: a sine of full scale has energy 0.7071.

    Returns
    -------
    float32 array, shape (T,), T = max(1, samples // 160).
    """
    centres = np.arange(frame_count(len(signal))) * SAMPLES_PER_FRAME
    first = np.clip(centres - ENERGY_WINDOW // 2, 0, len(signal))
    last = np.clip(centres + ENERGY_WINDOW // 2, 0, len(signal))
    # Differences of a running sum may fall a rounding error below zero.
    mean = np.maximum(_running_sum(signal, last) - _running_sum(signal, first), 0) / np.maximum(last - first, 1)
    energy: NDArray[np.float32] = np.sqrt(mean).astype(np.float32)
    return energy


def _running_sum(signal: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sum of the squares of all samples before each end, ascending; a minute at a time, same bits."""
    found, total, size = np.zeros(len(ends)), 0.0, PIECE_FRAMES * SAMPLES_PER_FRAME
    for start in range(0, len(signal), size):
        squares = np.square(signal[start : start + size], dtype=np.float64)
        sums = np.cumsum(np.concatenate([[total], squares]))
        here = slice(*np.searchsorted(ends, [start, start + len(squares)], side="right"))
        found[here] = sums[ends[here] - start]
        total = float(sums[-1])
    return found
