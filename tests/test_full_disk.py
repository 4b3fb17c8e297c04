"""A full disk is one line, whatever library finds it."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from avpretext.errors import of_disk

LIMITED = (
    "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes}, {bytes}));"
    " sys.argv = ['avpretext', *sys.argv[1:]]; from avpretext import cli; cli.main()"
)


def limited(folder: Path, *arguments: object, most_bytes: int = 2000, output: Path | None = None) -> tuple[int, str]:
    """Run a command that may write files of so many bytes; return its exit status and what it says."""
    with (output or folder / "output").open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-c", LIMITED.format(bytes=most_bytes), *map(str, arguments)],
            cwd=folder, stdout=stream, stderr=subprocess.PIPE, check=False,
            # Without a buffer Python itself loses what a full disk does not take.
            env={**os.environ, "PYTHONPATH": ":".join(sys.path), "PYTHONUNBUFFERED": ""},
        )  # fmt: skip
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.csv"), "a.csv: the disk is full"),
        (OSError("No space left on device (os error 28)"), "the disk is full"),
        (pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)"), "the disk"),
        (RuntimeError("Error: I/O error: Disk quota exceeded (os error 122)"), "your quota of the disk is used up"),
        (OSError(errno.EFBIG, "File too large"), "the file is larger than files may be here"),
        (OSError(errno.EIO, "Input/output error", "x"), "x: Input/output error"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "x: Read-only file system"),
    ],
)
def test_an_error_of_the_disk_is_told_in_one_line(error: Exception, words: str) -> None:
    assert (of_disk(error) or "").startswith(words)
    outer = RuntimeError("of a library")
    outer.__cause__ = error
    assert (of_disk(outer) or "").startswith(words)
    assert of_disk(ValueError("no error of a disk, of 28 values")) is None


def test_commands_tell_a_full_disk_in_one_line(tmp_path: Path) -> None:
    import soundfile

    (tmp_path / "corpus").mkdir()
    for name in ("a", "b"):
        soundfile.write(tmp_path / "corpus" / f"{name}.wav", [0.1, -0.1] * 16_000, 16_000)
    config = {"corpora": {"mine": {"path": "corpus", "use": ["pretrain"], "video": False}}}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    for command in (
        ("index", "--corpus", "mine", "--shard", 0, "--output", "i.parquet", "--rejects", "r.parquet"),
        ("init", "project", "--corpus", "corpus", "--audio", "--yes"),
        ("config",),
        ("schema",),
    ):
        status, said = limited(tmp_path, *command, most_bytes=200)
        assert status in (1, 2), (command, said)
        assert "Traceback" not in said, command
        told = [line for line in said.splitlines() if line.startswith("avpretext: error:")]
        assert len(told) == 1, (command, said)
        assert "larger than files may be here" in told[0]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_under_standard_output_is_one_line(tmp_path: Path) -> None:
    status, said = limited(tmp_path, "schema", most_bytes=10**9, output=Path("/dev/full"))
    assert status == 1
    (line,) = said.splitlines()
    assert line.startswith("avpretext: error: the disk is full; free some space")
