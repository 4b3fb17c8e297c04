"""The command line: every stage is a command with help; a user's mistake is one line."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from avpretext.cli import app
from avpretext.errors import UserError
from avpretext.flow.artefacts import STAGES
from avpretext.programs import command

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


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("init mine /data/b --yes", "init mine --corpus /data/b --yes"),
        ("init mine mine", "init mine --corpus mine"),
        ("doctor my.yaml", "doctor --config my.yaml"),
        ("inspect a/b a.png", "inspect a/b --output a.png"),
        ("tensorboard logs my_results", "tensorboard logs --results my_results"),
        ("compare-aus one two both.csv", "compare-aus one two --output both.csv"),
        ("animate model a.wav a.mp4", "animate model a.wav --film a.mp4"),
        ("animate model a.wav a.csv", "animate model a.wav --blendshapes a.csv"),
        ("tables my.yaml --output o", "tables --config my.yaml --output o"),
    ],
)
def test_a_word_too_many_is_shown_with_the_option_that_is_meant(typed: str, meant: str) -> None:
    error = CliRunner().invoke(app, typed.split()).exception
    assert isinstance(error, UserError)
    assert str(error).endswith(f": unexpected; did you mean: {command(f'avpretext {meant}')}")


@pytest.mark.parametrize("typed", ["config a.yaml b.yaml", "search --space s.yaml a.yaml b.yml"])
def test_of_two_configurations_one_is_to_be_named(typed: str) -> None:
    error = CliRunner().invoke(app, typed.split()).exception
    assert str(error) == f"{typed.split()[-1]!r}: unexpected; 'a.yaml' is the configuration: name one"


@pytest.mark.parametrize(
    ("typed", "word", "options"),
    [
        ("serve model clip.wav", "clip.wav", "--port, --face-model, --encoder"),
        ("animate model a.wav b.wav --film c.mp4", "b.wav", "--blendshapes, --threads"),
        ("schema my.yaml", "my.yaml", "none"),
        ("compare-aus one two both.csv --output all.csv", "both.csv", "none"),
    ],
)
def test_a_word_too_many_without_an_option_shows_what_the_command_takes(typed: str, word: str, options: str) -> None:
    error = CliRunner().invoke(app, typed.split()).exception
    assert isinstance(error, UserError)
    assert str(error).startswith(f"{word!r}: unexpected; expected {command('avpretext ' + typed.split()[0])} [OPTIONS]")
    assert str(error).endswith(f"; options with a value: {options}")


def test_recordings_in_place_of_a_corpus_name_the_folder_and_the_option(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    error = CliRunner().invoke(app, ["init", "mine", str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]).exception
    assert str(error).endswith(f"name the folder, --corpus {tmp_path}")
