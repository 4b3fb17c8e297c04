"""What requirements need, read from the metadata of what is installed: a check of the locks that needs no network."""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from lock import is_cuda
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]

Metadata = Mapping[str, Any]


@cache
def installed() -> dict[str, Metadata]:
    """Return the metadata of all installed packages, by canonical name."""
    return {
        canonicalize_name(found.name): {
            "version": found.version.split("+")[0],
            "requires_python": found.metadata["Requires-Python"],
            "requires_dist": found.requires,
        }
        for found in distributions()
    } | {"avpretext": {"version": PROJECT["version"], "requires_dist": own_requirements()}}


def own_requirements() -> list[str]:
    """Return what `pyproject.toml` requires, in the form of a wheel's metadata."""
    extras = PROJECT["optional-dependencies"]
    parted = [(extra, *text.partition(";")) for extra, texts in extras.items() for text in texts]
    return PROJECT["dependencies"] + [
        f"{text}; ({marker}) and extra == '{extra}'" if marker else f"{text}; extra == '{extra}'"
        for extra, text, _, marker in parted
    ]


@cache
def parsed(text: str) -> Requirement:
    """Return a requirement, parsed once."""
    return Requirement(text)


def closure(
    requirements: Iterable[str], known: Mapping[str, Metadata], environment: Mapping[str, str]
) -> tuple[set[str], set[str]]:
    """Return the names of all packages that requirements need, but CUDA's, and the requirements that nothing meets.

    Parameters
    ----------
    requirements
        As in `pyproject.toml`.
    known
        Metadata of packages by canonical name.
    environment
        What markers are evaluated on; the rest is that of this machine.
    """
    seen: set[tuple[str, str]] = set()
    unmet: set[str] = set()
    waiting = [(text, "") for text in requirements]
    while waiting:
        text, of_extra = waiting.pop()
        wanted = parsed(text)
        name = canonicalize_name(wanted.name)
        if is_cuda(name) or (wanted.marker and not wanted.marker.evaluate({**environment, "extra": of_extra})):
            continue
        if name not in known or not wanted.specifier.contains(known[name]["version"], prereleases=True):
            unmet.add(f"{wanted.name}{wanted.specifier}")
            continue
        for extra in {"", *wanted.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(other, extra) for other in known[name]["requires_dist"] or []]
    return {name for name, _ in seen}, unmet
