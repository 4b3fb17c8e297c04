"""The command line: every stage is a command with help; a user's mistake is one line."""

import subprocess
import sys
from pathlib import Path

import pytest
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
    assert done.stderr.startswith("avpretext: error: config.yaml: no such configuration file")
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
    assert "the folder of the corpus is missing: avpretext corpus urdu FOLDER" in str(done.exception)


def test_a_misspelt_corpus_is_named(tmp_path: Path) -> None:
    done = avpretext("index", "--corpus", "demo_labeled", "--shard", "0", "--output", "o", "--rejects", "r")
    assert "no corpus 'demo_labeled' in the configuration; did you mean 'demo_labelled'?" in done.stderr


def test_nothing_that_reads_its_thread_limit_once_is_loaded_before_the_limit_is_set() -> None:
    code = "import sys, avpretext.cli; print([m for m in ('numpy', 'polars', 'pyarrow', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
