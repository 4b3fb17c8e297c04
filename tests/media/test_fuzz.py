"""Damaged files, drawn by a seed: no crash, no hang, little memory, and each clip is right or refused.

CI draws few. Any number, from any seed, about two a second:

    AVPRETEXT_FUZZ=2000 AVPRETEXT_FUZZ_SEED=7 python -m pytest tests/media/test_fuzz.py
"""

import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from avpretext.config import MediaOptions
from avpretext.media import bounds
from avpretext.media.decode import Decoded, decode
from avpretext.refusal import REASONS, Refusal

from .conftest import Make
from .test_extensions import SOUND
from .test_truncated import FILM, FILMS, SOUNDS
from .test_truncated import SOUND as TONE

CASES = int(os.environ.get("AVPRETEXT_FUZZ", "30"))
SEED = int(os.environ.get("AVPRETEXT_FUZZ_SEED", "20"))
MOST_S = 30.0
OWN_MB = 300
"""What Python may hold beside ffmpeg."""

NUMBERS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\xff\xff\xff\x7f")
ALL = {**FILMS, **SOUNDS, **SOUND}

BESIDE = """
import json, sys, av
with av.open(sys.argv[1], metadata_errors="replace") as file:
    start = (file.start_time or 0) / av.time_base
    sound = file.streams.audio[0]
    end = 0.0
    for packet in file.demux(sound):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            if frame.pts is not None:
                end = max(end, float(frame.pts * frame.time_base) + frame.samples / frame.sample_rate)
print(json.dumps(end - start))
"""


def mutant(content: bytes, drawn: random.Random) -> bytes:
    """Return a damaged copy: some of bits turned, bytes cleared, lost, doubled, moved or random, numbers at limits."""
    found = bytearray(content)
    for _ in range(drawn.choice((1, 1, 2, 4, 16))):
        size = len(found)
        # Half of the damage is in the header, which all else hangs on.
        place = drawn.randrange(min(size, 4096)) if drawn.random() < 0.5 else drawn.randrange(size)
        length = min(size - place, 1 << drawn.randrange(15))
        kind = drawn.randrange(7)
        if kind == 0:
            found[place] ^= 1 << drawn.randrange(8)
        elif kind == 1:
            found[place : place + length] = bytes(length)
        elif kind == 2 and size - length > 64:
            del found[place : place + length]
        elif kind == 3:
            found[place:place] = found[place : place + length]
        elif kind == 4:
            found[place : place + length] = drawn.randbytes(length)
        elif kind == 5:
            found[place : place + 4] = drawn.choice(NUMBERS)
        else:
            other = drawn.randrange(size)
            found[place : place + length], found[other:other] = b"", found[place : place + length]
    return bytes(found) or b"\0"


def lengths_s(file: Path) -> list[float]:
    """Return how long the sound of a file is by other decoders, libsndfile and PyAV, as far as they read it."""
    found = []
    try:
        with soundfile.SoundFile(file) as sound:
            found.append(len(sound.read()) / sound.samplerate)
    except (soundfile.SoundFileError, ValueError, TypeError, MemoryError, OverflowError):
        pass
    try:
        told = subprocess.run([sys.executable, "-c", BESIDE, str(file)], capture_output=True, timeout=60, check=True)
        found.append(float(json.loads(told.stdout)))
    except (subprocess.SubprocessError, ValueError):
        pass
    return [length_s for length_s in found if length_s > 0]


def is_as_long(heard_s: float, other_s: float) -> bool:
    return abs(heard_s - other_s) <= max(0.6, 0.1 * max(heard_s, other_s))


def most_of_children_mb() -> float:
    """Return the highest memory of any child of this process that has ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


@pytest.mark.parametrize("part", range(3))
def test_a_damaged_file_is_right_or_refused(make: Make, ffmpeg: str, tmp_path: Path, part: int) -> None:
    drawn, made = random.Random(f"{SEED}/{part}"), dict[str, bytes]()
    kept = compared = 0
    before_mb = most_of_children_mb()
    for case in range(CASES // 3):
        name = drawn.choice(list(ALL))
        film = name in FILMS
        if name not in made:
            made[name] = make(name, *(FILM if film else ()), *TONE, *ALL[name]).read_bytes()
        file = tmp_path / f"mutant{Path(name).suffix}"
        file.write_bytes(mutant(made[name], drawn))
        began = time.monotonic()
        found = decode(file, ffmpeg, MediaOptions(), film, tmp_path)
        said = f"{name}, case {case} of seed {SEED}/{part}: {found}"[:300]
        assert time.monotonic() - began < MOST_S, said
        if isinstance(found, Refusal):
            assert found.reason in REASONS
            continue
        assert isinstance(found, Decoded)
        kept += 1
        heard_s, others_s = found.samples / 16_000, lengths_s(file)
        found.spool.close()
        compared += bool(others_s)
        # Each has flaws of its own: libsndfile gives up an MP2 at the first damage.
        assert not others_s or any(is_as_long(heard_s, other_s) for other_s in others_s), f"{said}: {others_s}"
    assert compared, "the damage leaves nothing to compare"
    print(f"{CASES // 3} files, {kept} kept, {compared} compared")
    peak_mb = most_of_children_mb()
    assert peak_mb == before_mb or peak_mb < bounds.DECODER_MB + OWN_MB, "children of earlier tests count too"


def test_the_comparison_hears_a_clip_that_is_too_short(make: Make) -> None:
    for name in ("a.wav", "a.mkv", "a.mp3"):
        file = make(name, *(FILM if name in FILMS else ()), *TONE, *ALL[name])
        assert lengths_s(file) == pytest.approx([4.0] * len(lengths_s(file)), abs=0.1)
        assert lengths_s(file)
