"""The front pages: configurations that stand alone, files of the layout, and the path from one page to the next."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from tests.docs.printed import PAGES, REPOSITORY

from avpretext import config_file

FRONT = [REPOSITORY / "README.md", REPOSITORY / "docs" / "own-corpus.md"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", FRONT, ids=lambda page: page.name)
def test_the_configurations_of_the_front_pages_are_valid(page: Path) -> None:
    told = [yaml.safe_load(block) for block in blocks(page, "yaml")]
    assert told
    for content in told:  # a later one may be added to the first
        config_file.parse({"corpora": told[0]["corpora"]} | content, page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_stand_before_configfile_which_takes_any_number_of_files(page: Path) -> None:
    assert not re.search(r"--configfile [^ \n`]+ +[a-z]", page.read_text("utf-8"))


@pytest.mark.parametrize("page", FRONT, ids=lambda page: page.name)
def test_every_results_file_that_is_told_is_one_of_the_layout(page: Path) -> None:
    stages = set(re.findall(r"^## (\w+)$", (REPOSITORY / "docs" / "stages.md").read_text("utf-8"), re.MULTILINE))
    told = re.findall(r"`results/\w+/\w+/(labels_\w+)/", page.read_text("utf-8"))
    assert set(told) <= stages


def test_each_page_of_the_path_ends_with_the_next() -> None:
    path = list(yaml.safe_load((REPOSITORY / "docs" / "site" / "nav.yaml").read_text("utf-8"))["Start here"])
    for page, following in pairwise(path):
        last = (REPOSITORY / "docs" / f"{page}.md").read_text("utf-8").rstrip("\n").rpartition("\n\n")[2]
        assert re.fullmatch(rf"Next: \[.+\]\({following}\.md\)\.", last), page


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert "Domain-Specific Audiovisual Tasks" in cited["references"][0]["title"]


def test_the_changelog_begins_with_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
