"""Six emotions: what they do to the face, what they do to the voice, and how both vary from clip to clip."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avpretext import yaml_files
from avpretext.demo.muscles import ACTION_UNITS, MOVEMENTS
from avpretext.demo.voice import Phoneme

Track = NDArray[np.float32]

EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
"""CREMA-D's six emotions by their codes."""

TABLES: Mapping[str, Any] = yaml_files.of_package("avpretext.demo", "emotions.yaml")
"""What is known of them, as numbers."""

PROTOTYPES: Mapping[str, Mapping[str, float]] = TABLES["prototypes"]
"""Action units of each emotion and their usual intensities."""

_IMPOSSIBLE_IN_SPEECH = ("AU24",)


@dataclass(frozen=True)
class Prosody:
    """What an emotion does to a voice, as shifts from the speaker's own; each clip scatters around it.

    Attributes
    ----------
    arousal
        How excited body and voice are, about -1 to 1.
    pitch, pitch_range
        In espeak-ng's 0 to 99.
    rate
        Natural logarithm of the factor on words per minute.
    level_db
        Loudness.
    tilt_db
        Spectral tilt per octave: vocal effort.
    breath
        Aspiration, in shares of the voice's level.
    tremor
        Depth of a 6 Hz tremor, 0..1.
    """

    arousal: float
    pitch: float
    pitch_range: float
    rate: float
    level_db: float
    tilt_db: float
    breath: float
    tremor: float


PROSODY = {emotion: Prosody(*shifts) for emotion, shifts in TABLES["prosody"].items()}
SCATTER = Prosody(*TABLES["scatter"])
"""Standard deviations from clip to clip."""


def draw_prosody(emotion: str, arousal: float, overlap: float, rng: np.random.Generator) -> Prosody:
    """Draw how one clip is said.

    `arousal` is how far the clip is above (positive) or under its emotion's usual arousal, in standard deviations;
    `overlap` is a factor on the scatter of the clips: at 0 every clip of an emotion is said alike.
    """
    usual = PROSODY[emotion]
    noise = rng.standard_normal(7) * overlap
    excited = arousal * overlap
    return Prosody(
        arousal=usual.arousal + SCATTER.arousal * excited,
        pitch=usual.pitch + SCATTER.pitch * (0.8 * noise[0] + 0.4 * excited),
        pitch_range=usual.pitch_range + SCATTER.pitch_range * noise[1],
        rate=usual.rate + SCATTER.rate * noise[2],
        level_db=usual.level_db + SCATTER.level_db * (0.5 * noise[3] + 0.9 * excited),
        tilt_db=usual.tilt_db + SCATTER.tilt_db * (0.7 * noise[4] + 0.5 * excited),
        breath=float(np.clip(usual.breath + SCATTER.breath * noise[5], 0, 0.5)),
        tremor=float(np.clip(usual.tremor + SCATTER.tremor * noise[6], 0, 0.5)),
    )


def facial_gain(arousal: float, coupling: float, rng: np.random.Generator) -> float:
    """How strongly a clip's face shows its emotion; correlated with its vocal arousal by `coupling` (0..1)."""
    own = rng.standard_normal()
    return float(np.clip(0.85 + 0.2 * (coupling * arousal + np.sqrt(1 - coupling**2) * own), 0.35, 1.2))


def smooth_noise(count: int, fps: float, cutoff_hz: float, rng: np.random.Generator) -> Track:
    """Noise of mean 0 and deviation 1 that changes no faster than `cutoff_hz`; (count,)."""
    margin = int(2 * fps / cutoff_hz)
    white = rng.standard_normal(count + 2 * margin)
    lag = np.arange(-margin, margin + 1) / fps * cutoff_hz
    kernel = np.exp(-0.5 * (lag * np.pi) ** 2)
    smooth = np.convolve(white, kernel / np.linalg.norm(kernel), mode="same")
    return np.asarray(smooth[margin : margin + count], np.float32)


def _envelope(count: int, fps: float, rng: np.random.Generator) -> Track:
    """Onset, apex and offset of an expression; (count,), 0..1."""
    time = np.arange(count) / fps
    onset, rise = rng.uniform(-0.1, 0.35), rng.uniform(0.2, 0.5)
    offset, fall = count / fps - rng.uniform(0.0, 0.35), rng.uniform(0.3, 0.6)
    up, down = np.clip((time - onset) / rise, 0, 1), np.clip((offset - time) / fall + 0.4, 0.4, 1)
    return np.asarray(up**2 * (3 - 2 * up) * down, np.float32)


def _blinks(count: int, fps: float, rng: np.random.Generator) -> Track:
    """Blinks: about one in three seconds, a quarter of a second each."""
    track = np.zeros(count, np.float32)
    frames = np.arange(count)
    for start in np.cumsum(rng.exponential(3.0 * fps, 8)):
        track = np.maximum(track, np.exp(-0.5 * ((frames - start) / (0.07 * fps)) ** 2).astype(np.float32))
    return track


def draw_expression(
    emotion: str, gain: float, emphasis: Track, fps: float, flicker: float, rng: np.random.Generator
) -> dict[str, Track]:
    """Draw the course of each action unit through a clip, speech left out: (frames,) intensities 0..1 by action unit.

    `gain` is how strongly the face shows the emotion; `emphasis` (frames,) is what voice and face have in common from
    moment to moment, mean 0, deviation 1; `flicker` is the noise of the intensities, in units of intensity.
    """
    count = len(emphasis)
    course = _envelope(count, fps, rng) * (1 + 0.15 * emphasis)
    tracks: dict[str, Track] = {}
    for name in ACTION_UNITS:
        usual = PROTOTYPES[emotion].get(name, 0.0) * gain * max(0.2, 1 + 0.2 * rng.standard_normal())
        stray = max(0.0, rng.normal(-0.08, 0.1))
        noise = flicker * smooth_noise(count, fps, 1.5, rng) * (0.35 + usual)
        strength = 0 * course if name in _IMPOSSIBLE_IN_SPEECH else usual * course + stray + noise
        tracks[name] = np.clip(strength, 0, 1).astype(np.float32)
    tracks["AU43"] = np.maximum(tracks["AU43"] * 0.5, _blinks(count, fps, rng))
    brow_flash = 0.18 * np.maximum(emphasis - 0.8, 0) * gain
    for name in ("AU01", "AU02"):
        tracks[name] = np.clip(tracks[name] + brow_flash, 0, 1).astype(np.float32)
    return tracks


_OPEN, _ROUND = TABLES["open"], TABLES["round"]
_SHUT = frozenset("mbp")


def articulate(phonemes: tuple[Phoneme, ...], count: int, fps: float) -> tuple[Track, Track]:
    """Openness and roundness of the mouth, 0..1, in each frame, by the phonemes being said.

    The mouth passes smoothly from one sound to the next over about 60 ms; lips meet for m, b and p.
    """
    fine = 200.0
    size = int(count / fps * fine) + 1
    opened, rounded, shut = np.zeros(size), np.zeros(size), np.zeros(size)
    for phoneme in phonemes:
        letters = [letter for letter in phoneme.name if letter in _OPEN]
        if not letters:
            continue
        stretch = slice(int(phoneme.start_s * fine), max(int(phoneme.end_s * fine), int(phoneme.start_s * fine) + 1))
        opened[stretch] = np.mean([_OPEN[letter] for letter in letters])
        rounded[stretch] = np.mean([_ROUND.get(letter, 0.0) for letter in letters])
        shut[stretch] = float(letters[0] in _SHUT)
    kernel = np.hanning(int(0.12 * fine) + 2)[1:-1]
    smooth = [np.convolve(track, kernel / kernel.sum(), mode="same") for track in (opened, rounded, shut)]
    smooth[0] *= 1 - np.clip(1.5 * smooth[2], 0, 1)
    instants = np.arange(count) / fps * fine
    openness, roundness = (np.interp(instants, np.arange(size), track).astype(np.float32) for track in smooth[:2])
    return openness, roundness


def combine(expression: Mapping[str, Track], openness: Track, roundness: Track, effort: float) -> Track:
    """Add the speaking mouth to an expression: (frames, movements) in the order of `muscles.MOVEMENTS`.

    `effort` is how wide the mouth opens in speech; about 1.
    """
    moves = np.zeros((len(openness), len(MOVEMENTS)), np.float32)
    for name, track in expression.items():
        moves[:, MOVEMENTS.index(name)] = track
    lips, jaw = MOVEMENTS.index("AU25"), MOVEMENTS.index("AU26")
    moves[:, lips] = np.clip(moves[:, lips] * 0.6 + 0.75 * effort * openness, 0, 1)
    moves[:, jaw] = np.clip(moves[:, jaw] * 0.7 + 0.55 * effort * openness, 0, 1)
    moves[:, MOVEMENTS.index("AU23")] *= 1 - 0.4 * np.clip(openness * 2, 0, 1)
    moves[:, MOVEMENTS.index("round")] = 0.8 * roundness
    return moves
