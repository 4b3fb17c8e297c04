"""Where the pinned packages have wheels: `wheels.csv`, which `envs/lock.py` writes, against the tags of each platform.

A row of the table is a package without a wheel that fits every platform and Python: its version, the extras that
need it (`base`: what every installation has), where it is needed, and the tags of its wheels that serve a target.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from packaging import tags
from packaging.markers import Marker

TABLE = Path(__file__).with_name("wheels.csv")
COLUMNS = ("package", "version", "needed_by", "marker", "tags")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")

GLIBC, MACOS = 36, 15
"""What the wheels are looked for on: glibc 2.36 is that of Debian 12."""


@dataclass(frozen=True)
class Target:
    """A CPython on a platform.

    Attributes
    ----------
    system, machine
        As `platform.system` and `platform.machine` return them.
    python
        Its version, such as `3.11`.
    """

    system: str
    machine: str
    python: str

    @cached_property
    def environment(self) -> dict[str, str]:
        """What the markers of requirements are evaluated on."""
        return {
            "implementation_name": "cpython",
            "os_name": "nt" if self.system == "Windows" else "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": self.system,
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}[self.system],
        }

    @cached_property
    def tags(self) -> frozenset[tags.Tag]:
        """The tags of the wheels that pip takes there."""
        version = (3, int(self.python.split(".")[1]))
        if self.system == "Windows":
            platforms = [f"win_{self.machine.lower()}"]
        elif self.system == "Darwin":
            platforms = list(tags.mac_platforms((MACOS, 0), self.machine))
        else:
            names = [f"2_{minor}" for minor in range(GLIBC, 4, -1)]
            platforms = [
                f"manylinux{name}_{self.machine}" for name in (*(f"_{name}" for name in names), "2014", "2010", "1")
            ]
        interpreter = f"cp{version[0]}{version[1]}"
        return frozenset(
            {*tags.cpython_tags(version, platforms=platforms), *tags.compatible_tags(version, interpreter, platforms)}
        )

    def needs(self, marker: str) -> bool:
        """Tell whether a marker holds here."""
        return not marker or Marker(marker).evaluate(self.environment)

    def takes(self, wheel_tags: str) -> bool:
        """Tell whether pip takes a wheel with these tags here, such as `cp311-cp311-manylinux_2_28_x86_64`."""
        return not self.tags.isdisjoint(tags.parse_tag(wheel_tags))


PLATFORMS = {
    "Linux x86_64": ("Linux", "x86_64"),
    "Linux aarch64": ("Linux", "aarch64"),
    "macOS arm64": ("Darwin", "arm64"),
    "macOS x86_64": ("Darwin", "x86_64"),
    "Windows AMD64": ("Windows", "AMD64"),
}
TARGETS = [Target(*platform, python) for platform in PLATFORMS.values() for python in PYTHONS]


def tags_of(filename: str) -> str:
    """Return the tags in the name of a wheel.

    >>> tags_of("av-18.1.0-cp311-abi3-manylinux_2_28_x86_64.whl")
    'cp311-abi3-manylinux_2_28_x86_64'
    """
    return "-".join(filename.removesuffix(".whl").rsplit("-", 3)[1:])


def serves(wheel_tags: str) -> bool:
    """Tell whether any target takes a wheel."""
    return any(target.takes(wheel_tags) for target in TARGETS)


def read_table(path: Path = TABLE) -> list[dict[str, str]]:
    """Return the rows of the table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_table(rows: Iterable[Mapping[str, str]], path: Path = TABLE) -> None:
    """Write the table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def lacking(target: Target, rows: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the packages that a target needs and has no wheel for, each with the extras that need it."""
    return {
        row["package"]: row["needed_by"].split()
        for row in rows
        if target.needs(row["marker"]) and not any(target.takes(each) for each in row["tags"].split())
    }


OLDER_NAMES = {"manylinux2014": 17, "manylinux2010": 12, "manylinux1": 5}
"""Names of manylinux that do not have the minor version of glibc in them."""


def system_version(tag: tags.Tag) -> int:
    """Return the oldest system of a wheel: the minor version of glibc, or the version of macOS; 0: any."""
    word, *version = tag.platform.split("_")
    if word in OLDER_NAMES:
        return OLDER_NAMES[word]
    return int(version[{"manylinux": 1, "macosx": 0}[word]]) if word in ("manylinux", "macosx") else 0


def oldest_system(target: Target, rows: Iterable[Mapping[str, str]]) -> int:
    """Return the oldest system on which each package with a wheel has one, as `system_version` does."""
    found = [
        [system_version(tag) for each in row["tags"].split() for tag in tags.parse_tag(each) if tag in target.tags]
        for row in rows
        if target.needs(row["marker"])
    ]
    return max(min(versions) for versions in found if versions)
