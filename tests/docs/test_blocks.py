"""Each block of code of the docs is run, checked, or marked with the reason why it is not."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs.printed import REPOSITORY, Block, blocks, check, commands, inline_commands
from tests.workflow.conftest import corpus_folder as corpus_folder  # fixtures
from tests.workflow.conftest import finished as finished
from tests.workflow.project import Project

from avpretext import cli, config_file
from avpretext.config import CorpusOptions
from avpretext.corpora.readers import by_name
from avpretext.errors import UserError
from avpretext.search import space

RUN_BY = {
    ("docs/chunk-framework.md", "pycon"): "tests/models/test_published.py",
    ("docs/corpora.md", "csv"): "tests/corpora/test_readers.py",
    ("docs/extending.md", "python"): "tests/docs/test_extending.py",
    ("docs/features.md", "python"): "tests/training/test_frames.py",
    ("docs/open.md", "python"): "tests/workflow/test_open_page.py",
    ("docs/other-tools.md", "python"): "tests/interchange/test_other_tools_page.py",
    ("docs/predict.md", "python"): "tests/workflow/test_predict.py",
    ("docs/workflow.md", "python"): "tests/docs/test_blocks.py",
}
"""The tests that run the blocks of a page in a language which is not checked here."""

NO_CODE = {"text", "{eval-rst}"}
"""Printed output and drawings, and parts of the site."""

GIVEN = {
    "/data/talks": "demo/unlabelled",
    "data/demo/unlabelled/speaker01": "demo/unlabelled/speaker01",
    "talks/**/*.mp3": "demo/unlabelled/speaker02/*.mp4",
    "anna/monday": "speaker01/speaker01_001",
    "interview.mp4": "demo/unlabelled/speaker01/speaker01_001.mp4",
    "1001_DFA_ANG_XX": "1101_MTI_ANG_XX",
    "mine.yaml": "config.yaml",
    "$M": "results/labelled/export/acted.speaker_kfold/best",
}
"""What stands in the finished run for what the pages name."""

NOT_AT_HAND = {"MODEL", "-", "ann/anger", "ann/anger@v2"}
"""Words of commands that need a server, a microphone or the Hugging Face hub."""

RUN = {"docs/own-corpus.md", "docs/change.md", "docs/inspect.md", "docs/phones.md", "docs/predict.md"}
"""Pages whose commands are run; those of Snakemake only show what they would do."""

AFTER = {"docs/cluster.md": "docs/encoders.md"}
"""Pages whose configurations build on the first one of another page."""


def ids(block: Block) -> str:
    return f"{Path(block.page).stem}: {block.code.splitlines()[0][:30]}"


def shell_blocks() -> list[Block]:
    """Return the blocks of commands, those without a language included if they begin with a program."""
    program = re.compile(r"(\.venv/bin/|avpretext |make |sudo |podman )")
    return blocks("sh") + [block for block in blocks("") if program.match(block.code)]


def test_each_block_is_run_or_checked_or_marked() -> None:
    left = {(block.page, block.language) for block in blocks() if block.language not in {"sh", "yaml", "", *NO_CODE}}
    assert left == set(RUN_BY)
    for (page, _), file in RUN_BY.items():
        assert Path(page).name in (REPOSITORY / file).read_text("utf-8"), f"{file} does not read {page}"


@pytest.mark.parametrize("block", shell_blocks(), ids=ids)
def test_each_command_of_a_block_can_be_given_so(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert list(commands(block.code))
    for words in commands(block.code):
        check(words)


@pytest.mark.parametrize(("page", "command"), inline_commands())
def test_each_command_of_a_sentence_exists_with_its_options(page: str, command: str) -> None:
    (words,) = commands(command)
    check(words, whole=False)


@pytest.mark.parametrize(
    "wrong",
    [
        "avpretext corpse x",
        "avpretext inspect",
        "avpretext inspect a b c",
        "avpretext predict m x --outputs y",
        "snakemake pseudo_label",
        "snakemake --kores 2",
        "make demmo",
        "pip install 'avpretext[hubs]'",
        "python -m pytest tests/none.py",
        "frobnicate",
    ],
)
def test_a_wrong_command_is_found(wrong: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(shlex.split(wrong))


@pytest.mark.parametrize("block", blocks("yaml"), ids=ids)
def test_each_configuration_is_valid(block: Block, tmp_path: Path) -> None:
    content = yaml.safe_load(block.code)
    if all("." in key for key in content):
        (tmp_path / "space.yaml").write_text(block.code, "utf-8")
        assert set(space.read(tmp_path / "space.yaml", whole({}))) == set(content)
    elif set(content) <= set(CorpusOptions.model_fields):
        config_file.parse(whole({"corpora": {"any": content}}), block.page)
    elif all(isinstance(row, dict) and "pattern" in row for row in content.values()):
        assert [by_name.Row(**row) for row in content.values()]
    else:
        try:
            config_file.parse(whole(content), block.page)
        except UserError:
            page = AFTER.get(block.page, block.page)
            before = next(other for other in blocks("yaml") if other.page == page)
            config_file.parse(whole(yaml.safe_load(before.code) | content), block.page)


def whole(content: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a configuration with what its corpora need, or a corpus."""
    needed = {"path": "any", "use": ["finetune"]}
    corpora = content.get("corpora", {"any": {}})
    return content | {"corpora": {name: entry if "of" in entry else needed | entry for name, entry in corpora.items()}}


@pytest.mark.workflow
@pytest.mark.parametrize("block", [block for block in blocks("sh") if block.page in RUN], ids=ids)
def test_the_commands_run(block: Block, finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finished.arguments()  # writes config.yaml
    for name in ("demo", "results", "config.yaml"):
        (tmp_path / name).symlink_to(finished.folder / name)
    for program, *arguments in commands(block.code):
        given = [GIVEN.get(word, word) for word in arguments]
        if program == ".venv/bin/snakemake":
            finished.snakemake("--dry-run", *(word for word in given if word in ("pseudo_labels", "visemes")))
        elif program.endswith("avpretext") and not NOT_AT_HAND & set(given) and given != ["init", "talks"]:
            run_here(given, monkeypatch)


def run_here(arguments: list[str], patch: pytest.MonkeyPatch) -> None:
    """Run a command in this process."""
    patch.setattr(sys, "argv", ["avpretext", *arguments])
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert not done.value.code, arguments


@pytest.mark.workflow
def test_the_workflow_is_a_module_of_another(finished: Project, tmp_path: Path) -> None:
    (block,) = (block for block in blocks("python") if block.page == "docs/workflow.md")
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text(block.code.replace("/path/to/avpretext", str(REPOSITORY)), "utf-8")
    done = finished.snakemake("--snakefile", str(snakefile), "--dry-run")
    assert done.would_run().get("mine") == 1, done.text
