"""One channel out of many: the only place that makes mono, for `split`, `segment` and `predict` alike.

ffmpeg hands over up to eight channels at 16 kHz as they are; the first half minute decides how they are mixed, and the
mix stays for the whole file. Channels are averaged, but for those that would make the average wrong: a silent channel,
one whose wires are crossed, or one that holds a beep or hum in place of speech.
"""

from dataclasses import dataclass
from typing import IO, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from avpretext.media.voice import VoiceActivity
from avpretext.schemas import SAMPLE_RATE_HZ

Floats = NDArray[np.float32]

CHANNELS = 8
"""Channels beyond these are not heard."""

DECIDE_S = 30.0
"""What is heard before it is decided how channels are mixed."""

SILENT_DB = -30.0
"""A channel this far below the loudest holds none of the sound."""

INVERTED = -0.8
"""Two channels that correlate below this cancel each other."""

UNRELATED = 0.3
"""Two channels that correlate less than this hold different sound."""

SPOKEN = 0.1
SPOKEN_LESS = 0.1
"""A channel without speech: another is spoken on for a tenth of its time, and this one for a tenth of that at most."""

FULL_SCALE = 0.99
"""Samples are clipped from here on: 127/128 is the largest number of 8 bits."""

SILENCE = 16
"""A clip whose samples stay within so many steps of 16 bits about their middle, 66 dB below full scale, is silent."""

_SURROUND = np.array([0.707, 0.707, 1, 0, 0.5, 0.5, 0.5, 0.5])
"""Weights of 5.1 and 7.1: front, centre, no bass channel, the others (ITU-R BS.775); of fewer channels each is 1."""

_FRAME_BYTES = 4 * CHANNELS

Way = Literal["mean", "silent_channel", "inverted", "no_speech_channel"]
"""How mono was made: of all channels; without a silent one; with one turned over; without one that nobody speaks on."""


@dataclass(frozen=True)
class Mix:
    """How channels become one.

    Attributes
    ----------
    weights
        Shape (channels,): they are multiplied by these and added.
    way
        What was seen.
    offset
        Mean of each channel that is used, weighted: the constant offset of the mix, full scale 1.
    """

    weights: Floats
    way: Way
    offset: float = 0.0


def mix_of(sound: Floats) -> Mix:
    """Decide how channels are mixed.

    Parameters
    ----------
    sound
        Shape (samples, channels), full scale 1; channels that do not exist are zero.
    """
    mean = sound.mean(axis=0, dtype=np.float64) if len(sound) else np.zeros(sound.shape[1])
    covariance = (sound.T @ sound).astype(np.float64) - len(sound) * np.outer(mean, mean)
    power = np.diag(covariance)
    sounding = power > power.max(initial=0.0) * 10 ** (SILENT_DB / 10)
    channels = np.flatnonzero(sounding)
    weights = sounding * (_SURROUND[: len(power)] if sounding[4:].any() else 1.0)
    if not sounding.any():
        return Mix(np.eye(1, len(power), dtype=np.float32)[0], "mean", float(mean[0]))
    first = channels[0]
    likeness = covariance[first, channels] / np.sqrt(power[first] * power[channels])
    way: Way = "silent_channel" if len(channels) == 1 and first < 2 else "mean"
    if (likeness < INVERTED).any():
        weights[channels] *= np.where(likeness < INVERTED, -1, 1)
        way = "inverted"
    elif len(channels) == 2 and abs(likeness[1]) < UNRELATED:
        speechless = _speechless(sound[:, channels] - mean[channels].astype(np.float32))
        if speechless is not None:
            weights[channels[speechless]] = 0
            way = "no_speech_channel"
    weights /= np.abs(weights).sum()
    return Mix(weights.astype(np.float32), way, float(weights @ mean))


def _speechless(pair: Floats) -> int | None:
    """Return which of two channels nobody speaks on while somebody speaks on the other; None if neither."""
    shares = [speech_share(pair[:, channel]) for channel in range(2)]
    less, more = int(np.argmin(shares)), max(shares)
    return less if more >= SPOKEN and shares[less] <= SPOKEN_LESS * more else None


def speech_share(sound: Floats) -> float:
    """Return the share of a sound, shape (samples,), in which somebody speaks, 0..1."""
    found = VoiceActivity().probabilities(_integers(sound))
    return float((found > 0.5).mean()) if len(found) else 0.0


def _integers(sound: Floats) -> NDArray[np.int16]:
    return np.clip(np.rint(sound * 32768), -32768, 32767).astype("<i2")


class Sound(Protocol):
    """What sound is read from: 16 kHz mono signed 16 bit samples."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, fewer at the end alone."""


class Mono:
    """A pipe of mono 16 bit samples, made of a pipe of `CHANNELS` channels of 32 bit floats.

    Parameters
    ----------
    pipe
        What ffmpeg writes.
    single
        Whether the file declares one channel: the others are then not silent, but absent.
    """

    def __init__(self, pipe: IO[bytes], single: bool = False) -> None:
        self._pipe, self._single = pipe, single
        self._mix: Mix | None = None
        self._ahead = np.zeros((0, CHANNELS), np.float32)
        self._samples = self._clipped = 0
        self._lowest, self._highest = np.inf, -np.inf

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer at the end alone."""
        if self._mix is None:
            self._ahead = self._next(round(DECIDE_S * SAMPLE_RATE_HZ))
            self._mix = mix_of(self._ahead)
        wanted = size // 2
        heard, self._ahead = self._ahead[:wanted], self._ahead[wanted:]
        if len(heard) < wanted:
            heard = np.concatenate([heard, self._next(wanted - len(heard))])
        return self._mixed(heard, self._mix.weights)

    def _next(self, samples: int) -> Floats:
        """Read from the pipe; a killed ffmpeg may leave a part of a sample, and files may hold what is no number."""
        content = self._pipe.read(samples * _FRAME_BYTES)
        whole = len(content) // _FRAME_BYTES * _FRAME_BYTES
        sound = np.frombuffer(content[:whole], "<f4").reshape(-1, CHANNELS).astype(np.float32, copy=False)
        return sound if np.isfinite(sound).all() else np.nan_to_num(sound, nan=0.0, posinf=1.0, neginf=-1.0)

    def _mixed(self, sound: Floats, weights: Floats) -> bytes:
        # Sums and maxima of one channel at a time: their order is the same on every processor.
        used = [(weight, sound[:, channel]) for channel, weight in enumerate(weights) if weight]
        mixed = sum((weight * channel for weight, channel in used), np.zeros(len(sound), np.float32))
        if len(sound):
            loudest = np.max([np.abs(channel) for _, channel in used], axis=0)
            self._clipped += int((loudest >= FULL_SCALE).sum())
            self._lowest, self._highest = min(self._lowest, mixed.min()), max(self._highest, mixed.max())
        self._samples += len(sound)
        return _integers(mixed).tobytes()

    @property
    def way(self) -> Way:
        """How mono was made."""
        way: Way = self._mix.way if self._mix else "mean"
        return "mean" if self._single and way == "silent_channel" else way

    @property
    def offset(self) -> float:
        """Mean of the mix in the first half minute, full scale 1."""
        return self._mix.offset if self._mix else 0.0

    @property
    def clipped(self) -> float:
        """Share of the samples read so far at or beyond full scale in any channel that is used, 0..1."""
        return self._clipped / self._samples if self._samples else 0.0

    @property
    def silent(self) -> bool:
        """Whether what was read so far is silent, but for a constant offset."""
        return self._highest - self._lowest <= 2 * SILENCE / 32768

    def close(self) -> None:
        """Close the pipe."""
        self._pipe.close()
