"""The file for the hidden test set of MSP-Podcast, byte for byte, and models that cannot make one."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avpretext.corpora.settings import Kind
from avpretext.errors import UserError
from avpretext.predict.result import Prediction, Refused
from avpretext.predict.submission import SubmissionWriter

from .conftest import MakeModel
from .test_run import said as run

MakeWav = Callable[..., Path]
NUMBERS = ("arousal", "dominance", "valence")
EMOTIONS = ("angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
JOINT: dict[str, Any] = {
    "kind": "attributes", "classes": list(NUMBERS), "scale": [(4.0, 1.0), (4.0, 1.0), (4.0, 1.0)],
}  # fmt: skip


def prediction(source: str, kind: Kind, names: tuple[str, ...], values: list[float]) -> Prediction:
    times = np.zeros(1), np.ones(1)
    return Prediction(source, kind, names, *times, np.array([values], np.float32), np.ones(1, np.float32))


def written(kind: Kind, names: tuple[str, ...], *said: Prediction | Refused) -> tuple[bytes, list[str]]:
    stream = io.StringIO(newline="")
    writer = SubmissionWriter(stream, kind, names)
    writer.begin([one.source for one in said])
    for one in said:
        writer.write(one)
    writer.end()
    return stream.getvalue().encode(), writer.told()


def test_attributes_in_the_order_of_the_challenge_within_1_to_7() -> None:
    content, told = written(
        "attributes",
        NUMBERS,
        prediction("test3/MSP-PODCAST_test3_0002.wav", "attributes", NUMBERS, [2.5, 3.25, 4.125]),
        prediction("MSP-PODCAST_test3_0001.flac", "attributes", NUMBERS, [0.5, 7.0, 8.25]),
    )
    assert content == (
        b"FileName,EmoAct,EmoVal,EmoDom\r\n"
        b"MSP-PODCAST_test3_0002.wav,2.5000,4.1250,3.2500\r\n"
        b"MSP-PODCAST_test3_0001.wav,1.0000,7.0000,7.0000\r\n"
    )
    assert told == ["2 of 6 values were clipped to 1 to 7"]


@pytest.mark.parametrize("kind", ["hard", "distribution"])
def test_categories_are_letters(kind: Kind) -> None:
    shares = np.eye(8) * 0.3 + 0.1
    rows = [prediction(f"{place}.wav", kind, EMOTIONS, row) for place, row in enumerate(shares.tolist())]
    content, told = written(kind, EMOTIONS, *rows)
    letters = "ACDFHNSU"
    assert content == b"FileName,EmoClass\r\n" + b"".join(
        f"{place}.wav,{letter}\r\n".encode() for place, letter in enumerate(letters)
    )
    assert told == []


def test_a_refused_file_has_no_row_and_is_named() -> None:
    good = prediction("a.wav", "hard", EMOTIONS, [1, 0, 0, 0, 0, 0, 0, 0])
    content, told = written("hard", EMOTIONS, Refused("x/b.wav", "truncated", "1.5 s of 3 s"), good)
    assert content == b"FileName,EmoClass\r\na.wav,A\r\n"
    assert told == ["no row for x/b.wav: truncated 1.5 s of 3 s"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("attribute", ("arousal",)),
        ("attributes", ("arousal", "valence")),
        ("multi_label", EMOTIONS),
        ("distribution", (*EMOTIONS, "other")),
        ("hard", ("ANG", "HAP")),
    ],
)
def test_a_model_of_another_target_is_refused(kind: Kind, names: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"a submission needs the attributes arousal, valence, dominance together"):
        SubmissionWriter(io.StringIO(), kind, names)


def test_the_command_writes_it_whole_and_counts_what_is_lost(
    make_model: MakeModel, make_wav: MakeWav, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = make_model(**JOINT), tmp_path / "test3.csv"
    silent = tmp_path / "silent.wav"
    silent.touch()
    files = [make_wav("b.wav", 1.0), silent, make_wav("a.wav", 1.0, 3)]
    assert run(model, *files, format="submission", output=output, min_speech=1.0) == 1
    rows = output.read_bytes().decode().split("\r\n")
    assert rows[0] == "FileName,EmoAct,EmoVal,EmoDom"
    assert [row.partition(",")[0] for row in rows[1:]] == ["b.wav", "a.wav", ""], "whatever their share of speech"
    assert all(1 <= float(value) <= 7 for row in rows[1:3] for value in row.split(",")[1:])
    said = capsys.readouterr().err
    assert f"predict: no row for {silent}: empty_file" in said
    assert "nothing can be said of 1 of 3 files" in said


def test_mistakes_leave_no_file(make_model: MakeModel, make_wav: MakeWav, tmp_path: Path) -> None:
    output, clip = tmp_path / "test3.csv", make_wav("a.wav", 1.0)
    with pytest.raises(UserError, match=r"predicts angry, happy, sad|needs the attributes") as error:
        run(make_model("other", classes=["ANG", "HAP", "SAD"]), clip, format="submission", output=output)
    assert "\n" not in str(error.value)
    model = make_model(**JOINT)
    with pytest.raises(UserError, match="a row for each file; leave out --along-time"):
        run(model, clip, format="submission", output=output, along_time="1")
    with pytest.raises(UserError, match=r"2 files are named 'a\.wav'"):
        run(model, clip, make_wav("other/a.wav", 1.0), format="submission", output=output)
    assert not output.exists()


def test_several_attributes_are_said_along_time(make_model: MakeModel, make_wav: MakeWav, tmp_path: Path) -> None:
    output = tmp_path / "said.csv"
    assert run(make_model(**JOINT), make_wav("a.wav"), along_time="1,0.5", output=output) == 0
    lines = output.read_text().splitlines()
    assert lines[0] == "file,start_s,end_s,speech,arousal,dominance,valence,reason,detail"
    assert len(lines) == 4


def test_a_model_whose_scales_are_not_those_of_its_attributes_is_refused(make_model: MakeModel) -> None:
    from avpretext.predict.model import Model

    with pytest.raises(UserError, match=r"scale = .* of a target that is attributes: arousal, dominance, valence"):
        Model(make_model(**{**JOINT, "scale": [(4.0, 1.0)]}))
