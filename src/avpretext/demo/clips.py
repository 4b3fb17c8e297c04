"""One clip of the demo: its plan, the sound and movements that are drawn from its seed, and its file."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import DemoOptions
from avpretext.demo import emotions, voice
from avpretext.demo.face import HeadMotion
from avpretext.demo.muscles import ACTION_UNITS, MOVEMENTS
from avpretext.demo.speakers import Speaker
from avpretext.media.encode import write_mp4
from avpretext.media.filters import resampled, to_16_bit


@dataclass(frozen=True)
class ClipPlan:
    """What a clip is to show.

    `corpus` is `labelled` or `unlabelled`; `path` is relative to the folder of the demo corpus, with `/`; `sentence` is
    a code, `text` its words. The `seed` is of the clip's own random numbers: it looks the same whatever else is made.
    """

    corpus: str
    clip_id: str
    path: str
    speaker: Speaker
    emotion: str
    sentence: str
    text: str
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Performance:
    """A clip before it is drawn: sound, movements, and the truth about both.

    `sound` has full scale 1, at `voice.RATE_HZ`, and is exactly as long as the frames; `movements` (frames, movements)
    are in the order of `muscles.MOVEMENTS`; times of phonemes are from the start of the clip.
    """

    plan: ClipPlan
    sound: voice.Samples
    movements: NDArray[np.float32]
    head: HeadMotion
    phonemes: tuple[voice.Phoneme, ...]
    prosody: emotions.Prosody

    def facial_activation(self, fps: float) -> float:
        """Mean speed of the action units: the sum over units of |change| per second."""
        units = self.movements[:, [MOVEMENTS.index(name) for name in ACTION_UNITS]]
        return float(np.abs(np.diff(units, axis=0)).sum(axis=1).mean() * fps) if len(units) > 1 else 0.0


def perform(plan: ClipPlan, options: DemoOptions) -> Performance:
    """Speak and act a clip, as its plan and its seed say."""
    rng = np.random.default_rng(plan.seed)
    arousal = float(rng.standard_normal())
    prosody = emotions.draw_prosody(plan.emotion, arousal, options.overlap, rng)
    usual = plan.speaker.delivery
    spoken = voice.speak(
        plan.text,
        replace(
            usual,
            pitch=usual.pitch + prosody.pitch,
            pitch_range=usual.pitch_range + prosody.pitch_range,
            words_per_minute=usual.words_per_minute * float(np.exp(prosody.rate)),
        ),
    )
    lead, tail = rng.uniform(0.1, 0.25), rng.uniform(0.15, 0.3)
    count = int(np.ceil((lead + len(spoken.samples) / voice.RATE_HZ + tail) * options.fps))
    phonemes = tuple(voice.Phoneme(start + lead, end + lead, name) for start, end, name in spoken.phonemes)
    emphasis = emotions.smooth_noise(count, options.fps, 1.2, rng)
    sound = _place(spoken.samples, prosody, emphasis, lead, plan.speaker, options, rng)
    gain = plan.speaker.expressiveness * emotions.facial_gain(arousal, options.coupling, rng)
    expression = emotions.draw_expression(plan.emotion, gain, emphasis, options.fps, options.flicker, rng)
    openness, roundness = emotions.articulate(phonemes, count, options.fps)
    movements = emotions.combine(expression, openness, roundness, effort=0.9 + 0.12 * prosody.arousal)
    head = _move_head(options.fps, prosody.arousal, movements, rng)
    return Performance(plan, sound, movements, head, phonemes, prosody)


def _place(
    spoken: voice.Samples,
    prosody: emotions.Prosody,
    emphasis: NDArray[np.float32],
    lead_s: float,
    speaker: Speaker,
    options: DemoOptions,
    rng: np.random.Generator,
) -> voice.Samples:
    """Put the voice into the clip: effort, breath, tremor, loudness, room and noise."""
    time = np.arange(len(emphasis)) / options.fps
    clip = np.zeros(round(len(emphasis) / options.fps * voice.RATE_HZ))
    start = round(lead_s * voice.RATE_HZ)
    sound = voice.breathe(voice.tilt(spoken, prosody.tilt_db), prosody.breath, rng)
    sound = voice.set_level(sound, -26 + prosody.level_db)[: len(clip) - start]
    clip[start : start + len(sound)] = sound
    tremor = 1 + prosody.tremor * np.sin(2 * np.pi * (6 * time + rng.uniform()))
    loudness = 10 ** (options.emphasis_db * emphasis.astype(np.float64) / 20)
    clip = voice.reverberate(voice.modulate(clip, tremor * loudness), speaker.room_s, 0.35, rng)
    clip += voice.background(len(clip), speaker.noise_db + float(rng.normal(0, 3)), rng)
    return np.clip(clip, -0.98, 0.98)


def _move_head(fps: float, arousal: float, movements: NDArray[np.float32], rng: np.random.Generator) -> HeadMotion:
    """Small, slow head motion, more of it when excited; turns of the head are written into `movements`."""
    size = float(np.clip(1 + 0.35 * arousal, 0.5, 1.6))
    drift = [emotions.smooth_noise(len(movements), fps, 0.7, rng) for _ in range(6)]
    movements[:, MOVEMENTS.index("yaw")] = 0.045 * size * drift[0]
    movements[:, MOVEMENTS.index("pitch")] = 0.035 * size * drift[1]
    shift = 0.03 * size * np.column_stack(drift[2:4])
    return HeadMotion(shift.astype(np.float32), 0.015 * size * drift[4], 1 + 0.008 * size * drift[5])


def as_stored(sound: voice.Samples) -> NDArray[np.int16]:
    """Return sound at `voice.RATE_HZ` as a clip has it: 16 kHz, 16 bit."""
    return to_16_bit(np.concatenate([*resampled([sound], voice.RATE_HZ)]))


def write_clip(path: Path, frames: NDArray[np.uint8], fps: float, sound: voice.Samples) -> None:
    """Write an mp4 of RGB frames (frames, height, width, 3) and sound, the same bytes for the same input.

    The sound is FLAC, so that what `split` decodes is the same on every machine: the decoder of AAC computes in 32 bit
    floating numbers, which end in other digits on another processor.
    """
    height, width = frames.shape[1:3]
    write_mp4(path, frames, (width, height), fps, as_stored(sound), SAMPLE_RATE_HZ, lossless=True)
