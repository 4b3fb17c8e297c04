"""Check for the system libraries that MediaPipe needs and no Python package brings.

Runs before anything is installed, so it uses the standard library alone. As root on Debian or Ubuntu it installs what
is missing; elsewhere it names the command and stops.
"""

import ctypes
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


def missing() -> list[str]:
    """Return the libraries that the loader does not find."""
    absent = []
    for library in PACKAGE_OF:
        try:
            ctypes.CDLL(library)
        except OSError:
            absent.append(library)
    return absent


def main() -> int:
    """Return 0 when every library is there, perhaps after installing it."""
    if sys.version_info < (3, 11):  # noqa: UP036 (runs before the package's own check)
        print(f"avpretext needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: make PYTHON=python3.12")
        return 1
    absent = missing()
    if not absent or not sys.platform.startswith("linux"):
        return 0
    packages = [PACKAGE_OF[library] for library in absent]
    if shutil.which("apt-get") and os.geteuid() == 0:
        print(f"Installing the system libraries that MediaPipe needs: {' '.join(packages)}", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "-qq", *command], env=environment, stdout=subprocess.DEVNULL, check=False)
        absent = missing()
    if absent:
        print(f"MediaPipe needs system libraries that are missing: {', '.join(absent)}.")
        print(f"On Debian and Ubuntu:  sudo apt-get install {' '.join(PACKAGE_OF[library] for library in absent)}")
        print("On Fedora:             sudo dnf install mesa-libEGL mesa-libGLES mesa-libGL glib2")
    return 1 if absent else 0


if __name__ == "__main__":
    sys.exit(main())
