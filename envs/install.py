"""Run `pip install` and show how far it is: on a terminal in one line that moves, in a log in two lines.

    python3 envs/install.py PYTHON ARGUMENT ...    PYTHON: that of the environment; ARGUMENT: of `pip install`

Uses the standard library alone. If pip fails, its last lines are printed, and the exit status is pip's.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

FETCHED = re.compile(
    r"\s*(Downloading|Using cached|Processing) \S*?([^/\s]+?)-[^/\s]*?(?:\.whl|\.tar\.gz|\.zip)(?: .*)?$"
)
SIZE = re.compile(r"\((\d+(?:\.\d+)?) ([kMG]?B)\)$")
UNITS = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
LAST_LINES = 20


class Progress:
    """How far pip is, from the lines that it prints.

    Attributes
    ----------
    name
        Package that pip fetches or builds.
    files
        Packages fetched so far, the one at `name` with them.
    downloaded_mb
        Megabytes of them that came over the network.
    is_installing
        All are fetched.
    """

    def __init__(self) -> None:
        self.name, self.files, self.downloaded_mb, self.is_installing = "", 0, 0.0, False

    def read(self, line: str) -> None:
        """Take in a line of pip's output."""
        if found := FETCHED.match(line):
            self.name, self.files = found[2], self.files + 1
            if found[1] == "Downloading" and (size := SIZE.search(line)):
                self.downloaded_mb += float(size[1]) * UNITS[size[2]]
        elif line.startswith("Installing collected packages"):
            self.is_installing = True

    def fetched(self) -> str:
        """Return what is fetched in words."""
        return f"{self.files} packages fetched, {self.downloaded_mb:.0f} MB of them downloaded"


def installed(python: Path) -> int:
    """Return how many packages an environment has."""
    folders = python.absolute().parents[1].glob("lib/python*/site-packages")
    return sum(name.endswith(".dist-info") for folder in folders for name in os.listdir(folder))


def duration(seconds: float) -> str:
    """Return a duration in minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def show(progress: Progress, python: Path, done: threading.Event) -> None:
    """Print how far pip is: one line over and over on a terminal, one line a phase elsewhere."""
    start, before, is_told = time.monotonic(), installed(python), False
    while not done.wait(1.0):
        passed = duration(time.monotonic() - start)
        if progress.is_installing:
            text = f"{progress.fetched()}; {installed(python) - before} installed"
        else:
            text = f"{progress.fetched()}; at {progress.name}" if progress.files else "looking for the packages"
        if sys.stdout.isatty():
            print(f"\r\033[K{passed}  {text}"[:100], end="", flush=True)
        elif progress.is_installing and not is_told:
            is_told = True
            print(f"{passed}  {progress.fetched()}; installing", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)


def install(python: Path, arguments: Iterable[str]) -> int:
    """Run pip; return its exit status."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off", *arguments]
    progress, done, last = Progress(), threading.Event(), deque[str](maxlen=LAST_LINES)
    start, before = time.monotonic(), installed(python)
    shown = threading.Thread(target=show, args=(progress, python, done))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None
        shown.start()
        try:
            for line in pip.stdout:
                last.append(line)
                progress.read(line)
        finally:  # also where the user interrupts
            done.set()
            shown.join()
    if pip.returncode:
        print("".join(line for line in last if not line.startswith("WARNING: Location")), end="", file=sys.stderr)
    else:
        print(f"{duration(time.monotonic() - start)}  {installed(python) - before} packages installed")
    return pip.returncode


if __name__ == "__main__":
    sys.exit(install(Path(sys.argv[1]), sys.argv[2:]))
