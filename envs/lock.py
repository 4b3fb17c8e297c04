"""Write the locks from what `pyproject.toml` asks for, and the conda environment from the first; nothing is installed.

`make locks` after an edit of `pyproject.toml`: pinned versions stay, new packages come in, with all that they need, and
what nothing needs goes. A version changes when its line in the lock is deleted first. `uv` resolves once for every
platform and Python, down to the lowest Python which `pyproject.toml` promises. It knows the files of each release:
`hashed.lock` has their hashes, `wheels.csv` the tags of the wheels. `python envs/lock.py --yaml` prints the conda
environment for the locks as they are, which a test compares with `envs/avpretext.yaml`.
"""

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from wheels import TARGETS, serves, tags_of, write_table

FOLDER = Path(__file__).parent
YAML = FOLDER / "avpretext.yaml"
LOCKS = {
    "avpretext": "to run avpretext",
    "phones": "to recognise phones",
    "dev": "to test and lint it",
    "docs": "to build its docs",
}
"""Locks, and what for; each has what those before it lack."""

HASHED = {
    "hashed": "what `make environment` installs, but for the phones and for CUDA",
    "hashed-cuda": "what PyTorch's build for CUDA needs besides, on Linux",
}

CUDA = ("nvidia-", "cuda-", "triton")
"""What torch brings along where it is a build for CUDA: its own choice, and not there on a machine without."""

NOT_PINNED = ("all", "tracking")
"""Extras that the table of wheels leaves out: the union of others, and one that no lock has."""

Pins = dict[str, Requirement]


def asked() -> tuple[dict[str, list[str]], dict[str, list[str]], str]:
    """Return the requirements of each lock, those of each extra (`base`: of all), and the lowest Python.

    The first lock has what a run can use, the extra `all`, but for the phones, whose package cannot be installed
    everywhere; the tests need every extra but the trackers, whose tests skip: they bring forty packages.
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
    locks = {
        "avpretext": [*project["dependencies"], *pyproject["build-system"]["requires"], *of_a_run],
        "phones": extras["phones"],
        "dev": [text for extra in extras if extra not in ("docs", "tracking") for text in of_extra(extra)],
        "docs": extras["docs"],
    }
    every = {name: [*of_extra(name)] for name in extras if name not in NOT_PINNED}
    (lowest,) = SpecifierSet(project["requires-python"])
    return locks, {"base": project["dependencies"], **every}, f"{lowest.version}.0"


def pins(lock: str) -> list[str]:
    """Return the pins of a lock."""
    return [line for line in lock.splitlines() if line and not line.startswith("#")]


def pinned_elsewhere() -> list[str]:
    """Return the pins that only the locks with hashes have: for CUDA, and for other systems than that of the others."""
    found = []
    for name in HASHED:
        file = FOLDER / f"{name}.lock"
        lines = pins(file.read_text().replace(" \\\n", "")) if file.exists() else []
        found += [Requirement(line.partition(" --hash")[0]) for line in lines]
    return [f"{one.name}{one.specifier}" for one in found if is_cuda(one.name) or not TARGETS[0].needs(marker(one))]


def project(groups: Mapping[str, Iterable[str]], kept: list[str], python: str) -> str:
    """Return the `pyproject.toml` of a project with these groups of requirements as extras."""
    extras = "".join(f"{name} = {json.dumps([*texts])}\n" for name, texts in groups.items())
    return (
        f'[project]\nname = "locks"\nversion = "0"\nrequires-python = ">={python}"\n'
        f"[project.optional-dependencies]\n{extras}"
        f"[tool.uv]\npackage = false\nconstraint-dependencies = {json.dumps(kept)}\n"
    )


def resolve(
    groups: Mapping[str, Iterable[str]], kept: list[str], python: str
) -> tuple[dict[str, Pins], dict[str, dict[str, Any]]]:
    """Return the pins of each group by canonical name, for every platform, and what `uv.lock` knows of each package."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    with TemporaryDirectory() as folder:
        Path(folder, "pyproject.toml").write_text(project(groups, kept, python))
        command = [uv, "--quiet", "--directory", folder]
        subprocess.run([*command, "lock", "--fork-strategy", "fewest"], check=True)
        packages = tomllib.loads(Path(folder, "uv.lock").read_text())["package"]
        plain = ["--frozen", "--no-hashes", "--no-annotate", "--no-header", "--no-emit-project"]
        found = {
            name: subprocess.run(
                [*command, "export", *plain, "--extra", name], check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            for name in groups
        }
    return (
        {name: {one.name: one for one in map(Requirement, pins(text))} for name, text in found.items()},
        {package["name"]: package for package in packages},
    )


def is_cuda(name: str) -> bool:
    """Tell whether a package comes with torch's build for CUDA alone."""
    return name.startswith(CUDA)


def marker(pin: Requirement) -> str:
    """Return where a pin holds; nothing where it holds on every target."""
    text = str(pin.marker or "")
    return "" if all(target.needs(text) for target in TARGETS) else text


def somewhere(pin: Requirement) -> bool:
    """Tell whether any target needs a pin."""
    return any(target.needs(marker(pin)) for target in TARGETS)


def hashed(pin: Requirement, package: Mapping[str, Any]) -> str:
    """Return a pin with its marker and the hashes of its source and of the wheels that serve a target."""
    files = [wheel for wheel in package.get("wheels", []) if serves(tags_of(wheel["url"]))]
    hashes = sorted({file["hash"] for file in [*files, package.get("sdist")] if file})
    where = f" ; {marker(pin)}" if marker(pin) else ""
    return " \\\n".join([f"{pin.name}{pin.specifier}{where}", *(f"    --hash={each}" for each in hashes)]) + "\n"


def row(pin: Requirement, package: Mapping[str, Any], extras: Mapping[str, Pins]) -> dict[str, str]:
    """Return the row of a package in the table of wheels."""
    needed_by = [name for name in sorted(extras) if pin.name in extras[name]]
    found = {tags_of(wheel["url"]) for wheel in package.get("wheels", [])}
    return {
        "package": pin.name,
        "version": package["version"],
        "needed_by": "base" if "base" in needed_by else " ".join(needed_by),
        "marker": marker(pin),
        "tags": " ".join(sorted(filter(serves, found))),
    }


def write_locks() -> None:
    """Write all locks, the conda environment and the table of wheels."""
    locks, extras, python = asked()
    files = {name: FOLDER / f"{name}.lock" for name in LOCKS}
    kept = [pin for file in files.values() if file.exists() for pin in pins(file.read_text())]
    kept += pinned_elsewhere()
    groups = {**{f"lock-{name}": texts for name, texts in locks.items()}, **extras}
    found, packages = resolve(groups, kept, python)
    before: set[str] = set()
    for name, file in files.items():
        here = TARGETS[0]
        needed = {
            one.name: f"{one.name}{one.specifier}\n"
            for one in found[f"lock-{name}"].values()
            if not is_cuda(one.name) and here.needs(marker(one))
        }
        head = f"# Pinned versions, {LOCKS[name]} on Python {python} or newer; written by `make locks`.\n"
        file.write_text(head + "".join(needed[one] for one in sorted(needed.keys() - before)))
        before |= needed.keys()
    for name, purpose in HASHED.items():
        pinned = [one for one in found["lock-avpretext"].values() if is_cuda(one.name) == (name == "hashed-cuda")]
        head = f"# Pinned versions with hashes: {purpose}; written by `make locks`; docs/start.md uses it.\n"
        (FOLDER / f"{name}.lock").write_text(
            head + "".join(hashed(one, packages[one.name]) for one in pinned if somewhere(one))
        )
    named = {name: found[name] for name in extras}
    everything = {one.name: one for pinned in named.values() for one in pinned.values() if not is_cuda(one.name)}
    rows = [row(everything[name], packages[name], named) for name in sorted(everything) if somewhere(everything[name])]
    write_table(one for one in rows if "-none-any" not in one["tags"])
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
