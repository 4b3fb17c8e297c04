"""What the front pages tell can be done as told: configurations are valid, commands and files are there."""

import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from avpretext import config_file
from avpretext.cli import app

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
FRONT = [page for page in PAGES if page.name in ("README.md", "start.md")]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", FRONT, ids=lambda page: page.name)
def test_the_configurations_of_the_front_pages_are_valid(page: Path) -> None:
    told = [yaml.safe_load(block) for block in blocks(page, "yaml")]
    assert told
    for content in told:
        config_file.parse(content, page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_told_exists(page: Path) -> None:
    told = {word for block in blocks(page, "sh") for word in re.findall(r"bin/avpretext (\S+)", block)}
    targets = {word for block in blocks(page, "sh") for word in re.findall(r"^make ([a-z-]+)", block, re.MULTILINE)}
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    assert told <= set(typer.main.get_command(app).list_commands(None))
    assert all(f"\n{target}:" in makefile for target in targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_of_a_command_is_one_that_it_takes_and_none_that_it_needs_is_missing(page: Path) -> None:
    commands = typer.main.get_command(app)
    for block in re.findall(r"```\w*\n(.*?)```", page.read_text("utf-8").replace("\\\n", " "), re.DOTALL):
        for name, rest in re.findall(r"^(?:\S*bin/)?avpretext ([a-z_-]+)(?: ([^#|;\n]*))?", block, re.MULTILINE):
            told = set(re.findall(r"(?<!\S)--[a-z-]+", rest))
            _, command, _ = commands.resolve_command(None, [name])
            options = [one for one in command.params if one.param_type_name == "option"]
            assert told <= {flag for one in options for flag in (*one.opts, *one.secondary_opts)} | {"--help"}, name
            if "..." not in rest and "--help" not in told:
                assert all(told & set(one.opts) for one in options if one.required), f"{name} {rest}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_stand_before_configfile_which_takes_any_number_of_files(page: Path) -> None:
    assert not re.search(r"--configfile [^ \n`]+ +[a-z]", page.read_text("utf-8"))


@pytest.mark.parametrize("page", FRONT, ids=lambda page: page.name)
def test_every_results_file_that_is_told_is_one_of_the_layout(page: Path) -> None:
    stages = set(re.findall(r"^## (\w+)$", (REPOSITORY / "docs" / "stages.md").read_text("utf-8"), re.MULTILINE))
    told = re.findall(r"`results/\w+/\w+/(labels_\w+)/", page.read_text("utf-8"))
    assert set(told) <= stages


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert "Domain-Specific Audiovisual Tasks" in cited["references"][0]["title"]


def test_the_changelog_begins_with_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
