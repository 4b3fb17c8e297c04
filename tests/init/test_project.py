"""A project folder: made by flags or by answers, and Snakemake runs in it as it is."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import yaml
from tests.inspect.conftest import HEIGHT, SOURCE_FPS, WIDTH, numbered, tone
from typer.testing import CliRunner, Result

from avpretext.cli import app
from avpretext.config_file import load
from avpretext.errors import UserError
from avpretext.face.model_file import FACE_MODEL
from avpretext.init import make_project

RUNNER = CliRunner()


@pytest.fixture(scope="session")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of three speakers, without labels."""
    from avpretext.media.encode import write_mp4

    folder = tmp_path_factory.mktemp("talks") / "my talks"
    for speaker in ("ann", "bob", "eve"):
        (folder / speaker).mkdir(parents=True)
        write_mp4(folder / speaker / f"{speaker}_1.mp4", numbered(), (WIDTH, HEIGHT), SOURCE_FPS, tone(), 16_000)
    return folder


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    """Sounds of seven speakers with a table in their folder: two test, one is dev, four train."""
    (tmp_path / "divided").mkdir()
    rows = ["path,speaker,emotion,fold"]
    for speaker in "abcdefg":
        fold = "test" if speaker in "ab" else "dev" if speaker == "c" else "train"
        for emotion in ("joy", "rage"):
            rows.append(f"{speaker}_{emotion}.wav,{speaker},{emotion},{fold}")
            soundfile.write(tmp_path / "divided" / f"{speaker}_{emotion}.wav", tone(), 16_000)
    (tmp_path / "divided" / "clips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "divided"


def init(*arguments: object, answers: str | None = None) -> Result:
    return RUNNER.invoke(app, ["init", *map(str, arguments)], input=answers)


def test_flags_alone_make_a_project(tmp_path: Path, talks: Path) -> None:
    done = init(tmp_path / "project", "--corpus", talks, "--yes")
    assert done.exit_code == 0, done.output
    assert "3 clips with video, read as folder; 3 speakers" in done.output
    config = load(tmp_path / "project" / "config.yaml")
    corpus = config.corpora["my_talks"]
    assert (corpus.path, corpus.reader, corpus.use, corpus.video) == (str(talks), "folder", ["pretrain"], True)
    assert done.output.rstrip().endswith(f"snakemake --cores {len(os.sched_getaffinity(0))}")
    made = {str(path.relative_to(tmp_path / "project")) for path in (tmp_path / "project").rglob("*") if path.is_file()}
    profiles = {"profiles/default/config.yaml", "profiles/slurm/config.yaml"}
    face_model = {f"models/{FACE_MODEL}"}  # is copied where this checkout has it
    assert made - face_model == {"config.yaml", "Snakefile", "README.md", ".gitignore", *profiles}


def test_a_relative_corpus_is_written_as_an_absolute_path(
    tmp_path: Path, talks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(talks.parent)
    assert init(tmp_path / "p", "--corpus", "my talks/../my talks", "--yes").exit_code == 0
    assert load(tmp_path / "p" / "config.yaml").corpora["my_talks"].path == str(talks)


def test_answers_make_a_project_and_wrong_ones_are_asked_again(tmp_path: Path, talks: Path) -> None:
    answers = [str(talks / "nowhere"), str(talks), "foldr", "folder", "maybe", "no", "a name", "talks", "finetune",
               "pretrain", "0", "3"]  # fmt: skip
    done = init(tmp_path / "p", answers="\n".join(answers) + "\n")
    assert done.exit_code == 0, done.output
    for words in (
        "no such folder", "did you mean 'folder'?", "expected yes or no", "a name has letters",
        "finetune is not possible: no labels are known of it", "'0': expected a number from 1 to 10000",
    ):  # fmt: skip
        assert words in done.output
    corpus = load(tmp_path / "p" / "config.yaml").corpora["talks"]
    assert (corpus.video, corpus.use, corpus.shards) == (False, ["pretrain"], 3)


def test_videos_without_sound_give_labels_of_faces_alone(tmp_path: Path) -> None:
    from avpretext.media.encode import write_mp4

    write_mp4(tmp_path / "faces" / "a.mp4", numbered(), (WIDTH, HEIGHT), SOURCE_FPS, None, 16_000)
    done = init(tmp_path / "p", "--corpus", tmp_path / "faces", "--yes")
    assert done.exit_code == 0, done.output
    assert "1 clips, video alone, read as folder" in done.output
    assert "it has no sound" in done.output
    assert done.output.rstrip().endswith(f"snakemake --cores {len(os.sched_getaffinity(0))}")
    corpus = load(tmp_path / "p" / "config.yaml").corpora["faces"]
    assert (corpus.audio, corpus.video, corpus.use) == (False, True, ["pretrain"])
    tuned = init(tmp_path / "q", "--corpus", tmp_path / "faces", "--use", "finetune", "--yes")
    assert "finetune is not possible: it has no sound" in str(tuned.exception or tuned.output)


def test_sound_can_be_left_alone(tmp_path: Path, talks: Path) -> None:
    assert init(tmp_path / "p", "--corpus", talks, "--silent", "--yes").exit_code == 0
    assert not load(tmp_path / "p" / "config.yaml").corpora["my_talks"].audio
    both = init(tmp_path / "q", "--corpus", talks, "--silent", "--audio", "--yes")
    assert "nothing to read" in str(both.exception or both.output)


def test_the_defaults_of_the_questions_are_what_was_found(tmp_path: Path, talks: Path) -> None:
    by_answers = init(tmp_path / "a", "--corpus", talks, answers="\n" * 5)
    assert by_answers.exit_code == 0, by_answers.output
    assert init(tmp_path / "b", "--corpus", talks, "--yes").exit_code == 0
    assert (tmp_path / "a" / "config.yaml").read_text() == (tmp_path / "b" / "config.yaml").read_text()


def test_a_table_in_the_folder_is_named_until_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    names = [f"{speaker}_{emotion}.wav" for speaker in "abc" for emotion in ("sad", "happy")]
    for name in names:
        (tmp_path / "lab" / name).write_bytes(b"\0" * 2000)
    rows = [f"{name},{name[0]},{name[2:-4]}" for name in names]
    (tmp_path / "lab" / "clips.csv").write_text("\n".join(["path,speaker,emotion", *rows]))
    without = init(tmp_path / "p", "--corpus", tmp_path / "lab", "--yes")
    assert "no labels are known of it: it can be pre-trained on; --table reads a table of the folder: clips.csv" in (
        " ".join(without.output.split())
    )
    read = init(tmp_path / "q", "--corpus", tmp_path / "lab", "--table", "clips.csv", "--yes")
    assert "labels: emotion (from clips.csv)" in " ".join(read.output.split())
    assert "--table reads" not in read.output


def test_labelled_speakers_are_learnt_and_tested(tmp_path: Path) -> None:
    for actor in (1001, 1002, 1003):
        for emotion in ("ANG", "HAP"):
            (tmp_path / "crema" / "AudioWAV").mkdir(parents=True, exist_ok=True)
            (tmp_path / "crema" / "AudioWAV" / f"{actor}_DFA_{emotion}_XX.wav").write_bytes(b"\0" * 2000)
    done = init(tmp_path / "p", "--corpus", tmp_path / "crema", "--yes")
    assert done.exit_code == 0, done.output
    corpus = yaml.safe_load((tmp_path / "p" / "config.yaml").read_text())["corpora"]["crema"]
    assert corpus["use"] == ["pretrain", "finetune"]
    assert corpus["targets"] == ["acted"]
    assert corpus["protocol"] == {"name": "speaker_kfold", "folds": 3}


@pytest.mark.parametrize("name", ["config.yaml", "Snakefile", "README.md", "profiles/default"])
def test_nothing_is_overwritten(tmp_path: Path, talks: Path, name: str) -> None:
    mine = tmp_path / "p" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = init(tmp_path / "p", "--corpus", talks, "--yes")
    assert isinstance(done.exception, UserError)
    assert f"{name} is there already" in str(done.exception)
    assert [path.read_text() for path in (tmp_path / "p").rglob("*") if path.is_file()] == ["mine"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--corpus is missing: with --yes"),
        (("--corpus", "/nowhere"), "/nowhere: no such folder"),
        (("--corpus", "{talks}", "--reader", "crema"), "reader: 'crema'; expected one of crema_d"),
        (("--corpus", "{talks}", "--name", "tables"), "a name has letters"),
        (("--corpus", "{talks}", "--use", "finetune"), "no labels are known of it"),
        (("--corpus", "{talks}", "--use", "train"), "'train': expected pretrain, finetune, or both"),
        (("--corpus", "{talks}", "--table", "/nowhere.csv"), "/nowhere.csv"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_said_so_and_nothing_is_written(
    tmp_path: Path, talks: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = init(tmp_path / "p", "--yes", *(argument.format(talks=talks) for argument in arguments))
    assert isinstance(done.exception, UserError), done.output
    assert words in str(done.exception)
    assert not (tmp_path / "p").exists()


def test_answers_that_end_are_said_so(tmp_path: Path, talks: Path) -> None:
    done = init(tmp_path / "p", answers="")
    assert isinstance(done.exception, UserError)
    assert "--yes" in str(done.exception)


@pytest.mark.workflow
def test_snakemake_runs_in_the_project_as_it_is(tmp_path: Path, talks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    assert init(folder, "--corpus", talks, "--audio", "--yes").exit_code == 0
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def snakemake(*arguments: str) -> str:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    planned = snakemake("--dry-run")
    assert "Using workflow specific profile profiles/default" in planned
    assert "would run project" in planned  # of the display that the profile asks for
    assert "would run report" in planned
    snakemake("pseudo_labels", "--workflow-profile", "profiles/default")
    assert (folder / "results/my_talks/labels_energy/all.parquet").is_file()
    monkeypatch.chdir(folder)
    assert RUNNER.invoke(app, ["inspect", "ann/ann_1", "-o", "ann.png"]).exit_code == 0
    assert (folder / "ann.png").stat().st_size > 10_000


def test_of_one_speaker_the_next_command_stops_at_pseudo_labels(tmp_path: Path, talks: Path) -> None:
    many = init(tmp_path / "many", "--corpus", talks, "--yes").output
    (tmp_path / "crema").mkdir()
    (tmp_path / "crema" / "1001_DFA_ANG_XX.wav").write_bytes(b"\0" * 2000)
    one = init(tmp_path / "one", "--corpus", tmp_path / "crema", "--yes").output
    assert "pre-training needs two speakers" in one
    assert one.rstrip().endswith(" pseudo_labels")
    assert not many.rstrip().endswith(" pseudo_labels")


def test_what_init_prints_runs_as_printed_without_an_activated_environment(tmp_path: Path, talks: Path) -> None:
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "PWD": str(tmp_path)}
    words = [sys.executable, "-m", "avpretext", "init", "my project", "--corpus", str(talks), "--audio", "--yes"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    go, doctor, run = (line.strip() for line in done.stdout.rpartition("Next:\n")[2].splitlines())
    assert go == "cd 'my project'"

    def shell(*lines: str) -> str:
        script = " && ".join(lines)
        ran = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    assert "Everything that the configuration needs is there" in shell(go, doctor)
    assert "would run report" in shell(go, f"{run} --dry-run")
    readme = (tmp_path / "my project" / "README.md").read_text("utf-8")
    commands = [line.lstrip("`") for line in readme.splitlines() if re.match(r"\S*(avpretext|snakemake) ", line)]
    assert len(commands) == 6
    assert all(
        shlex.split(line.partition("`")[0])[0].endswith((f"{os.sep}avpretext", f"{os.sep}snakemake"))
        for line in commands
    )


def test_test_speakers_are_kept_out_of_pretraining(tmp_path: Path, divided: Path) -> None:
    done = init(tmp_path / "p", "--corpus", divided, "--table", "clips.csv", "--yes")
    assert done.exit_code == 0, done.output
    assert "labels: emotion (from clips.csv)" in done.output
    text = (tmp_path / "p" / "config.yaml").read_text("utf-8")
    assert "# Labels 'emotion' come from: clips.csv" in text
    tested, heard = load(tmp_path / "p" / "config.yaml").corpora.values()
    assert (tested.use, tested.protocol.name, tested.speakers) == (["finetune"], "partitions", None)
    assert (heard.use, heard.speakers) == (["pretrain"], ["c", "d", "e", "f", "g"])
    assert tested.table == heard.table == str(divided / "clips.csv")


def test_test_speakers_that_pretraining_hears_are_told(tmp_path: Path, divided: Path) -> None:
    (divided / "clips.csv").write_text((divided / "clips.csv").read_text().replace("fold", "note"))
    assert init(tmp_path / "p", "--corpus", divided, "--table", divided / "clips.csv", "--yes").exit_code == 0
    assert "Pre-training hears the test speakers too" in (tmp_path / "p" / "config.yaml").read_text("utf-8")
    assert load(tmp_path / "p" / "config.yaml").corpora["divided"].protocol.name == "speaker_kfold"


def test_the_table_may_lead_out_of_the_folder_if_that_is_wished(tmp_path: Path, divided: Path) -> None:
    rows = (divided / "clips.csv").read_text().replace("a_joy.wav", f"{divided.parent}/a_joy.wav")
    (divided / "a_joy.wav").rename(divided.parent / "a_joy.wav")
    (divided / "clips.csv").write_text(rows)
    refused = init(tmp_path / "p", "--corpus", divided, "--table", "clips.csv", "--yes")
    assert "is not within the corpus folder" in str(refused.exception)
    done = init(tmp_path / "q", "--corpus", divided, "--table", "clips.csv", "--outside", "--yes")
    assert "14 clips" in done.output
    assert "refused" not in done.output
    assert load(tmp_path / "q" / "config.yaml").corpora["divided"].outside


def test_the_face_model_is_copied_into_the_project(
    tmp_path: Path, talks: Path, face_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_project, "_model_at_hand", lambda: face_model)
    assert init(tmp_path / "p", "--corpus", talks, "--yes").exit_code == 0
    assert load(tmp_path / "p" / "config.yaml").models.folder == "models"
    assert (tmp_path / "p" / "models" / face_model.name).read_bytes() == face_model.read_bytes()
    assert "models/" in (tmp_path / "p" / ".gitignore").read_text()


def test_files_in_place_of_their_folder_are_told_the_folder(tmp_path: Path, divided: Path) -> None:
    files = sorted(map(str, divided.glob("*.wav")))
    for words in (files, [f"{divided}/*.wav"]):
        for command in (["init", str(tmp_path / "p"), "--corpus", *words, "--yes"], ["corpus", *words]):
            done = RUNNER.invoke(app, command)
            assert isinstance(done.exception, UserError), done.output
            assert str(done.exception).endswith(f"name the folder, {divided}")
    done = RUNNER.invoke(app, ["init", str(tmp_path / "p"), "more", "--corpus", str(divided), "--yes"])
    assert "'more': unexpected" in str(done.exception)
    assert not (tmp_path / "p").exists()
