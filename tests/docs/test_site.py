"""The site of the docs: every link leads somewhere, files of the repository are pages of it."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "docs" / "site" / "build.py"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_build", BUILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; the build fails on any link or anchor that leads nowhere."""
    output = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, str(BUILD), str(output)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output


def repository(folder: Path, front: str, page: str = "# Page\n") -> Path:
    """Return a small repository with a README and one page of docs."""
    (folder / "docs").mkdir(parents=True)
    (folder / "README.md").write_text(front, "utf-8")
    (folder / "docs" / "page.md").write_text(page, "utf-8")
    return folder


def test_every_link_of_the_docs_leads_somewhere_and_every_page_is_in_the_contents(site: Path) -> None:
    front = (site / "index.html").read_text("utf-8")
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert f'href="{page.stem}.html"' in front


def imported() -> Iterator[str]:
    """Yield what the examples of the docs import from the package: no modules, nothing that they make themselves."""
    for page in sorted((REPOSITORY / "docs").glob("*.md")):
        text = page.read_text("utf-8")
        for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            try:
                lines = ast.walk(ast.parse(block))
            except SyntaxError:  # a piece of a file
                continue
            for line in lines:
                if isinstance(line, ast.ImportFrom) and str(line.module).startswith("avpretext"):
                    names = (f"{line.module}.{one.name}" for one in line.names if f"class {one.name}" not in text)
                    yield from (name for name in names if not is_module(name))


def is_module(name: str) -> bool:
    file = REPOSITORY / "src" / name.replace(".", "/")
    return file.is_dir() or file.with_suffix(".py").is_file()


def test_every_name_that_an_example_imports_is_in_the_reference(site: Path) -> None:
    reference = (site / "reference.html").read_text("utf-8")
    missing = {name for name in imported() if f'id="{name}"' not in reference}
    assert not missing
    assert "avpretext.corpora.reader.Reader" in set(imported())


def test_a_name_in_a_docstring_is_a_link_where_the_reference_has_it(site: Path) -> None:
    assert 'href="#avpretext.predict.result.Prediction"' in (site / "reference.html").read_text("utf-8")


def test_the_pages_fetch_nothing_from_the_network(site: Path) -> None:
    front = (site / "index.html").read_text("utf-8")
    fetched = [part.split('"')[0] for key in (' src="', '<link rel="stylesheet" type="text/css" href="')
               for part in front.split(key)[1:]]  # fmt: skip
    assert fetched
    assert not [address for address in fetched if "//" in address]


def test_files_of_the_repository_that_are_linked_are_pages(site: Path) -> None:
    assert "demo_unlabelled" in (site / "repository" / "config.yaml.html").read_text("utf-8")
    assert (site / "repository" / "examples" / "index.html").is_file()


def test_a_link_out_of_the_docs_leads_to_a_page_of_the_site(build: ModuleType, tmp_path: Path) -> None:
    page = "[a](../config.yaml#x), [b](../README.md), [c](https://x.org), [`d`](other.md), `[e](../config.yaml)`\n"
    root = repository(tmp_path / "repo", "[p](docs/page.md) [x](examples)\n", page)
    (root / "config.yaml").write_text("seed: 1\n")
    (root / "examples").mkdir()
    (root / "examples" / "one.yaml").write_text("seed: 2\n")
    cells = [
        {"cell_type": "markdown", "source": ["# A\n", "[p](../docs/page.md)"]},
        {"cell_type": "code", "source": "a"},
    ]
    (root / "examples" / "two.ipynb").write_text(json.dumps({"cells": cells}))
    build.assemble(tmp_path / "source", root)
    source = tmp_path / "source"
    assert (source / "page.md").read_text() == (
        "[a](repository/config.yaml.md#x), [b](index.md), [c](https://x.org), [`d`](other.md), `[e](../config.yaml)`\n"
    )
    assert (source / "index.md").read_text().startswith("[p](page.md) [x](repository/examples/index.md)\n")
    assert "seed: 1" in (source / "repository" / "config.yaml.md").read_text()
    assert "- [one.yaml](one.yaml.md)" in (source / "repository" / "examples" / "index.md").read_text()
    assert "seed: 2" in (source / "repository" / "examples" / "one.yaml.md").read_text()
    notebook = (source / "repository" / "examples" / "two.ipynb.md").read_text()
    assert notebook == "# A\n[p](../../page.md)\n\n```python\na\n```\n"


def test_links_that_lead_nowhere_fail_and_each_is_named(build: ModuleType, tmp_path: Path, capfd) -> None:
    links = ["../none.yaml", "none.md", "page.md#nowhere", "../../outside.md"]
    page = "# Page\n\n" + "".join(f"[x]({link})\n" for link in links)
    root = repository(tmp_path / "repo", "# Front\n", f"{page}\n```{{eval-rst}}\n`avpretext.no_such_name`\n```\n")
    assert build.build(tmp_path / "site", root) != 0
    warned = [line for line in capfd.readouterr().err.splitlines() if "WARNING" in line]
    for link in [*links, "avpretext.no_such_name"]:
        assert any(link.rpartition("/")[2].rpartition("#")[2] in line for line in warned), link


def test_pages_that_the_contents_do_not_name_stand_under_more(build: ModuleType) -> None:
    told = build.contents(["workflow", "new_page"])
    assert ":caption: More\n\nnew_page" in told
    assert "cluster" not in told
