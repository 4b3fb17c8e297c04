"""Commands made from the signature of a function: what is given on the command line reaches it as its types say."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from avpretext.cli import stages
from avpretext.config import ChunkOptions, Config, CorpusOptions, SpeechOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import STAGES
from avpretext.flow.registry import Stage

GIVEN: dict[str, Any] = {}


@dataclass(frozen=True)
class Files:
    """Files of a corpus.

    Attributes
    ----------
    first
        The first.
    second
        The second.
    """

    first: Sequence[Path]
    second: Path | None = None


@pytest.fixture(autouse=True)
def nothing_given() -> None:
    GIVEN.clear()


def call(run: Any, *words: str) -> None:
    """Call a function by a command made of it."""
    command = stages._command(Stage("it", "none", 1, "Try it."), stages._function(run, {}))
    options = '{"speech": {"deltas": true}, "corpora.mine.reader": "ravdess"}'
    command.main([*words, "--options", options], standalone_mode=False)


def of_words(tasks: Sequence[str], audio: Path, shard: int, output: Path | None = None, threads: int = 1) -> None:
    """Take words, a file and a number.

    Parameters
    ----------
    audio
        The audio, of
        one shard.
    """
    GIVEN.update(tasks=tasks, audio=audio, shard=shard, output=output, threads=threads)


def of_config(options: SpeechOptions, chunks: ChunkOptions, corpus: CorpusOptions, seed: int, config: Config) -> None:
    GIVEN.update(deltas=options.deltas, count=chunks.count, reader=corpus.reader, seed=seed, whole=config)


def of_files(
    index: Sequence[Path],
    targets: Mapping[str, Path],
    sets: Mapping[str, Mapping[str, Sequence[Path]]],
    many: Mapping[str, Files],
) -> None:
    GIVEN.update(index=index, targets=targets, sets=sets, many=many)


def test_words_files_and_numbers() -> None:
    call(of_words, "energy-emotion", "--audio", "a.parquet", "--shard", "0003", "--threads", "2")
    assert {
        "tasks": ["energy", "emotion"], "audio": Path("a.parquet"), "shard": 3, "output": None, "threads": 2,
    } == GIVEN  # fmt: skip


def test_the_docstring_is_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    call(of_words, "--help")
    assert "The audio, of one shard." in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_options_come_from_the_configuration() -> None:
    call(of_config, "--corpus", "mine")
    assert (GIVEN["deltas"], GIVEN["count"], GIVEN["reader"], GIVEN["seed"]) == (True, 5, "ravdess", 1)
    with pytest.raises(UserError, match="no corpus 'mein' in the configuration; did you mean 'mine'"):
        call(of_config, "--corpus", "mein")


def test_shards_by_corpus_and_name() -> None:
    call(
        of_files, "--index", "i@2", "--targets", "a=t.parquet", "--sets", "a.speech=s@1",
        "--sets", "a.speech=more.parquet", "--sets", "a@1.08.log_mel=m.parquet", "--first", "a=f@2", "--second", "a=x",
    )  # fmt: skip
    assert GIVEN["index"] == [Path("i/0000.parquet"), Path("i/0001.parquet")]
    assert GIVEN["targets"] == {"a": Path("t.parquet")}
    assert GIVEN["sets"] == {
        "a": {"speech": [Path("s/0000.parquet"), Path("more.parquet")]}, "a@1.08": {"log_mel": [Path("m.parquet")]},
    }  # fmt: skip
    assert GIVEN["many"] == {"a": Files([Path("f/0000.parquet"), Path("f/0001.parquet")], Path("x"))}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--targets", "t.parquet", "--sets", "a.s=s", "--first", "a=f"], "--targets t.parquet: expected KEY=VALUE"),
        (
            ["--targets", "a=t", "--sets", "a=s", "--first", "a=f"],
            r"--sets a=s: expected CORPUS\.KEY=SHARDS, such as mine\.speech=FOLDER",
        ),
        (
            ["--targets", "a=t", "--sets", "a.s=s", "--first", "b=f", "--second", "a=x"],
            "--first: nothing of a, which another option names: name its files too",
        ),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(of_files, "--index", "i", *words)


def test_what_a_stage_needs_is_asked_for() -> None:
    with pytest.raises(Exception, match="index"):
        call(of_files)
    for name in ("finetune", "pretrain", "baseline", "folds", "co_occurrence"):
        command = stages.Commands(name="all").resolve_command(None, [name])[1]
        needed = {one.name for one in command.params if one.required}
        assert {"pretrain": "features", "baseline": "vectors"}.get(name, "targets") in needed


def test_an_argument_of_a_few_words_is_checked() -> None:
    command = stages.Commands(name="all").resolve_command(None, ["orofacial_system"])[1]
    with pytest.raises(Exception, match="'bogus' is not one of 'single', 'joint', 'cascade'"):
        command.main(["bogus"], standalone_mode=False)


def test_a_stage_without_options_needs_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_a_file(audio: Path) -> None:
        GIVEN["audio"] = audio

    monkeypatch.chdir(tmp_path)
    stages._command(Stage("it", "none", 1, "Try it."), stages._function(of_a_file, {})).main(
        ["--audio", "a"], standalone_mode=False
    )
    assert {"audio": Path("a")} == GIVEN


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_every_option_of_a_stage_has_a_help(stage: Stage) -> None:
    run = importlib.import_module(stage.module).run
    said = {one.name: one.annotation.__metadata__[0].help for one in stages._parameters(run)}
    assert [name for name, text in said.items() if not text] == []
