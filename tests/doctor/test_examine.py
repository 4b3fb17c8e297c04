"""Checks of what a configuration names, with things made missing; and the whole report."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from avpretext import checkout
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.doctor import examine, hardware
from avpretext.doctor.verdict import Check, as_json, failed, show
from avpretext.face import model_file
from avpretext.programs import command


def config_of(tmp_path: Path, **changes: Any) -> Config:
    (tmp_path / "media" / "ann").mkdir(parents=True, exist_ok=True)
    corpus = {"path": str(tmp_path / "media"), "use": ["pretrain"]}
    return parse({"results": str(tmp_path / "results"), "corpora": {"films": corpus}, **changes})


def test_a_configuration_that_is_wrong_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    config, check = examine.configuration(file)
    assert (check.status, config.corpora) == ("missing", {})
    assert check.fix == f"name yours with --config, or make one: {command('avpretext init DIR')}"
    file.write_text("corpora: {films: {path: media, use: [pretrain], shads: 3}}\n")
    _, check = examine.configuration(file)
    assert "did you mean 'shards'?" in check.found
    assert check.fix == f"correct {file}"
    file.write_text("corpora: {films: {path: media, use: [finetune]}}\n")  # it has no labels
    assert examine.configuration(file)[1].status == "missing"
    file.write_text("corpora: {films: {path: media, use: [pretrain]}}\n")
    assert examine.configuration(file)[1].status == "ok"


def test_corpora_that_are_not_there_or_empty(tmp_path: Path) -> None:
    films = config_of(tmp_path).corpora["films"]
    assert examine.corpus("films", films).status == "ok"
    (tmp_path / "media" / "ann").rmdir()
    assert examine.corpus("films", films).found == f"{tmp_path / 'media'} is empty"
    (tmp_path / "media").rmdir()
    gone = examine.corpus("films", films)
    assert (gone.found, gone.fix) == (
        f"{tmp_path / 'media'}: no such folder; expected the folder of the recordings", "correct corpora.films.path",
    )  # fmt: skip
    (tmp_path / "media").write_text("path,speaker\n")
    found = examine.corpus("films", films).found
    assert found == f"{tmp_path / 'media'}: is a file, in the folder {tmp_path}; expected the folder of the recordings"


def test_an_ffmpeg_that_is_not_there_or_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert examine.ffmpeg_program("bundled").status == "ok"
    monkeypatch.setenv("PATH", str(tmp_path))
    check = examine.ffmpeg_program("ffmpeg")
    assert (check.status, check.fix) == ("missing", "set split.ffmpeg: bundled")
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho no\n")
    program.chmod(0o755)
    assert "is no ffmpeg program" in examine.ffmpeg_program("ffmpeg").found


def test_a_face_model_that_was_tampered_with(tmp_path: Path, face_model: Path) -> None:
    config = config_of(tmp_path)
    file = tmp_path / "results" / "models" / model_file.FACE_MODEL
    file.parent.mkdir(parents=True)
    file.write_bytes(face_model.read_bytes())
    assert examine.face_model(config).status == "ok"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    check = examine.face_model(config)
    assert (check.status, check.needed, check.fix) == ("missing", True, f"rm {file}")
    assert model_file.FACE_MODEL_SHA256[:12] in check.found


def test_a_face_model_in_a_folder_of_ones_own(tmp_path: Path, face_model: Path) -> None:
    config = config_of(tmp_path, models={"folder": str(tmp_path / "own")})
    check = examine.face_model(config)
    assert check.status == "missing"
    assert check.fix == f"put {model_file.FACE_MODEL_URL} there"
    assert examine.face_model(config_of(tmp_path, models={"folder": str(face_model.parent)})).status == "ok"


def test_a_face_model_that_can_or_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "_reachable", lambda host: host == "storage.googleapis.com")
    assert examine.face_model(config_of(tmp_path)).status == "ok"
    monkeypatch.setattr(examine, "_reachable", lambda host: False)
    check = examine.face_model(config_of(tmp_path))
    assert check.status == "warning"
    assert "models.folder" in check.fix


def test_a_corpus_without_video_needs_no_face_model(tmp_path: Path) -> None:
    corpus = {"path": str(tmp_path), "use": ["pretrain"], "video": False}
    config = parse({"corpora": {"sounds": corpus}, "models": {"folder": str(tmp_path)}})
    assert examine.face_model(config).needed is False


def test_pyfeat_matters_to_who_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = config_of(tmp_path).action_units.pyfeat.model_copy(update={"python": str(tmp_path / "python")})
    assert examine.pyfeat(options, needed=False).needed is False
    check = examine.pyfeat(options, needed=True)
    assert (check.status, check.needed) == ("missing", True)
    assert check.fix.endswith(f" pyfeat && {command('avpretext models --pyfeat')}")
    made = tmp_path / ".venv-pyfeat" / "bin" / "python"
    made.parent.mkdir(parents=True)
    made.touch()
    monkeypatch.setattr(checkout, "ROOT", tmp_path)
    assert examine.pyfeat(options, needed=True).fix == f"set action_units.pyfeat.python: {made}"


def test_an_encoder_matters_where_anything_learns_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    encoders = {"wavlm": {"device": "cuda"}}
    unused = config_of(tmp_path, encoders=encoders)
    assert (examine.encoder("wavlm", unused).status, examine.encoder("wavlm", unused).needed) == ("missing", False)
    heard = config_of(tmp_path, encoders=encoders, model={"features": ["wavlm"]})
    check = examine.encoder("wavlm", heard)
    assert (check.needed, check.fix) == (True, command("avpretext models wavlm"))
    assert "microsoft/wavlm-base-plus (main) is not in the hub's cache" in check.found
    assert "encoders.wavlm.device" in examine.gpu_wanted(heard)


def test_a_gpu_is_wanted_by_the_options_that_name_it(tmp_path: Path) -> None:
    assert examine.gpu_wanted(config_of(tmp_path)) == []
    config = config_of(tmp_path, pretrain={"device": "cuda"}, finetune={"device": "auto"})
    assert examine.gpu_wanted(config) == ["pretrain.device"]


def test_the_exit_status_tells_whether_anything_needed_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, face_model: Path
) -> None:
    monkeypatch.setattr(hardware, "cores", lambda: 1)
    config = config_of(tmp_path)
    file = tmp_path / "mine.yaml"
    text = f"results: {config.results}\nmodels: {{folder: {face_model.parent}}}\n"
    file.write_text(f"{text}corpora: {{films: {{path: {tmp_path / 'media'}, use: [pretrain]}}}}\n")
    assert examine.run(file, json_lines=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    assert {check["name"] for check in found["checks"]} >= {"ffmpeg", "face model", "results", "corpus films"}
    (tmp_path / "media" / "ann").rmdir()
    assert examine.run(file, json_lines=False) == 1
    out = capsys.readouterr().out
    assert "Missing: corpus films." in out
    assert "→ correct corpora.films.path" in out


def test_what_is_missing_but_not_needed_is_no_failure() -> None:
    checks = [Check("Slurm", "missing", "no sbatch", needed=False), Check("results", "warning", "2 GB", "free some")]
    assert failed(checks) == []
    assert as_json(checks)["ok"] is True
    console = Console(record=True, width=80)
    show(checks, console)
    text = console.export_text()
    assert "not there  Slurm" in text
    assert "Everything that the configuration needs is there." in text
