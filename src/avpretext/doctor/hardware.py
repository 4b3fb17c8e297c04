"""Checks of the machine: what is installed, how much room, memory and how many cores there are."""

import ctypes
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from avpretext import checkout
from avpretext.doctor.verdict import Check
from avpretext.errors import UserError
from avpretext.programs import command, installed

PACKAGES = (
    "snakemake", "mediapipe", "opensmile", "torch", "scikit-learn", "polars", "pyarrow", "numpy", "pydantic",
    "opencv-contrib-python", "imageio-ffmpeg", "matplotlib", "safetensors",
)  # fmt: skip
"""Packages whose version is told, and held against the lock."""

LEAST_GB, ENOUGH_GB = 0.5, 5.0
"""Free space at the results: below the first nothing can be done, the demo takes a fifth of a GB."""

JOB_GB = 0.8
"""What a stage before training needs (docs/limits.md)."""

GB = 1e9
_ASK_TORCH = "import torch; print(torch.cuda.is_available() and torch.cuda.get_device_name(0))"
_TORCH_LIMIT_S = 60.0


def python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    """Look at Python."""
    words = ".".join(map(str, version))
    if version < (3, 11):
        fix = f"{checkout.install()} PYTHON=python3.11" if checkout.IS_CHECKOUT else "install Python 3.11 or newer"
        return Check("Python", "missing", f"{words}; 3.11 or newer is needed", fix)
    return Check("Python", "ok", f"{words}, {sys.executable}")


def packages(version_of: Callable[[str], str] = importlib.metadata.version) -> Check:
    """Look at the main packages, and hold their versions against the lock."""
    lock = checkout.ROOT / "envs" / "avpretext.lock"
    lines = lock.read_text("utf-8").splitlines() if lock.is_file() else []
    pins = dict(line.split("==") for line in lines if "==" in line)
    found, lost, other = [], [], []
    for name in PACKAGES:
        try:
            version = version_of(name)
        except importlib.metadata.PackageNotFoundError:
            lost.append(name)
            continue
        found.append(f"{name} {version}")
        if pins.get(name, version) != version.partition("+")[0]:
            other.append(f"{name} {version} (pinned: {pins[name]})")
    if lost:
        return Check("packages", "missing", f"not installed: {', '.join(lost)}", checkout.install())
    if other:
        return Check("packages", "warning", f"other than tested: {', '.join(other)}", f"{checkout.PIP} -r {lock}")
    return Check("packages", "ok", ", ".join(found))


def system_libraries(root: Path = checkout.ROOT) -> Check:
    """Look at the libraries that MediaPipe loads and no wheel brings."""
    try:
        known = checkout.system_libraries(root)
    except UserError as error:
        return Check("system libraries", "warning", str(error), needed=False)
    absent = known.missing() if sys.platform.startswith("linux") else []
    if absent:
        packages = " ".join(known.PACKAGE_OF[library] for library in absent)
        return Check("system libraries", "missing", ", ".join(absent), f"sudo apt-get install {packages}")
    return Check("system libraries", "ok", ", ".join(known.PACKAGE_OF))


def workflow(root: Path = checkout.ROOT) -> Check:
    """Look at the workflow's files, the program `snakemake` and the plugin that shows progress."""
    program = installed("snakemake")
    snakefile = root / "workflow" / "Snakefile"
    if not snakefile.is_file():
        return Check("workflow", "missing", f"{snakefile} is not there", checkout.install())
    if importlib.util.find_spec("snakemake_logger_plugin_avpretext") is None or program is None:
        return Check("workflow", "missing", "no snakemake, or not its display of progress", checkout.install())
    return Check("workflow", "ok", f"{snakefile}, run by {program}")


def disk(folder: Path) -> Check:
    """Look at the space where results go, and whether they may be written."""
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Check("results", "missing", f"{place} cannot be written to", "set `results` to a folder of yours")
    free = shutil.disk_usage(place).free / GB
    words = f"{free:.1f} GB free at {place}; an hour of video leaves about 0.6"
    if free >= ENOUGH_GB:
        return Check("results", "ok", words)
    fix = "free some space, or set `results` to a folder on another disk"
    return Check("results", "missing" if free < LEAST_GB else "warning", words, fix)


def cores() -> int:
    """Return on how many cores this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gb(groups: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the memory of the machine, or of the container; None where it cannot be told."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB
    except (ValueError, OSError):
        return None
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = groups / name
        if limit.is_file() and limit.read_text().strip().isdigit():
            return min(total, int(limit.read_text()) / GB)
    return total


def power(count: int, memory: float | None) -> Check:
    """Look at cores and memory, both as told."""
    if memory is None:
        return Check("cores, memory", "ok", f"{count} cores", needed=False)
    words = f"{count} cores, {memory:.1f} GB"
    if memory < JOB_GB * count:
        few = max(1, int(memory / JOB_GB))
        return Check(
            "cores, memory", "warning", f"{words}; a job takes up to {JOB_GB}", command(f"snakemake --cores {few}")
        )
    return Check("cores, memory", "ok", words)


def gpu(wanted: list[str]) -> Check:
    """Look for a GPU that torch can use; `wanted` are the options that ask for a GPU and nothing else.

    Torch is asked only where there is a driver, for it takes seconds to load.
    """
    needed = bool(wanted)
    why = f"; asked for by {', '.join(wanted)}" if wanted else "; none is needed"
    if not _driver():
        fix = "; ".join(f"set {option}: cpu" for option in wanted)
        return Check("GPU", "missing", f"no CUDA driver{why}", fix, needed)
    answer = _ask_torch()
    if answer == "False":
        words = f"there is a driver, but this torch cannot use it{why}"
        return Check("GPU", "missing", words, "install a CUDA build of torch" if needed else "", needed)
    return Check("GPU", "ok", answer, needed=needed)


def _driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _ask_torch() -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, check=False, timeout=_TORCH_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return "False"
    return done.stdout.strip() or "False"


def slurm() -> Check:
    """Look for Slurm; a workstation does without."""
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return Check("Slurm", "missing", "Snakemake's plugin for it is not installed", checkout.install(), needed=False)
    program = shutil.which("sbatch")
    if program is None:
        return Check("Slurm", "missing", "no sbatch: jobs run on this machine", needed=False)
    return Check("Slurm", "ok", program, needed=False)


def voices(needed: bool) -> Check:
    """Look for the voices that the demo speaks with."""
    if importlib.util.find_spec("espeakng_loader") is None:
        return Check("demo voices", "missing", "espeakng-loader is not installed", checkout.install(), needed=needed)
    import espeakng_loader

    data, library = Path(espeakng_loader.get_data_path()), Path(espeakng_loader.get_library_path())
    count = len(list((data / "lang").rglob("en*"))) if data.is_dir() else 0
    if not library.is_file() or not count:
        fix = f"{checkout.PIP} --force-reinstall --no-deps espeakng-loader"
        return Check("demo voices", "missing", f"no espeak-ng voices in {data}", fix, needed)
    return Check("demo voices", "ok", f"espeak-ng, {count} English voices", needed=needed)
