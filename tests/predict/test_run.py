"""The command: files in, rows out, and mistakes told before anything is heard."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from avpretext.errors import UserError
from avpretext.predict.run import run

from .conftest import MakeModel

MakeWav = Callable[..., Path]


def said(model: Path, *files: Path | str, **options: Any) -> int:
    defaults = {"along_time": None, "speakers": None, "min_speech": 0.0, "format": None, "output": None, "threads": 1}
    return run(model, [str(file) for file in files], **{**defaults, **options})


def test_a_table_comes_on_standard_output(
    make_model: MakeModel, make_wav: MakeWav, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(make_model(), make_wav("a.wav"), make_wav("b.wav", 1.0, 5)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", "from", "to", "speech", "predicted", "angry", "happy", "sad"]
    assert [line.split()[:3] for line in lines[1:]] == [["a.wav", "0.00", "2.00"], ["b.wav", "0.00", "1.00"]]


@pytest.mark.parametrize("synthetic", [True, False])
def test_a_model_trained_on_synthetic_speech_says_so(
    make_model: MakeModel, make_wav: MakeWav, capsys: pytest.CaptureFixture[str], synthetic: bool
) -> None:
    model = make_model()
    (model / "card.json").write_text(json.dumps({"synthetic": synthetic}))
    said(model, make_wav("a.wav"))
    assert ("predict: Trained on a synthetic corpus" in capsys.readouterr().err) == synthetic


def test_the_name_of_the_output_says_the_format(make_model: MakeModel, make_wav: MakeWav, tmp_path: Path) -> None:
    model, file = make_model(), make_wav("a.wav")
    for name in ("said.json", "said.csv", "said.txt"):
        assert said(model, file, output=tmp_path / name) == 0
    assert json.loads((tmp_path / "said.json").read_text())[0]["file"] == str(file)
    assert (tmp_path / "said.csv").read_text().startswith("file,start_s,end_s,speech,predicted,angry,happy,sad,reason")
    assert (tmp_path / "said.txt").read_text().startswith("file  ")
    assert said(model, file, output=tmp_path / "said.txt", format="csv") == 0
    assert (tmp_path / "said.txt").read_text() == (tmp_path / "said.csv").read_text()


def test_refused_files_are_counted_and_written(
    make_model: MakeModel, make_wav: MakeWav, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.wav"
    bad.touch()
    assert said(make_model(), bad, make_wav("a.wav"), "gone.mp3", format="csv", threads=2) == 2
    captured = capsys.readouterr()
    reasons = [row["reason"] for row in csv.DictReader(captured.out.splitlines())]
    assert reasons == ["empty_file", "", "missing_file"]
    assert "predict: nothing can be said of 2 of 3 files" in captured.err


def test_a_mistake_leaves_what_was_written_before(make_model: MakeModel, make_wav: MakeWav, tmp_path: Path) -> None:
    output = tmp_path / "said.csv"
    output.write_text("before")
    by_speaker = make_model(model={"normalise": "speaker"})
    with pytest.raises(UserError, match="say who speaks"):
        said(by_speaker, make_wav("a.wav"), output=output)
    assert output.read_text() == "before"
    with pytest.raises(UserError, match="is a folder; name a file in it"):
        said(make_model("other"), make_wav("a.wav"), output=tmp_path)
    assert said(by_speaker, make_wav("a.wav"), speakers="one", output=output) == 0
    assert len(output.read_text().splitlines()) == 2


def test_one_person_in_all_files_is_not_one_in_each(make_model: MakeModel, make_wav: MakeWav, tmp_path: Path) -> None:
    model = make_model(model={"normalise": "speaker"})
    files = [make_wav("a.wav", 1.5, 1), make_wav("b.wav", 1.5, 7)]
    rows = {}
    for who in ("one", "folder", "file"):
        said(model, *files, speakers=who, output=tmp_path / f"{who}.csv")
        rows[who] = (tmp_path / f"{who}.csv").read_text()
    assert rows["one"] == rows["folder"], "both lie in one folder"
    assert rows["one"] != rows["file"]


def test_windows_of_several_files_come_one_after_another(
    make_model: MakeModel, make_wav: MakeWav, tmp_path: Path
) -> None:
    output = tmp_path / "said.csv"
    said(make_model(), make_wav("a.wav", 2.0), make_wav("b.wav", 1.0), along_time="1,0.5", output=output)
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [(Path(row["file"]).name, row["start_s"], row["end_s"]) for row in rows] == [
        ("a.wav", "0.00", "1.00"), ("a.wav", "0.50", "1.50"), ("a.wav", "1.00", "2.00"), ("b.wav", "0.00", "1.00"),
    ]  # fmt: skip


def test_the_package_is_light_until_a_model_is_loaded() -> None:
    code = (
        "import sys, avpretext; avpretext.load; print([m for m in ('numpy', 'torch', 'pydantic') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_who_reads_a_few_lines_only_sees_no_traceback(make_model: MakeModel, make_wav: MakeWav) -> None:
    command = [sys.executable, "-m", "avpretext", "predict", str(make_model()), str(make_wav("a.wav", 12.0))]
    reader = subprocess.Popen(
        [*command, "--along-time", "0.5,0.01"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdout.readline()
    reader.stdout.close()
    assert "Traceback" not in reader.stderr.read()
    assert reader.wait() == 1
