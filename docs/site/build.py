"""Build the site of the docs: `python docs/site/build.py site`; a broken link or anchor fails.

On a hosting page `docs/limits.md` may link to `../benchmarks/segment.md` or `../config.yaml`, which a site made of
`docs` alone would not hold. So every such file that is linked, from the docs or from a file so found, becomes a page:
Markdown as it is, other text as a listing, a folder as a list of what is in it, pictures as they are. The README is the
front page, followed by the pages in the order of `nav.yaml`. What links to a missing file is left alone, and Sphinx
says so.
"""

import argparse
import json
import posixpath
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FRONT = "README.md"
REST = "repository"
"""Where in the site the files outside `docs` are."""

AS_THEY_ARE = (".png", ".jpg", ".svg", ".gif", ".mp4", ".webm", ".wav")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".sh": "bash", ".toml": "toml"}
CODE_OR_LINK = re.compile(r"(?P<code>^```.*?^```|`[^`\n]+`)|\]\((?P<target>[^)\s]+)\)", re.DOTALL | re.MULTILINE)


def assemble(source: Path, root: Path = ROOT) -> None:
    """Write the sources of the site: all pages of `docs`, the README, and what these link to.

    Parameters
    ----------
    source
        Folder to write.
    root
        The repository.
    """
    pages = sorted(page.name for page in (root / "docs").glob("*.md"))
    waiting = [FRONT, *(f"docs/{page}" for page in pages)]
    waiting += [file.relative_to(root).as_posix() for file in (root / "docs").rglob("*") if file.suffix in AS_THEY_ARE]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        file = source / uri_of(path, root)
        file.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(AS_THEY_ARE):
            file.write_bytes((root / path).read_bytes())
            continue
        text = text_of(path, root)
        file.write_text(rewritten(text, path, root), "utf-8")
        found = {target for target in links(text, path, root) if target not in seen}
        waiting += sorted(found)
        seen |= found
    with (source / "index.md").open("a", encoding="utf-8") as front:
        front.write(contents([page.removesuffix(".md") for page in pages]))


def contents(pages: list[str]) -> str:
    """Return the tables of contents: the sections of `nav.yaml` with the pages that are there, and all others."""
    sections = yaml.safe_load((HERE / "nav.yaml").read_text("utf-8"))
    named = [page for section in sections.values() for page in section]
    sections["More"] = {page: None for page in pages if page not in named}
    parts = []
    for caption, section in sections.items():
        lines = [f"{title} <{page}>" if title else page for page, title in section.items() if page in pages]
        if lines:
            parts.append("\n```{toctree}\n:hidden:\n:caption: " + "\n".join([caption, "", *lines]) + "\n```\n")
    return "".join(parts)


def text_of(path: str, root: Path) -> str:
    """Return the Markdown of a file or folder of the repository."""
    file = root / path
    if file.is_dir():
        return listing(file, root)
    text = file.read_text("utf-8")
    if path.endswith(".md"):
        return text
    if path.endswith(".ipynb"):
        return of_notebook(text)
    return f"# {path}\n\n````{LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n````\n"


def of_notebook(text: str) -> str:
    """Return the Markdown of a notebook: its text, and its code as blocks; what its code gave is left out.

    >>> of_notebook('{"cells": [{"cell_type": "code", "source": ["1 +\\\\n", "1"]}]}')
    '```python\\n1 +\\n1\\n```\\n'
    """
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n".join(f"```python\n{source}\n```\n" if kind == "code" else f"{source}\n" for kind, source in cells)


def listing(folder: Path, root: Path) -> str:
    """Return a page that lists a folder, after the README in it if it has one."""
    readme = folder / FRONT
    head = readme.read_text("utf-8") if readme.is_file() else f"# {folder.relative_to(root).as_posix()}\n"
    entries = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith((".", "_")))
    return f"{head}\n" + "".join(f"- [{name}]({name})\n" for name in entries if name != FRONT)


def uri_of(path: str, root: Path = ROOT) -> str:
    """Return the page of the site that stands for a file or folder of the repository.

    >>> [uri_of(path) for path in ("README.md", "docs/limits.md", "config.yaml", "examples")]
    ['index.md', 'limits.md', 'repository/config.yaml.md', 'repository/examples/index.md']
    """
    if path == FRONT:
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (root / path).is_dir():
        return f"{REST}/{path}/index.md"
    return f"{REST}/{path}" if path.endswith((".md", *AS_THEY_ARE)) else f"{REST}/{path}.md"


def links(markdown: str, path: str, root: Path) -> Iterator[str]:
    """Yield the files of the repository, outside `docs`, that the text of a file links to."""
    for match in CODE_OR_LINK.finditer(markdown):
        target = resolved(match["target"] or "", path, root)
        if target is not None and not target.startswith("docs/"):
            yield target


def rewritten(markdown: str, path: str, root: Path) -> str:
    """Return the text of a file with links to files of the repository turned to the pages that stand for them."""
    here = posixpath.dirname(uri_of(path, root)) or "."

    def relinked(match: re.Match[str]) -> str:
        target = resolved(match["target"] or "", path, root)
        if target is None:
            return match[0]
        _, mark, anchor = match["target"].partition("#")
        return f"]({posixpath.relpath(uri_of(target, root), here)}{mark}{anchor})"

    return CODE_OR_LINK.sub(relinked, markdown)


def resolved(target: str, path: str, root: Path) -> str | None:
    """Return the file that a link in a file of the repository leads to; None for web addresses and missing files."""
    place = target.partition("#")[0]
    if not place or ":" in place:
        return None
    folder = path if (root / path).is_dir() else posixpath.dirname(path)
    found = posixpath.normpath(posixpath.join(folder, place))
    return found if not found.startswith(("../", "/")) and found != "." and (root / found).exists() else None


def build(output: Path, root: Path = ROOT) -> int:
    """Build the site of a repository, and return the exit status of Sphinx: not 0 on any warning."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "docs")
        assemble(source, root)
        # The front page changes all others (their sidebar), so nothing is kept from build to build.
        command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-c", str(HERE)]
        doctrees = str(Path(folder, "doctrees"))
        return subprocess.run(
            [*command, "-d", doctrees, "-b", "html", str(source), str(output)], check=False
        ).returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    sys.exit(build(parser.parse_args().output))
