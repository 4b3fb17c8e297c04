"""Recipes: what an artefact is made from, kept in it or beside it, so that it is known wherever the file is moved.

A recipe names the stage, its version and options, and the recipe of each input, whose own inputs are in it by their
digests. So an artefact that was made with other options anywhere up the flow has another recipe. No recipe holds the
path of the results folder or of a corpus, or the time of a file: the same data gives the same bytes in any folder.

The workflow writes the recipes of a run into the results folder (`write`); the jobs, which find that folder in the
environment, put them into what they make: into the schema metadata of Parquet, else into a hidden file beside it, with
the SHA-256 of its content. Stages that are run by hand leave none.
"""

import functools
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from avpretext import machine, signing
from avpretext.flow.paths import COPIES
from avpretext.run.digests import read_object

PathLike = str | os.PathLike[str]

RESULTS = "AVPRETEXT_RESULTS"
"""Environment variable of a job: the results folder of its run, or its local copy."""

OWN = ".avpretext"
"""Folder in the results with what a run keeps of itself: recipes of artefacts to be, locks, what was read of files."""

_KEY = b"avpretext.recipe"
_BESIDE = ".made"
_LONG = 4000
"""Characters of options, beyond which only a digest of each group is kept."""


@dataclass(frozen=True)
class Recipe:
    """What an artefact is made from.

    Attributes
    ----------
    artefact
        Its path below the results folder.
    stage
        The rule that makes it.
    options
        The stage's version and options by their dotted keys; of files that they name, digests of the content.
    inputs
        Name of an input, or of a folder of them: digest of their recipes, or of their content if no stage makes them.
    times
        Digest of what is known by the time of the file alone: clips, and files too large to be read each time. It is
        compared, but is no part of the digest, and never in the bytes of an artefact.
    """

    artefact: str
    stage: str
    options: Mapping[str, Any]
    inputs: Mapping[str, str]
    times: str = field(default="", compare=False)

    @property
    def text(self) -> str:
        """The recipe as one line of JSON, without times."""
        said = {"artefact": self.artefact, "inputs": self.inputs, "options": self.options, "stage": self.stage}
        return json.dumps(said, sort_keys=True)

    @functools.cached_property
    def folder(self) -> str:
        """The folder of the artefact."""
        return os.path.dirname(self.artefact)

    @functools.cached_property
    def digest(self) -> str:
        """A hash of the recipe: that of an artefact further down changes with it."""
        return digest_of(self.text)

    @property
    def identity(self) -> str:
        """What must be equal for an artefact to be the one that is wanted."""
        return f"{self.digest} {self.times}"


def digest_of(text: str) -> str:
    """Return a short hash of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def shortened(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they are, or a digest of each group where they are long: those of all stages at once."""
    if len(json.dumps(options)) <= _LONG:
        return dict(options)
    return {name: digest_of(json.dumps(value, sort_keys=True)) for name, value in options.items()}


def write(wanted: Mapping[str, Recipe], results: Path) -> list[Path]:
    """Write the recipes of what a run may make, for its jobs: a file for each folder of artefacts; return the files.

    `wanted` has the recipe of each artefact by its path, as the workflow names it.
    """
    folders: dict[Path, dict[str, dict[str, Any]]] = defaultdict(dict)
    for recipe in wanted.values():
        place = Path(recipe.artefact)
        folders[book(results, place.parent)][place.name] = asdict(recipe)
    for path, entries in folders.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside: a job of this run that reads it meanwhile finds the whole of it.
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(entries), "utf-8")
        aside.replace(path)
    return list(folders)


def book(results: Path, folder: Path) -> Path:
    """Return the file with the recipes of the artefacts in a folder, which is named relative to the results."""
    return results / OWN / "recipes" / folder / "recipes.json"


_entries = functools.cache(read_object)


def wanted_of(path: PathLike) -> Recipe | None:
    """Return the recipe of a file that a job of the workflow is about to write; None by hand, or for another file."""
    if RESULTS not in os.environ:
        return None
    results = Path(os.environ[RESULTS])
    try:
        place = Path(path).parent.resolve().relative_to(results.resolve()) / Path(path).name
    except ValueError:
        return None
    # A folder may be the artefact, as that of films: its files have its recipe.
    for artefact in (place, *place.parents[:-1]):
        entry = _entries(book(results, artefact.parent)).get(artefact.name)
        if entry is not None:
            return Recipe(**entry)
    return None


class Signer(signing.Signer):
    """Signs each file with the machine and, in a job of the workflow, with its recipe."""

    def metadata(self, path: PathLike) -> dict[str, str]:
        """Return what the schema metadata of a Parquet file that is about to be written shall hold."""
        recipe = wanted_of(path)
        return {"machine": machine.as_line(), **({} if recipe is None else {"recipe": recipe.text})}

    def put_beside(self, target: Path, content: Path) -> None:
        """Put the recipe of a file beside `target`, before the file, still at `content`, takes its place."""
        recipe = wanted_of(target)
        if recipe is None:
            return
        alone = COPIES in os.environ  # from a bucket, a start reads recipes and no artefact
        if target.suffix == ".parquet" and not recipe.times and not alone:
            return
        said = {**asdict(recipe), "sha256": "" if target.suffix == ".parquet" else sha256(content)}
        places = [target]
        if alone and target.name != Path(recipe.artefact).name:
            places.append(target.parent)  # a folder is the artefact
        for place in places:
            aside = content.with_name(f"{content.stem}-made{content.suffix}")
            aside.write_text(json.dumps(said, sort_keys=True) + "\n", "utf-8")
            aside.replace(beside(place))


def beside(path: Path) -> Path:
    """Return the hidden file beside an artefact that holds its recipe."""
    return path.with_name(f".{path.name}{_BESIDE}")


def is_beside(path: str) -> bool:
    """Tell whether a file holds the recipe of another.

    >>> is_beside(str(beside(Path("a/b.csv")))), is_beside("a/b.csv")
    (True, False)
    """
    return path.endswith(_BESIDE)


def noted_beside(path: Path) -> Recipe | None:
    """Return the recipe that is noted beside an artefact, which itself need not be there; None where none is."""
    said = read_object(beside(path))
    said.pop("sha256", None)
    try:
        return Recipe(**said)
    except TypeError:
        return None


def sha256(path: PathLike) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorded(path: Path) -> Recipe | None:
    """Return the recipe that an artefact was made by; None where it has none, or is not the file that was made.

    The recipe of a folder is that of every file in it.
    """
    if path.is_dir():
        found = [recorded(file) for file in sorted(path.iterdir()) if not file.name.startswith(".")]
        return found[0] if found and all(recipe == found[0] for recipe in found) else None
    said = read_object(beside(path))
    try:
        if path.suffix == ".parquet":
            text = _in_parquet(path)
            return None if text is None else Recipe(**json.loads(text), times=said.get("times", ""))
        known = said and said.pop("sha256") == sha256(path)
        return Recipe(**said) if known else None
    except (OSError, KeyError, TypeError, ValueError):  # not to be read, or of another version
        return None


def _in_parquet(path: Path) -> str | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return None
    return found[_KEY].decode() if _KEY in found else None


def differences(wanted: Recipe, found: Recipe | None) -> list[str]:
    """Return in words what of a recipe is not as it is wanted; nothing if all is.

    >>> old = Recipe("c/a/0.parquet", "a", {"version": 1, "a": {"x": 1, "y": 2}}, {"votes.csv": "1f"})
    >>> differences(Recipe("c/a/0.parquet", "a", {"version": 1, "a": {"x": 3, "y": 2}}, {"votes.csv": "2e"}), old)
    ['a.x', 'votes.csv']
    """
    if found is None:
        return ["no recipe: made by hand or by an earlier version, or damaged"]
    if (wanted.artefact, wanted.stage) != (found.artefact, found.stage):
        return [f"it is {found.artefact}, made by {found.stage}"]
    other = [*_keys(wanted.options, found.options), *_keys(wanted.inputs, found.inputs)]
    return [*other, *(["times of files"] if wanted.times != found.times else [])]


def _keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    keys: list[str] = []
    for name in dict.fromkeys([*one, *other]):
        first, second = one.get(name), other.get(name)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            keys += [f"{name}.{key}" for key in _keys(first, second)]
        elif first != second:
            keys.append(name)
    return keys
