"""Check for what no Python package brings: the system libraries that MediaPipe needs, and what makes `.venv`.

Runs before anything is installed, so it uses the standard library alone. As root on Debian or Ubuntu it installs what
is missing, and asks before if somebody is at the terminal; elsewhere it names the command and stops.

With `--venv` it also looks for what makes `.venv`. With `--browser` it installs Chromium and its driver, for the tests
of the pages, where it may; these tests skip where there is none, so it never fails for want of it.
"""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys

PACKAGE_OF = {
    "libEGL.so.1": "libegl1",
    "libGLESv2.so.2": "libgles2",
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
}

BROWSER = {"chromium": "chromium", "chromedriver": "chromium-driver"}
"""Programs that the tests of the pages run, and the packages that bring them."""


def missing() -> list[str]:
    """Return the libraries that the loader does not find."""
    absent = []
    for library in PACKAGE_OF:
        try:
            ctypes.CDLL(library)
        except OSError:
            absent.append(library)
    return absent


def packages(venv: bool) -> dict[str, str]:
    """Return {what is missing: the package of Debian that brings it}, also to make `.venv` if so asked."""
    absent = {library: PACKAGE_OF[library] for library in missing()}
    if venv and importlib.util.find_spec("ensurepip") is None:  # Debian has it apart
        absent["Python's module ensurepip"] = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    return absent


def agreed() -> bool:
    """Ask whether to install; where nobody can answer, as in a container, it is done."""
    if not sys.stdin.isatty():
        return True
    try:
        return input("Install now? [Y/n] ").strip().lower() in ("", "y", "yes")
    except EOFError:
        return False


def may_install() -> bool:
    """Tell whether this is root on Debian or Ubuntu."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install(packages: list[str]) -> None:
    """Install packages of the distribution; what goes wrong shows in what is still missing."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", "-qq", *command], env=environment, stdout=subprocess.DEVNULL, check=False)


def add_browser() -> int:
    """Install what `BROWSER` lacks where that is possible; return 0 in any case."""
    packages = [package for program, package in BROWSER.items() if shutil.which(program) is None]
    if packages and may_install():
        print(f"Installing the browser that the tests of the pages drive: {' '.join(packages)}", flush=True)
        install(packages)
    absent = [program for program in BROWSER if shutil.which(program) is None]
    if absent:
        print(f"No {' and no '.join(absent)}: the tests of the pages will skip.")
    return 0


def main(venv: bool) -> int:
    """Return 0 when all is there, perhaps after installing it."""
    if sys.version_info < (3, 11):  # noqa: UP036 (runs before the package's own check)
        print(f"avpretext needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: make PYTHON=python3.12")
        return 1
    absent = packages(venv) if sys.platform.startswith("linux") else {}
    if not absent:
        return 0
    print(f"Missing on this machine: {', '.join(absent)}.")
    print(f"On Debian and Ubuntu:  sudo apt-get install {' '.join(absent.values())}", flush=True)
    if may_install() and agreed():
        install(list(absent.values()))
        importlib.invalidate_caches()
        still = packages(venv)
        print(f"Still missing: {', '.join(still)}." if still else "Installed.")
        return 1 if still else 0
    print("On Fedora:             sudo dnf install mesa-libEGL mesa-libGLES mesa-libGL glib2")
    return 1


if __name__ == "__main__":
    sys.exit(add_browser() if "--browser" in sys.argv[1:] else main("--venv" in sys.argv[1:]))
