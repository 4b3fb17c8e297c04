"""A sample of clips is listened to and looked at before hours of work, as `split` and `landmarks` would have them.

Each clip is decoded as `split` decodes it, at most its first minute, and measured; `RULES` tell what is odd.
"""

import os
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import MediaOptions
from avpretext.corpora.checks.recordings import copies
from avpretext.corpora.findings import MEANINGS, Finding, counted
from avpretext.corpora.reader import Clip
from avpretext.media import ffmpeg
from avpretext.media.clock import Sound
from avpretext.media.decode import split_jpegs
from avpretext.media.fingerprint import Words, band_power, fingerprint
from avpretext.media.mono import Mono, Way
from avpretext.media.process import FfmpegProcess
from avpretext.media.stretches import Stretch
from avpretext.media.voice_activity import VoiceActivity
from avpretext.pool import ordered_map
from avpretext.progress import progress
from avpretext.segment.face_count import FACE_HEIGHT, count_faces

Which = Literal["sample", "all", "none"]
"""Which files are opened, or clips listened to."""

SAMPLE = 100
LOOKED_AT = 24
"""Clips that are listened to, and those of them whose faces are looked for, in a sample."""

LONGEST_S = 60.0
LOOKED_AT_S = 10.0
FACE_FPS = 2.0

SPEECH_PROBABILITY = 0.5
ZEROS_S = 0.1
"""Shorter stretches of zeros are no gaps."""

CLIPPED_SHARE = 0.001
"""Of a clip's samples at full scale."""

OFFSET = 0.01
"""Of full scale."""

QUIET_DB = -55.0
"""A voice this far below full scale is near the noise of 16 bits."""

SPREAD_DB = 15.0
"""Between the loudest and the softest speaker, by the medians of their clips: more than voices differ."""

ZEROS = 0.2
LITTLE_SPEECH = 0.1
NARROW_DB = -60.0
FEW_FACES = 0.3
"""As `landmarks.min_face_fraction`."""

NO_FACES = "faces were not looked for: the face model, or a library that MediaPipe needs, is not here"

_VOICE_HZ, _ABOVE_HZ = (300.0, 3400.0), (4900.0, 7800.0)
_THREADS = 8
_SEED = 1

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class HeardClip:
    """What a clip sounds and looks like.

    `level_db` is the root mean square about the mean, below full scale. `zeros` and `speech` are shares of its time:
    exactly 0, in stretches; in which somebody speaks. `above_db` is the power above 4.9 kHz, relative to that of the
    voice: sound that was once sampled at 8 kHz has none. `faces` is the share of its pictures that show a face; None:
    not looked at.
    """

    clip: Clip
    path: str
    mono: Mono
    level_db: float
    zeros: float
    speech: float
    above_db: float
    fingerprint: Words
    faces: float | None = None


def listen(root: Path, clips: Mapping[str, Sequence[Clip]], which: Which, model: Path | None) -> tuple[HeardClip, ...]:
    """Listen to clips of a corpus, by file; those that cannot be decoded are left out, since `split` refuses them.

    A sample is `SAMPLE` clips, spread evenly over speakers and drawn by a fixed seed. Without `model`, the file
    `face_landmarker.task`, faces are not looked for.
    """
    chosen = _chosen(clips, which)
    program = ffmpeg.program("bundled")
    looked_at = chosen if which == "all" else chosen[:LOOKED_AT]
    faces = _faces(root, looked_at, program, model) if model else {}
    hear = partial(_hear, root, program)
    threads = min(_THREADS, os.cpu_count() or 1)
    found = progress(ordered_map(hear, chosen, threads), total=len(chosen), unit="clips", label="listening")
    heard = [replace(one, faces=faces.get(one.clip.clip_id)) for one in found if one is not None]
    return tuple(sorted(heard, key=lambda one: one.path))


def look(root: Path, clips: Mapping[str, Sequence[Clip]], which: Which, model: Path | None) -> list[Finding]:
    """Return the findings about faces in a corpus whose sound is not read; see `listen`."""
    chosen = _chosen(clips, which)
    looked_at = chosen if which == "all" else chosen[:LOOKED_AT]
    faces = _faces(root, looked_at, ffmpeg.program("bundled"), model) if model else {}
    if looked_at and not faces:
        return [Finding("faces", NO_FACES)]
    few = [f"{path} ({share:.0%})" for path, clip in looked_at
           if (share := faces[clip.clip_id]) is not None and share < FEW_FACES]  # fmt: skip
    every = sum(map(len, clips.values()))
    of = f" (of {len(looked_at):,} clips looked at, of {every:,}; --listen all looks at every one)"
    return counted("no_face", MEANINGS["no_face"] + (of if len(looked_at) < every else ""), few, wrong=True)


def _chosen(clips: Mapping[str, Sequence[Clip]], which: Which) -> list[tuple[str, Clip]]:
    every = [(path, clip) for path, found in clips.items() for clip in found]
    return every if which == "all" else sample(every, SAMPLE if which == "sample" else 0)


def sample(clips: Sequence[tuple[str, Clip]], number: int) -> list[tuple[str, Clip]]:
    """Return so many clips, one of each speaker in turn, drawn by a fixed seed: the same clips each time."""
    drawing = random.Random(_SEED)
    by_speaker: dict[str, list[tuple[str, Clip]]] = defaultdict(list)
    for path, clip in sorted(clips, key=lambda entry: entry[1].clip_id):
        by_speaker[clip.speaker or ""].append((path, clip))
    for found in by_speaker.values():
        drawing.shuffle(found)
    speakers = sorted(by_speaker)
    drawing.shuffle(speakers)
    turns = [(turn, place, entry) for place, name in enumerate(speakers) for turn, entry in enumerate(by_speaker[name])]
    return [entry for _, _, entry in sorted(turns, key=lambda one: one[:2])[:number]]


def _stretch(clip: Clip, longest_s: float) -> Stretch:
    start_s = clip.start_s or 0.0
    return Stretch(start_s, min(start_s + longest_s, clip.end_s or start_s + longest_s))


def _hear(root: Path, program: str, named: tuple[str, Clip]) -> HeardClip | None:
    path, clip = named
    stretch = _stretch(clip, LONGEST_S)
    if not stretch.is_valid:
        return None
    with FfmpegProcess(root / path, program, MediaOptions(), False, stretch) as process:
        if process.header is None or not process.header.audio:
            return None
        samples = np.concatenate([*process.listen(SAMPLE_RATE_HZ), np.zeros(0, np.int16)])
        mono = process.sound.mono
    if not len(samples):
        return None
    values = samples / 32768
    return HeardClip(
        clip,
        path,
        mono,
        level_db=float(20 * np.log10(max(values.std(), 1e-6))),
        zeros=zeros(samples),
        speech=float((VoiceActivity().probabilities(samples) > SPEECH_PROBABILITY).mean()),
        above_db=above_db(samples),
        fingerprint=fingerprint(band_power(values.astype(np.float32))),
    )


def zeros(samples: Samples) -> float:
    """Return the share of samples within stretches of zeros.

    >>> zeros(np.r_[np.ones(2000), np.zeros(2000), np.ones(20), np.zeros(60)].astype(np.int16)).__round__(2)
    0.49
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], samples == 0, [0]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= ZEROS_S * SAMPLE_RATE_HZ].sum() / len(samples)) if len(samples) else 0.0


def above_db(samples: Samples) -> float:
    """Return the power above 4.9 kHz in dB relative to that of 300 to 3,400 Hz; 0 for nothing."""
    if len(samples) < SAMPLE_RATE_HZ // 10 or not samples.any():
        return 0.0
    frequencies, power = scipy.signal.welch(samples.astype(np.float64), SAMPLE_RATE_HZ, nperseg=1024)
    of_voice, above = (
        power[(frequencies >= low) & (frequencies < high)].sum() + 1e-9 for low, high in (_VOICE_HZ, _ABOVE_HZ)
    )
    return float(10 * np.log10(above / of_voice))


def _faces(root: Path, clips: Sequence[tuple[str, Clip]], program: str, model: Path) -> dict[str, float | None]:
    """Return, by clip_id, the share of pictures that show a face; empty where MediaPipe cannot be loaded."""
    try:
        return {clip.clip_id: _face_share(root / path, clip, program, model) for path, clip in clips}
    except (ImportError, OSError):
        return {}


def _face_share(file: Path, clip: Clip, program: str, model: Path) -> float | None:
    """Return the share of a clip's pictures that show a face; None where it has none."""
    stretch, options = _stretch(clip, LOOKED_AT_S), MediaOptions(fps=FACE_FPS, height=FACE_HEIGHT)
    if not stretch.is_valid:
        return None
    with FfmpegProcess(file, program, options, True, stretch, sound=False) as process:
        if process.header is None or not process.header.video:
            return None
        _, counts = process.read(_unheard, lambda frames: count_faces(split_jpegs(frames), model, FACE_FPS))
    return float((counts > 0).mean()) if len(counts) else None


def _unheard(sound: Sound) -> None:
    """Leave alone the sound of a process that gives none."""


Rule = tuple[Callable[[HeardClip], bool], Callable[[HeardClip], str]]


def _way(way: Way) -> Rule:
    return lambda one: one.mono.way == way, lambda one: ""


RULES: Mapping[str, Rule] = {
    "silent": (lambda one: one.mono.silent, lambda one: ""),
    "no_face": (lambda one: one.faces is not None and one.faces < FEW_FACES, lambda one: f"{one.faces:.0%}"),
    "clipped": (lambda one: one.mono.clipped >= CLIPPED_SHARE, lambda one: f"{one.mono.clipped:.1%} of its samples"),
    "inverted": _way("inverted"),
    "silent_channel": _way("silent_channel"),
    "no_speech_channel": _way("no_speech_channel"),
    "no_speech": (lambda one: not one.mono.silent and one.speech < LITTLE_SPEECH, lambda one: f"{one.speech:.0%}"),
    "offset": (
        lambda one: abs(one.mono.offset or 0.0) >= OFFSET, lambda one: f"{one.mono.offset:+.1%} of full scale",
    ),
    "quiet": (lambda one: not one.mono.silent and one.level_db < QUIET_DB, lambda one: f"{one.level_db:.0f} dB"),
    "zeros": (lambda one: not one.mono.silent and one.zeros >= ZEROS, lambda one: f"{one.zeros:.0%} of its time"),
    "narrow_band": (lambda one: not one.mono.silent and one.above_db < NARROW_DB, lambda one: ""),
}  # fmt: skip
"""Reason of `MEANINGS`: when it is so, and what was seen."""

REFUSED = frozenset({"silent", "no_face"})
"""Reasons that are wrong: such clips will be refused."""


def findings_of(heard: Sequence[HeardClip], clips: int, video: bool) -> list[Finding]:
    """Return what is odd about the clips listened to, of `clips` in all; `video`: whether faces are wanted."""
    of = f" (of {len(heard):,} clips listened to, of {clips:,}; --listen all hears every one)"
    looked_at = of if len(heard) < clips else ""
    found = []
    for reason, (is_so, seen) in RULES.items():
        odd = [(one.path, seen(one)) for one in heard if is_so(one)]
        examples = [f"{path} ({what})" if what else path for path, what in odd]
        found += counted(reason, MEANINGS[reason] + looked_at, examples, reason in REFUSED)
    found += _of_levels(heard, looked_at) + _of_copies(heard, looked_at)
    if video and heard and all(one.faces is None for one in heard):
        found.append(Finding("faces", NO_FACES))
    return found


def _of_levels(heard: Sequence[HeardClip], looked_at: str) -> list[Finding]:
    levels = _speaker_levels(heard)
    softest, loudest = min(levels, key=levels.__getitem__, default=""), max(levels, key=levels.__getitem__, default="")
    if not levels or levels[loudest] - levels[softest] < SPREAD_DB:
        return []
    meaning = f"the levels of speakers differ by {levels[loudest] - levels[softest]:.0f} dB{looked_at}"
    examples = tuple(f"speaker {name}: {levels[name]:.0f} dB" for name in (softest, loudest))
    return [Finding("levels", meaning, examples=examples)]


def _speaker_levels(heard: Sequence[HeardClip]) -> dict[str, float]:
    """Return the median level of each known speaker's clips, in dB below full scale."""
    levels = defaultdict(list)
    for one in heard:
        if one.clip.speaker is not None and not one.mono.silent:
            levels[one.clip.speaker].append(one.level_db)
    return {speaker: statistics.median(found) for speaker, found in levels.items()}


def _of_copies(heard: Sequence[HeardClip], looked_at: str) -> list[Finding]:
    pairs = [(heard[first], heard[second]) for first, second, _ in copies([one.fingerprint for one in heard])]
    others = sum(first.clip.speaker != second.clip.speaker for first, second in pairs)
    people = f", {others:,} of them under the names of different speakers" if others else ""
    meaning = f"pairs of clips hold the same recording, equal or re-encoded{people}{looked_at}"
    return counted("copies", meaning, [f"{second.path} is {first.path}" for first, second in pairs])


def copies_between(heard: Sequence[HeardClip], theirs: Sequence[HeardClip], other: str) -> list[Finding]:
    """Return that clips of a corpus hold the same recording as clips of another; `other` is the place of that one."""
    every = [*heard, *theirs]
    pairs = [pair for pair in copies([one.fingerprint for one in every]) if pair[0] < len(heard) <= pair[1]]
    meaning = f"pairs of clips hold the same recording in this corpus and in {other} (of those listened to)"
    return counted("copies", meaning, [f"{every[first].path} is {every[second].path}" for first, second, _ in pairs])


def sound_of(heard: Sequence[HeardClip], clips: int) -> str:
    """Return in words how the clips sound and look; empty where none were listened to."""
    if not heard:
        return ""
    levels = sorted(_speaker_levels(heard).values())
    spread = f", speakers {levels[0]:.0f} to {levels[-1]:.0f}" if len(levels) > 1 else ""
    said = [
        f"{len(heard):,} of {clips:,} clips listened to" if len(heard) < clips else f"all {clips:,} clips listened to",
        f"level {statistics.median(one.level_db for one in heard):.0f} dB{spread}",
        f"speech in {statistics.fmean(one.speech for one in heard):.0%} of the time",
    ]
    faces = [one.faces for one in heard if one.faces is not None]
    if faces:
        said.append(f"a face in {statistics.fmean(faces):.0%} of the pictures of {len(faces)}")
    return ", ".join(said)
