"""A decoder that hangs is ended by a limit that grows with the clip's length; the run goes on."""

import stat
import time
from pathlib import Path

import pytest

from avpretext import shards
from avpretext.config import CorpusOptions, MediaOptions
from avpretext.corpora import index
from avpretext.errors import UserError
from avpretext.media import bounds, effort, split
from avpretext.media import ffmpeg as program
from avpretext.media.process import FfmpegProcess

HEADER = (
    "[info] Input #0, mov, from x:\\n[info]   Duration: 00:00:{seconds:05.2f}, start: 0.0\\n"
    "[info]   Stream #0:0: Video: h264\\n[info]   Stream #0:1: Audio: aac\\n[info] Stream mapping:\\n"
)


def fake(folder: Path, does: str, seconds: float | None = 1.0) -> Path:
    """Return a program that calls itself ffmpeg, describes a clip of this length, and then does something."""
    lines = ["#!/bin/sh", '[ "$1" = -version ] && echo ffmpeg version fake && exit']
    if seconds is not None:
        lines.append(f"printf '{HEADER.format(seconds=seconds)}' >&2")
    script = folder / "my ffmpeg"
    script.write_text("\n".join([*lines, does, ""]))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


@pytest.mark.parametrize(
    ("does", "seconds"),
    [
        ("exec sleep 60", 1.0),
        ("exec sleep 60", None),
        ("sleep 60", 1.0),
        ("trap '' TERM INT; sleep 60; sleep 60", 1.0),
        ("while :; do printf aaaaaaaa; done", 1.0),
        ("sleep 60 & wait", None),
    ],
    ids=["silent", "before the header", "in a script", "deaf", "without end", "in the background"],
)
def test_a_program_that_hangs_is_a_refused_clip(
    tmp_path: Path, corpus: CorpusOptions, monkeypatch: pytest.MonkeyPatch, does: str, seconds: float | None
) -> None:
    Path(corpus.path).mkdir()
    for name in ("a.mp4", "b.mp4"):
        (Path(corpus.path) / name).write_bytes(b"video")
    index.run(corpus, 0, tmp_path / "index.parquet", tmp_path / "refused.parquet")
    monkeypatch.setattr(effort, "POLL_S", 0.05)
    monkeypatch.setattr(bounds, "STALL_LIMIT_S", 0.3)
    monkeypatch.setattr(bounds, "TIME_LIMIT_S", 0.3)
    monkeypatch.setattr(bounds, "TIME_LIMIT_PER_SECOND", 0.1)
    options = MediaOptions(ffmpeg=str(fake(tmp_path, does, seconds)), max_duration_s=1)
    audio, frames, rejects = (tmp_path / f"{part}.parquet" for part in ("audio", "frames", "rejects"))
    began = time.monotonic()
    split.run(tmp_path / "index.parquet", Path(corpus.path), options, audio, frames, rejects)
    assert time.monotonic() - began < 30, "the program would have slept for a minute"
    assert shards.read(rejects).select("path", "reason").rows() == [("a.mp4", "timeout"), ("b.mp4", "timeout")]
    assert shards.read(audio).is_empty()


@pytest.mark.parametrize(("seconds", "limit_s"), [(1.0, 80.0), (30.0, 660.0), (59.0, 860.0), (None, 860.0)])
def test_the_limit_grows_with_the_length_and_ends_with_what_may_be_decoded(
    tmp_path: Path, seconds: float | None, limit_s: float
) -> None:
    does = "exit" if seconds else "printf '[info] Stream mapping:\\n' >&2"
    script = str(fake(tmp_path, does, seconds))
    with FfmpegProcess(tmp_path / "x", script, MediaOptions(max_duration_s=40), True) as running:
        assert running.limit_s == limit_s


def test_a_program_that_does_not_tell_its_version_is_the_users_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "VERSION_LIMIT_S", 0.2)
    for does, words in (("exec sleep 60", "takes more than"), ("echo ffmpeg version", "is no ffmpeg program")):
        script = tmp_path / "ffmpeg"
        script.write_text(f"#!/bin/sh\n{does}\n")
        script.chmod(0o700)
        with pytest.raises(UserError, match=f"{words}.*set split.ffmpeg to bundled"):
            program.version(str(script))
    script.write_bytes(b"\0\1\2")
    with pytest.raises(UserError, match="cannot be started"):
        program.version(str(script))
