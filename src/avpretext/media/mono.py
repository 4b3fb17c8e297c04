"""One channel out of many: the only place that makes mono, for `split`, `segment` and `predict` alike.

ffmpeg hands over up to eight channels as they are; how they are mixed, each half minute decides: of clips, all of it.
Channels are averaged, but for those that would make the average wrong: a silent channel, one whose wires are crossed,
or one that holds a beep or hum in place of speech. A channel that has sounded is never silent again, as in a dialogue.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avpretext.media.filters import resampled, to_16_bit
from avpretext.media.voice_activity import VoiceActivity

Floats = NDArray[Any]

CHANNELS = 8
"""Channels beyond these are not heard."""

DECIDE_S = 30.0
DECIDE_SAMPLES = 30 * 48_000
"""What is heard before it is decided how it is mixed: half a minute, less at higher rates, of which it takes 46 MB."""

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

Way = Literal["mean", "silent_channel", "inverted", "no_speech_channel"]
"""How channels were mixed: all; without a silent one; one inverted; without one that holds no speech."""


@dataclass(frozen=True)
class Packet:
    """Decoded sound, and by its time stamp the sample of the clock that it starts with."""

    place: int
    samples: Floats


@dataclass(frozen=True)
class Mix:
    """How channels become one: they are multiplied by `weights` (channels,) and added.

    `sounding` (channels,) are those that are not silent; `offset` is the mean of the mix, full scale 1.
    """

    weights: Floats
    way: Way
    sounding: NDArray[np.bool_]
    offset: float


def mix_of(sound: Floats, rate_hz: int, sounded: NDArray[np.bool_] | None = None) -> Mix:
    """Decide how the channels of sound (samples, channels), full scale 1, are mixed.

    `sounded` (channels,) are those that have sounded before.
    """
    mean = sound.mean(axis=0, dtype=np.float64)
    centred = sound - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64)
    power = np.diag(covariance)
    sounding = power > power.max() * 10 ** (SILENT_DB / 10)
    if sounded is not None:
        sounding |= sounded & (power > 0)
    if not sounding.any():
        return Mix(np.eye(1, len(power))[0], "mean", sounding, float(mean[0]))
    weights, way = _weighted(sound, rate_hz, covariance, np.flatnonzero(sounding))
    return Mix(weights, way, sounding, float(weights @ mean))


def _weighted(
    sound: Floats, rate_hz: int, covariance: NDArray[np.float64], channels: NDArray[np.intp]
) -> tuple[NDArray[np.float64], Way]:
    """Return the weights of channels, of which some sound, and what was seen."""
    power, first = np.diag(covariance), channels[0]
    weights = np.zeros(len(power))
    weights[channels] = _SURROUND[channels] if channels[-1] >= 4 else 1.0
    likeness = covariance[first, channels] / np.sqrt(power[first] * power[channels])
    way: Way = "silent_channel" if len(channels) == 1 and first < 2 <= len(power) else "mean"
    if (likeness < INVERTED).any():
        weights[channels] *= np.where(likeness < INVERTED, -1, 1)
        way = "inverted"
    elif len(channels) == 2 and abs(likeness[1]) < UNRELATED:
        speechless = _speechless(sound[:, channels], rate_hz)
        if speechless is not None:
            weights[channels[speechless]] = 0
            way = "no_speech_channel"
    total = np.abs(weights).sum()
    return (weights / total, way) if total else (np.eye(1, len(power), first)[0], way)


def _speechless(pair: Floats, rate_hz: int) -> int | None:
    """Return which of two channels nobody speaks on while somebody speaks on the other; None if neither."""
    shares = [_speech_share(pair[:, channel], rate_hz) for channel in range(2)]
    less, more = int(np.argmin(shares)), max(shares)
    return less if more >= SPOKEN and shares[less] <= SPOKEN_LESS * more else None


def _speech_share(sound: Floats, rate_hz: int) -> float:
    """Return the share of sound (samples,) in which somebody speaks, 0..1."""
    heard = np.concatenate(list(resampled([(sound - sound.mean()).astype(np.float64)], rate_hz)))
    found = VoiceActivity().probabilities(to_16_bit(heard))
    return float((found > 0.5).mean()) if len(found) else 0.0


class Mono:
    """Mixes the packets of a file to one channel, as each half minute of it decides.

    `offset` is the mean of the mix of the first half minute, full scale 1.
    """

    def __init__(self) -> None:
        self.offset: float | None = None
        self.way: Way = "mean"
        self._sounded: NDArray[np.bool_] | None = None
        self._samples = self._clipped = 0
        self._lowest, self._highest = np.inf, -np.inf

    def mixed(self, packets: Iterable[Packet], rate_hz: int) -> Iterator[Packet]:
        """Yield packets of one channel, shape (samples,), in place of those of many, shape (samples, channels)."""
        for some in _together(packets, min(round(DECIDE_S * rate_hz), DECIDE_SAMPLES)):
            mix = mix_of(np.concatenate([packet.samples for packet in some]), rate_hz, self._sounded)
            self._sounded = mix.sounding if self._sounded is None else self._sounded | mix.sounding
            self.way = mix.way if self.way == "mean" else self.way
            self.offset = mix.offset if self.offset is None else self.offset
            for packet in some:
                yield Packet(packet.place, self._mixed(packet.samples, mix.weights))

    def _mixed(self, sound: Floats, weights: Floats) -> Floats:
        # Sums of one channel at a time: their order is the same on every processor.
        used = [(weight, sound[:, channel]) for channel, weight in enumerate(weights) if weight]
        mixed = sum((weight * channel for weight, channel in used), np.zeros(len(sound)))
        loudest = np.max([np.abs(channel) for _, channel in used], axis=0)
        self._clipped += int((loudest >= FULL_SCALE).sum())
        self._lowest, self._highest = min(self._lowest, mixed.min()), max(self._highest, mixed.max())
        self._samples += len(sound)
        return np.asarray(mixed, dtype=np.float64)

    @property
    def clipped(self) -> float:
        """Share of the samples so far at or beyond full scale in any channel that is used, 0..1."""
        return self._clipped / self._samples if self._samples else 0.0

    @property
    def silent(self) -> bool:
        """Whether what was mixed so far is silent, but for a constant offset."""
        return self._highest - self._lowest <= 2 * SILENCE / 32768


def channels_of(content: bytes, channels: int) -> Floats:
    """Return what ffmpeg wrote as numbers, shape (samples, channels); what is no number is 0, as files may hold it."""
    sound = np.frombuffer(content, "<f4").reshape(-1, channels)[:, :CHANNELS]
    return sound if np.isfinite(sound).all() else np.nan_to_num(sound, nan=0.0, posinf=1.0, neginf=-1.0)


def _together(packets: Iterable[Packet], samples: int) -> Iterator[list[Packet]]:
    """Yield lists of packets with so many samples together; the last may have fewer."""
    held: list[Packet] = []
    found = 0
    for packet in packets:
        held.append(packet)
        found += len(packet.samples)
        if found >= samples:
            yield held
            held, found = [], 0
    if held:
        yield held
