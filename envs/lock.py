"""Write the locks from what `pyproject.toml` asks for, and the conda environment from the first; nothing is installed.

`python envs/lock.py` after an edit of `pyproject.toml`: pinned versions stay, new packages come in, with all that they
need, and what nothing needs goes. A version changes when its line in the lock is deleted first. No version comes in
that excludes the lowest Python which `pyproject.toml` promises. `python envs/lock.py --yaml` prints the conda
environment for the lock as it is, which a test compares with `envs/avpretext.yaml`.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).parent
YAML = FOLDER / "avpretext.yaml"
LOCKS = {
    "avpretext": "to run avpretext",
    "phones": "to recognise phones",
    "dev": "to test and lint it",
    "docs": "to build its docs",
}
"""Locks, and what for; each has what those before it lack."""

CUDA = ("nvidia-", "cuda-", "triton")
"""What torch brings along where it is a build for CUDA: its own choice, and not there on a machine without."""

Metadata = Mapping[str, Any]


def asked() -> tuple[dict[str, list[str]], str]:
    """Return the requirements of each lock, and the lowest Python that is promised.

    The first has what a run can use, the extra `all`, but for the phones, whose package cannot be installed everywhere;
    the tests need every extra but the trackers, whose tests skip: they bring forty packages.
    """
    pyproject = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())
    project = pyproject["project"]
    extras = project["optional-dependencies"]

    def of_extra(name: str) -> Iterator[str]:
        """Yield what an extra requires, and the extras that it names."""
        for text in extras[name]:
            wanted = Requirement(text)
            if wanted.name == project["name"]:
                yield from (other for extra in sorted(wanted.extras) for other in of_extra(extra))
            else:
                yield text

    of_a_run = [text for text in of_extra("all") if text not in extras["phones"]]
    groups = {
        "avpretext": [*project["dependencies"], *pyproject["build-system"]["requires"], *of_a_run],
        "phones": extras["phones"],
        "dev": [text for extra in extras if extra not in ("docs", "tracking") for text in of_extra(extra)],
        "docs": extras["docs"],
    }
    (lowest,) = SpecifierSet(project["requires-python"])
    return groups, f"{lowest.version}.0"


def pins(lock: str) -> list[str]:
    """Return the pins of a lock."""
    return [line for line in lock.splitlines() if line and not line.startswith("#")]


def allows(metadata: Metadata, python: str) -> bool:
    """Tell whether a package can be installed on a Python."""
    return SpecifierSet(metadata.get("requires_python") or "").contains(python)


def closure(requirements: Iterable[str], known: Mapping[str, Metadata], python: str) -> tuple[set[str], set[str]]:
    """Return the names of all packages that requirements need on a Python, and the requirements that nothing meets.

    Parameters
    ----------
    requirements
        As in `pyproject.toml`.
    known
        Metadata of packages by canonical name.
    python
        Its full version.
    """
    marked = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    seen: set[tuple[str, str]] = set()
    unmet: set[str] = set()
    waiting = [(text, "") for text in requirements]
    while waiting:
        text, of_extra = waiting.pop()
        wanted = Requirement(text)
        name = canonicalize_name(wanted.name)
        if name.startswith(CUDA) or (wanted.marker and not wanted.marker.evaluate({**marked, "extra": of_extra})):
            continue
        if name not in known or not wanted.specifier.contains(known[name]["version"], prereleases=True):
            unmet.add(f"{wanted.name}{wanted.specifier}")
            continue
        for extra in {"", *wanted.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(other, extra) for other in known[name]["requires_dist"] or []]
    return {name for name, _ in seen}, unmet


def installed(locked: Iterable[str]) -> dict[str, Metadata]:
    """Return the metadata of the pins that are installed as they are pinned, by canonical name."""
    wanted = {canonicalize_name(name): version for name, version in (pin.split("==") for pin in locked)}
    return {
        canonicalize_name(found.name): {
            "name": found.name,
            "version": found.version,
            "requires_python": found.metadata["Requires-Python"],
            "requires_dist": found.requires,
        }
        for found in distributions()
        if wanted.get(canonicalize_name(found.name)) == found.version.split("+")[0]
    }


def offered(requirements: Iterable[str], constraints: Iterable[str]) -> dict[str, Metadata]:
    """Return the metadata of what pip finds for each requirement, by canonical name."""
    with TemporaryDirectory() as folder:
        constrained, output = Path(folder, "constraints.txt"), Path(folder, "report.json")
        constrained.write_text("\n".join(constraints))
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "-qq"]
        subprocess.run([*command, "--report", output, "--constraint", constrained, *requirements], check=True)
        found = [entry["metadata"] for entry in json.loads(output.read_text())["install"]]
    return {canonicalize_name(entry["name"]): {"requires_dist": None, **entry} for entry in found}


def resolve(requirements: list[str], locked: list[str], python: str) -> dict[str, Metadata]:
    """Return the metadata of all packages; pinned versions stay, but those that a Python cannot have."""
    known, constraints = installed(locked), {canonicalize_name(pin.split("==")[0]): pin for pin in locked}
    while True:
        for name in [name for name, entry in known.items() if not allows(entry, python)]:
            entry = known.pop(name)
            constraints[name] = f"{entry['name']}<{entry['version']}"
        _, unmet = closure(requirements, known, python)
        if not unmet:
            return known
        known |= offered(unmet, constraints.values())


def write_locks() -> None:
    """Write all locks and the conda environment."""
    groups, python = asked()
    files = {name: FOLDER / f"{name}.lock" for name in LOCKS}
    kept = [pin for file in files.values() if file.exists() for pin in pins(file.read_text())]
    known = resolve([text for group in groups.values() for text in group], kept, python)
    before: set[str] = set()
    for name, file in files.items():
        needed = closure(groups[name], known, python)[0] - before
        before |= needed
        lines = sorted(
            (f"{known[one]['name']}=={known[one]['version'].split('+')[0]}" for one in needed), key=str.lower
        )
        head = f"# Pinned versions, {LOCKS[name]} on Python {python} or newer; written by `python envs/lock.py`.\n"
        file.write_text(head + "".join(f"{line}\n" for line in lines))
    YAML.write_text(environment())


def environment() -> str:
    """Return the conda environment that installs the locks of a run."""
    head = "# What rules install under `--sdm conda`; written by `python envs/lock.py` from its locks.\n"
    found = [pin for name in ("avpretext", "phones") for pin in pins((FOLDER / f"{name}.lock").read_text())]
    packages = "".join(f"      - {pin}\n" for pin in sorted(found, key=str.lower))
    return f"{head}channels:\n  - conda-forge\ndependencies:\n  - python=3.11\n  - pip\n  - pip:\n{packages}"


if __name__ == "__main__":
    if "--yaml" in sys.argv:
        print(environment(), end="")
    else:
        write_locks()
