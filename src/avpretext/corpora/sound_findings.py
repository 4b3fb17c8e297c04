"""What is odd about the clips that were listened to, and what to do about it."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from avpretext.corpora.facts import Finding
from avpretext.corpora.listening import Heard
from avpretext.corpora.recordings import copies

EXAMPLES = 3
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

Rule = tuple[str, str, bool, Callable[[Heard], bool], Callable[[Heard], str]]

RULES: Mapping[str, Rule] = {
    "silent": (
        "there is no sound in the clip: it will be refused",
        "find a copy with sound, or move them out of the corpus",
        True, lambda clip: clip.silent, lambda clip: "",
    ),
    "no_face": (
        "a face is found in too few of the pictures: the clip will be refused",
        "look at them; set corpora.NAME.video to false where faces are not the matter, or lower"
        " landmarks.min_face_fraction",
        True, lambda clip: clip.faces is not None and clip.faces < FEW_FACES, lambda clip: f"{clip.faces:.0%}",
    ),
    "clipped": (
        "one sample in 1,000 or more is at full scale or beyond",
        "find a copy that is less loud; what was cut off cannot be mended",
        False, lambda clip: clip.clipped >= CLIPPED_SHARE, lambda clip: f"{clip.clipped:.1%} of its samples",
    ),
    "inverted": (
        "the channels cancel each other: one is turned over before they are mixed",
        "nothing: the mix is right",
        False, lambda clip: clip.mix == "inverted", lambda clip: "",
    ),
    "silent_channel": (
        "one of two channels is silent: it is left out, so that the level stays",
        "nothing: the mix is right",
        False, lambda clip: clip.mix == "silent_channel", lambda clip: "",
    ),
    "no_speech_channel": (
        "somebody speaks on one channel, and the other has a beep, a time code, hum or music: that one is left out",
        "nothing, if that channel is to be left out",
        False, lambda clip: clip.mix == "no_speech_channel", lambda clip: "",
    ),
    "no_speech": (
        "somebody speaks in less than a tenth of the time",
        "hear whether these are speech: music, noise and silence get labels too",
        False, lambda clip: not clip.silent and clip.speech < LITTLE_SPEECH, lambda clip: f"{clip.speech:.0%}",
    ),
    "offset": (
        "the sound is not centred on 0",
        "nothing: a high-pass at 20 Hz takes it out",
        False, lambda clip: abs(clip.offset) >= OFFSET, lambda clip: f"{clip.offset:+.1%} of full scale",
    ),
    "quiet": (
        "the sound is near the noise of 16 bits",
        "find a louder copy, or the originals",
        False, lambda clip: not clip.silent and clip.level_db < QUIET_DB, lambda clip: f"{clip.level_db:.0f} dB",
    ),
    "zeros": (
        "stretches of the sound are exactly 0: it was cut, padded or lost there",
        "at the ends split.trim_db cuts them off; in the middle, find a whole copy",
        False, lambda clip: not clip.silent and clip.zeros >= ZEROS, lambda clip: f"{clip.zeros:.0%} of its time",
    ),
    "narrow_band": (
        "nothing sounds above 4 kHz: it was recorded at 8 kHz, as by telephone",
        "keep them apart from recordings of full band, from which models tell them by the band alone",
        False, lambda clip: not clip.silent and clip.above_db < NARROW_DB, lambda clip: "",
    ),
}  # fmt: skip
"""Reason to what it means, what to do, whether it is wrong, when it is so, and what was seen."""


def findings_of(heard: Sequence[Heard], clips: int) -> list[Finding]:
    """Return what is odd, of these clips out of so many."""
    of = f" (of {len(heard):,} clips listened to, of {clips:,}; --listen all hears every one)"
    looked_at = of if len(heard) < clips else ""
    found = []
    for reason, (meaning, fix, wrong, is_so, seen) in RULES.items():
        odd = [(clip.path, seen(clip)) for clip in heard if is_so(clip)]
        if odd:
            examples = tuple(f"{path} ({what})" if what else path for path, what in odd[:EXAMPLES])
            found.append(Finding(reason, meaning + looked_at, fix, len(odd), examples, wrong))
    return found + _of_levels(heard, looked_at) + _of_copies(heard, looked_at)


def _of_levels(heard: Sequence[Heard], looked_at: str) -> list[Finding]:
    """Return that some speakers were recorded much louder than others."""
    levels = speaker_levels(heard)
    softest, loudest = min(levels, key=levels.__getitem__, default=""), max(levels, key=levels.__getitem__, default="")
    if not levels or levels[loudest] - levels[softest] < SPREAD_DB:
        return []
    meaning = f"the levels of speakers differ by {levels[loudest] - levels[softest]:.0f} dB{looked_at}"
    examples = tuple(f"speaker {name}: {levels[name]:.0f} dB" for name in (softest, loudest))
    fix = "normalise by speaker (model.normalise, baseline.normalise), or bring the files to one level"
    return [Finding("levels", meaning, fix, 0, examples, wrong=False)]


def speaker_levels(heard: Sequence[Heard]) -> dict[str, float]:
    """Return the median level of each known speaker's clips, in dB below full scale."""
    levels = defaultdict(list)
    for clip in heard:
        if clip.speaker is not None and not clip.silent:
            levels[clip.speaker].append(clip.level_db)
    return {speaker: statistics.median(found) for speaker, found in levels.items()}


def _of_copies(heard: Sequence[Heard], looked_at: str) -> list[Finding]:
    """Return that clips hold the same recording."""
    pairs = [(heard[first], heard[second]) for first, second, _ in copies([clip.fingerprint for clip in heard])]
    if not pairs:
        return []
    others = sum(first.speaker != second.speaker for first, second in pairs)
    people = f", {others:,} of them under the names of different speakers" if others else ""
    meaning = f"pairs of clips hold the same recording, equal or re-encoded{people}{looked_at}"
    examples = tuple(f"{second.path} is {first.path}" for first, second in pairs[:EXAMPLES])
    fix = "keep one of each; folds keep them apart (protocol.duplicates), and pre-training hears both"
    return [Finding("copies", meaning, fix, len(pairs), examples, wrong=False)]


def unseen(heard: Sequence[Heard], video: bool) -> list[Finding]:
    """Return that faces were not looked for in a corpus of videos."""
    if not video or not heard or any(clip.faces is not None for clip in heard):
        return []
    meaning = "faces were not looked for: the face model, or a library that MediaPipe needs, is not here"
    fix = "give --model with the file face_landmarker.task; `avpretext doctor` names missing libraries"
    return [Finding("faces", meaning, fix, 0, (), wrong=False)]


def sound_of(heard: Sequence[Heard], clips: int) -> str:
    """Return how the clips sound and look, in words; empty where none were listened to."""
    if not heard:
        return ""
    levels = sorted(speaker_levels(heard).values())
    spread = f", speakers {levels[0]:.0f} to {levels[-1]:.0f}" if len(levels) > 1 else ""
    said = [
        f"{len(heard):,} of {clips:,} clips listened to" if len(heard) < clips else f"all {clips:,} clips listened to",
        f"level {statistics.median(clip.level_db for clip in heard):.0f} dB{spread}",
        f"speech in {statistics.fmean(clip.speech for clip in heard):.0%} of the time",
    ]
    faces = [clip.faces for clip in heard if clip.faces is not None]
    if faces:
        said.append(f"a face in {statistics.fmean(faces):.0%} of the pictures of {len(faces)}")
    return ", ".join(said)
