"""The command line: every stage is a command with help; a user's mistake is one line."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from avpretext.cli import app
from avpretext.flow.artefacts import STAGES

REPOSITORY = Path(__file__).resolve().parents[1]


def avpretext(*arguments: str, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "avpretext", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_a_command_with_help(stage: str) -> None:
    done = CliRunner().invoke(app, [stage, "--help"], prog_name="avpretext")
    assert done.exit_code == 0
    assert f"avpretext {stage} " in done.stdout


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_rule_a_module_and_a_folder_of_its_name(stage: str) -> None:
    rules = "".join(path.read_text() for path in (REPOSITORY / "workflow/rules").glob("*.smk"))
    assert f"rule {stage}:" in rules
    module = REPOSITORY / "src" / (STAGES[stage].module.replace(".", "/") + ".py")
    assert "\ndef run(" in module.read_text()


def test_a_mistake_is_one_line_with_the_fix_and_no_traceback(tmp_path: Path) -> None:
    done = avpretext("speech", "--audio", "none.parquet", "--output", "o", "--rejects", "r", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("avpretext: error: config.yaml: no such file; expected a configuration")
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_shard_is_said_so_with_the_fix(tmp_path: Path) -> None:
    done = avpretext("speech", "--audio", str(tmp_path / "0.parquet"), "--output", "o", "--rejects", "r")
    assert done.returncode == 2
    assert "no such file; the stage that makes it has not run" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_check_of_a_folder_tells_its_reader_by_the_names(tmp_path: Path) -> None:
    for name in ("SM1_F10_A010", "SM2_F1_N01", "SF3_F2_S07"):
        (tmp_path / f"{name}.wav").write_bytes(b"x")
    done = CliRunner().invoke(app, ["corpus", str(tmp_path), "--headers", "none", "--listen", "none"])
    assert "urdu, audio" in done.stdout
    assert "3 of 400 published clips" in done.stdout
    done = CliRunner().invoke(app, ["corpus", "urdu"])
    assert "the folder of the corpus is missing: " in str(done.exception)


def test_the_check_of_sound_files_alone_needs_no_option(tmp_path: Path) -> None:
    for actor in ("01", "02", "03"):
        (tmp_path / f"03-01-05-02-01-01-{actor}.wav").write_bytes(b"x")
    done = CliRunner().invoke(app, ["corpus", "ravdess", str(tmp_path), "--headers", "none", "--listen", "none"])
    assert "audio alone: checked as with --audio; in a configuration: video: false" in done.stdout
    assert "ravdess, speech, audio" in done.stdout


def test_user_commands_come_before_stages() -> None:
    names = typer.main.get_command(app).list_commands(None)
    assert names[:3] == ["init", "corpus", "doctor"]
    assert names[-len(STAGES) :] == [*STAGES]
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert 0 < shown.index("Commands ─") < shown.index(" init ") < shown.index(" Stages,") < shown.index(" index ")


def test_stages_that_read_shards_explain_how_they_are_named() -> None:
    told = " ".join(CliRunner().invoke(app, ["finetune", "--help"]).stdout.split())
    assert "CORPUS=SHARDS those of a corpus" in told
    assert "SHARDS" not in CliRunner().invoke(app, ["index", "--help"]).stdout


def test_a_configuration_is_named_by_position_or_by_option(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("seed: 7\ncorpora: {a: {path: a, use: [pretrain]}}\n")
    by_option, by_place = (
        CliRunner().invoke(app, ["config", *words]) for words in (["--config", str(file)], [str(file)])
    )
    assert "seed: 7" in by_option.stdout
    assert by_option.stdout == by_place.stdout
    both = CliRunner().invoke(app, ["config", str(file), "--config", "other.yaml"])
    assert "name one configuration" in str(both.exception)


CONFIGURED = ("config", "search", "doctor", "inspect", "demo", "labels-to", "fit-emotions", "convert", *STAGES)


@pytest.mark.parametrize("name", CONFIGURED)
def test_every_command_with_a_configuration_takes_it_by_config(name: str) -> None:
    _, command, _ = typer.main.get_command(app).resolve_command(None, [name])
    assert "--config" in {flag for one in command.params for flag in one.opts}


def test_a_misspelt_corpus_is_named(tmp_path: Path) -> None:
    done = avpretext("index", "--corpus", "demo_labeled", "--shard", "0", "--output", "o", "--rejects", "r")
    assert "no corpus 'demo_labeled' in the configuration; did you mean 'demo_labelled'?" in done.stderr


def test_nothing_that_reads_its_thread_limit_once_is_loaded_before_the_limit_is_set() -> None:
    code = "import sys, avpretext.cli; print([m for m in ('numpy', 'polars', 'pyarrow', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
