"""Standard input: media bytes as a file, raw samples window by window while they are spoken."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import avpretext
from avpretext.errors import UserError
from avpretext.predict import standard_input
from avpretext.predict.result import Prediction
from avpretext.predict.run import run
from avpretext.predict.windows import AlongTime, batches, live_windows

from .conftest import MakeModel, speechlike

MakeWav = Callable[..., Path]
SECOND = 16_000


@pytest.fixture
def pipe_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Make bytes the standard input of this process."""

    def pipe(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return pipe


def rows_of(model: Path, output: Path, *arguments: str, **options: Any) -> list[dict[str, Any]]:
    usual = {"along_time": None, "speakers": None, "min_speech": 0.0, "format": "jsonl", "threads": 1}
    run(model, list(arguments), output=output, **{**usual, **options})
    return [json.loads(line) for line in output.read_text().splitlines()]


def pcm(file: Path) -> bytes:
    return np.asarray(soundfile.read(file, dtype="int16")[0]).astype("<i2").tobytes()


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_media_bytes_are_heard_as_their_file_is(
    make_model: MakeModel, tmp_path: Path, pipe_in: Callable[[bytes], None], ending: str
) -> None:
    model, file = make_model(), tmp_path / f"a.{ending}"
    soundfile.write(file, speechlike(2.5), SECOND)
    for along in (None, "1,0.5"):
        named = rows_of(model, tmp_path / "named", str(file), along_time=along)
        pipe_in(file.read_bytes())
        piped = rows_of(model, tmp_path / "piped", "-", along_time=along)
        assert [row.pop("file") for row in piped] == ["stdin"] * len(named)
        assert piped == [{name: value for name, value in row.items() if name != "file"} for row in named]


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty_file"), (b"no sound at all" * 99, "not_media")])
def test_bad_input_is_refused_in_a_row(
    make_model: MakeModel, tmp_path: Path, pipe_in: Callable[[bytes], None], content: bytes, reason: str
) -> None:
    pipe_in(content)
    (row,) = rows_of(make_model(), tmp_path / "rows", "-")
    assert (row["file"], row["reason"]) == ("stdin", reason)
    assert str(tmp_path) not in row["detail"]


def test_a_terminal_is_no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UserError, match=r"nothing is piped in; e\.g\. ffmpeg"):
        standard_input.stream()


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        (["a.wav"], {}, "hears standard input alone: arecord"),
        (["-"], {"along_time": "3,1"}, "leave out --along-time"),
        (["-"], {"format": "submission"}, "leave out --along-time and --format submission"),
        (["-"], {"live": "3;1"}, "--live '3;1': expected WINDOW,HOP"),
    ],
)
def test_what_does_not_go_with_live_is_told(
    tmp_path: Path, arguments: list[str], options: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        rows_of(tmp_path, tmp_path / "rows", *arguments, **{"live": "1,0.5", **options})


@pytest.mark.parametrize("samples", [1, 100, 4000, 16_000, 24_100, 40_159, 48_000, 51_000])
@pytest.mark.parametrize("along", [AlongTime(1.0, 0.5), AlongTime(0.5, 0.8), AlongTime(0.04, 0.04)])
def test_windows_are_those_of_the_finished_recording(samples: int, along: AlongTime) -> None:
    sound = np.arange(samples, dtype=np.int16)
    frames = sound[: samples // 160 * 160 : 160, None].astype(np.float32)
    windows = list(batches([frames], along, 30)) if len(frames) else []
    known = [(start, length) for batch in windows for start, length in zip(batch.start, batch.lengths, strict=True)]
    for size in (samples, 333):
        pieces = [sound[first : first + size] for first in range(0, samples, size)]
        found = list(live_windows(pieces, along, 30))
        assert [(start, part.stop - part.first) for start, part in found] == known
        for start, part in found:
            assert part.samples[part.first * 160] == sound[start * 160]
            assert part.first <= 500
            assert part.frames == part.stop == len(part.samples) // 160


def test_live_rows_are_close_to_those_along_time(
    make_model: MakeModel, make_wav: MakeWav, tmp_path: Path, pipe_in: Callable[[bytes], None]
) -> None:
    model, file = make_model(), make_wav("a.wav", 5.2)
    known = rows_of(model, tmp_path / "along", str(file), along_time="2,1")
    for content in (pcm(file), file.read_bytes()):  # without and with the header that arecord writes
        pipe_in(content)
        found = rows_of(model, tmp_path / "live", "-", live="2,1")
        assert [(row["start_s"], row["end_s"]) for row in found] == [(row["start_s"], row["end_s"]) for row in known]
        for row, other in zip(found, known, strict=True):
            assert row["probabilities"] == pytest.approx(other["probabilities"], abs=0.05)


def test_no_sound_and_too_little_of_it_are_refused(
    make_model: MakeModel, make_wav: MakeWav, tmp_path: Path, pipe_in: Callable[[bytes], None]
) -> None:
    model = make_model()
    pipe_in(b"")
    assert [row["reason"] for row in rows_of(model, tmp_path / "rows", "-", live="2,1")] == ["empty_file"]
    pipe_in(pcm(make_wav("a.wav", 0.2)))
    assert rows_of(model, tmp_path / "rows", "-", live="2,1")[-1]["reason"] == "too_short"


@pytest.mark.parametrize(
    ("name", "rate", "channels", "told"),
    [
        ("a.wav", 44_100, 1, "44100 Hz, 1 channels, 16 bit"),
        ("a.wav", SECOND, 2, "16000 Hz, 2 channels"),
        ("a.ogg", SECOND, 1, "a file, no raw samples; leave out --live"),
    ],
)
def test_what_is_no_raw_sound_is_told(tmp_path: Path, name: str, rate: int, channels: int, told: str) -> None:
    soundfile.write(tmp_path / name, np.zeros((rate, channels)), rate)
    with (tmp_path / name).open("rb") as stream, pytest.raises(UserError, match=told):
        list(standard_input.blocks(stream, AlongTime(1, 1)))


def test_ctrl_c_ends_the_sound() -> None:
    class Interrupted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if not (content := super().read(size)):
                raise KeyboardInterrupt
            return content

    second = b"\1\0" * SECOND
    assert [len(block) for block in standard_input.blocks(Interrupted(second * 2), AlongTime(1, 1))] == [SECOND, SECOND]


def test_models_that_need_whole_recordings_say_so(make_model: MakeModel) -> None:
    model = avpretext.load(make_model(model={"normalise": "speaker"}))
    with pytest.raises(UserError, match="normalises by whole recordings, and cannot predict live"):
        model.predict_live([], (1.0, 1.0))


def test_what_is_held_does_not_grow(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model, longest = avpretext.load(make_model()), 0
    hear = model._hearing._frames

    def measured(part: Any) -> Any:
        nonlocal longest
        longest = max(longest, part.samples.nbytes, part.samples.base.nbytes)
        return hear(part)

    monkeypatch.setattr(model._hearing, "_frames", measured)
    second = (speechlike(1.0) * 32767).astype(np.int16)

    def talk() -> Iterator[np.ndarray]:
        for _ in range(9):
            yield second

    said = list(model.predict_live(talk(), (1.0, 1.0), min_speech=0.0))
    assert len(said) == 9
    assert all(isinstance(part, Prediction) for part in said)
    assert longest <= (5 + 1 + 1) * SECOND * 2, "the margin, a window and a block"


def test_rows_come_while_somebody_speaks(make_model: MakeModel, make_wav: MakeWav) -> None:
    model, sound = make_model(), pcm(make_wav("a.wav", 4.5))
    command = [sys.executable, "-m", "avpretext", "predict", str(model), "-", "--live", "3,1", "--format", "jsonl"]
    with subprocess.Popen(
        [*command, "--min-speech", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as talk:
        assert talk.stdin is not None
        assert talk.stdout is not None
        ends = []
        for second in (3, 4):  # each row is read before the next second is written
            piece = sound[: 3 * SECOND * 2] if second == 3 else sound[3 * SECOND * 2 : 4 * SECOND * 2]
            os.write(talk.stdin.fileno(), piece[: SECOND * 2])
            os.write(talk.stdin.fileno(), piece[SECOND * 2 :])
            ends.append(json.loads(talk.stdout.readline())["end_s"])
        talk.stdin.write(sound[4 * SECOND * 2 :])
        talk.stdin.close()
        ends += [json.loads(line)["end_s"] for line in talk.stdout]
        assert talk.wait() == 0
    assert ends == [3.0, 4.0, 4.5]
