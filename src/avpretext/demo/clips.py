"""One clip of the demo: its plan, and the sound and movements that are drawn from its seed."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avpretext.config import DemoOptions
from avpretext.demo import emotions, voice
from avpretext.demo.face import HeadMotion
from avpretext.demo.muscles import MOVEMENTS
from avpretext.demo.speakers import Speaker


@dataclass(frozen=True)
class ClipPlan:
    """What a clip is to show.

    Attributes
    ----------
    corpus
        `labelled` or `unlabelled`.
    clip_id
        As the corpus's reader names the clip.
    path
        Relative to the folder of the demo corpus, with `/`.
    emotion, sentence, text
        The emotion, the sentence's code and its words.
    seed
        Seeds the clip's own random numbers: it looks the same whatever else is made.
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

    Attributes
    ----------
    sound
        full scale 1, at `voice.RATE_HZ`, exactly as long as the frames.
    movements
        (frames, movements) in the order of `muscles.MOVEMENTS`.
    head
        Where the head is.
    phonemes
        With times from the start of the clip.
    prosody
        How it is said: the emotion's own, and the clip's.
    """

    sound: voice.Samples
    movements: NDArray[np.float32]
    head: HeadMotion
    phonemes: tuple[voice.Phoneme, ...]
    prosody: emotions.Prosody

    @property
    def arousal(self) -> float:
        """How excited the voice is: the emotion's own arousal and the clip's."""
        return self.prosody.arousal


def perform(plan: ClipPlan, options: DemoOptions) -> Performance:
    """Speak and act a clip, as its plan and its seed say."""
    rng = np.random.default_rng(plan.seed)
    arousal = float(rng.standard_normal())
    prosody = emotions.draw_prosody(plan.emotion, arousal, options.overlap, rng)
    spoken = _say(plan, prosody)
    lead, tail = rng.uniform(0.1, 0.25), rng.uniform(0.15, 0.3)
    count = int(np.ceil((lead + len(spoken.samples) / voice.RATE_HZ + tail) * options.fps))
    phonemes = tuple(voice.Phoneme(p.start_s + lead, p.end_s + lead, p.name) for p in spoken.phonemes)
    emphasis = emotions.smooth_noise(count, options.fps, 1.2, rng)
    sound = _place(spoken.samples, prosody, emphasis, lead, count, plan.speaker, options, rng)
    gain = plan.speaker.expressiveness * emotions.facial_gain(arousal, options.coupling, rng)
    expression = emotions.draw_expression(plan.emotion, gain, emphasis, options.fps, options.flicker, rng)
    openness, roundness = emotions.articulate(phonemes, count, options.fps)
    effort = 0.9 + 0.12 * prosody.arousal
    movements = emotions.combine(expression, openness, roundness, effort)
    head = _move_head(count, options.fps, prosody.arousal, movements, rng)
    return Performance(sound, movements, head, phonemes, prosody)


def _say(plan: ClipPlan, prosody: emotions.Prosody) -> voice.Utterance:
    """Speak the sentence with the speaker's own voice, shifted as the emotion does."""
    speaker = plan.speaker
    delivery = voice.Delivery(
        voice=speaker.voice,
        pitch=speaker.pitch + prosody.pitch,
        pitch_range=speaker.pitch_range + prosody.pitch_range,
        words_per_minute=speaker.words_per_minute * float(np.exp(prosody.rate)),
    )
    return voice.speak(plan.text, delivery)


def _place(
    spoken: voice.Samples,
    prosody: emotions.Prosody,
    emphasis: NDArray[np.float32],
    lead_s: float,
    frames: int,
    speaker: Speaker,
    options: DemoOptions,
    rng: np.random.Generator,
) -> voice.Samples:
    """Put the voice into the clip: effort, breath, tremor, loudness, room and noise."""
    total = round(frames / options.fps * voice.RATE_HZ)
    start = round(lead_s * voice.RATE_HZ)
    sound = voice.breathe(voice.tilt(spoken, prosody.tilt_db), prosody.breath, rng)
    sound = voice.set_level(sound, -26 + prosody.level_db)
    clip = np.zeros(total)
    clip[start : start + len(sound)] = sound[: total - start]
    time = np.arange(frames) / options.fps
    tremor = 1 + prosody.tremor * np.sin(2 * np.pi * (6 * time + rng.uniform()))
    loudness = 10 ** (options.emphasis_db * emphasis.astype(np.float64) / 20)
    clip = voice.modulate(clip, tremor * loudness)
    clip = voice.reverberate(clip, speaker.room_s, 0.35, rng)
    clip += voice.background(total, speaker.noise_db + float(rng.normal(0, 3)), rng)
    return np.clip(clip, -0.98, 0.98)


def _move_head(
    frames: int, fps: float, arousal: float, movements: NDArray[np.float32], rng: np.random.Generator
) -> HeadMotion:
    """Small, slow head motion, more of it when excited; turns of the head are written into `movements`."""
    size = float(np.clip(1 + 0.35 * arousal, 0.5, 1.6))
    drift = [emotions.smooth_noise(frames, fps, 0.7, rng) for _ in range(6)]
    movements[:, MOVEMENTS.index("yaw")] = 0.045 * size * drift[0]
    movements[:, MOVEMENTS.index("pitch")] = 0.035 * size * drift[1]
    shift = 0.03 * size * np.column_stack(drift[2:4])
    return HeadMotion(shift.astype(np.float32), 0.015 * size * drift[4], 1 + 0.008 * size * drift[5])


def facial_activation(movements: NDArray[np.float32], names: Iterable[str], fps: float) -> float:
    """Mean speed of the action units over a clip: the sum over units of |change| per second."""
    columns = [MOVEMENTS.index(name) for name in names]
    if len(movements) < 2:
        return 0.0
    return float(np.abs(np.diff(movements[:, columns], axis=0)).sum(axis=1).mean() * fps)
