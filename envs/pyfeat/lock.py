"""Write the pinned lock of py-feat's environment from what is installed in it, and the conda environment from the lock.

`.venv-pyfeat/bin/python envs/pyfeat/lock.py` after a deliberate change of versions, on Linux, where torch comes with
CUDA; `python envs/pyfeat/lock.py --yaml` prints the YAML for the lock as it is, which a test compares with
`pyfeat.yaml`.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
LOCK, YAML = FOLDER / "pyfeat.lock", FOLDER / "pyfeat.yaml"
HEADER = "# Pinned versions; written by `python envs/pyfeat/lock.py`, installed by `make pyfeat`.\n"
NOT_OURS = ("pip==", "wheel==", "avpretext==")
LINUX_ONLY = ("nvidia-", "cuda-", "triton")
"""What torch and xgboost bring for CUDA; there are no such packages for macOS."""


def freeze() -> list[str]:
    """Return what is installed as pins, without local labels such as +cu130: PyPI knows the plain version."""
    command = [sys.executable, "-m", "pip", "freeze", "--all", "--exclude-editable"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    kept = [line.split("+")[0] for line in lines if "==" in line and not line.startswith(NOT_OURS)]
    return sorted((pin(line) for line in kept), key=str.lower)


def pin(line: str) -> str:
    """Return a pin, for Linux alone where it is for CUDA."""
    return f'{line}; sys_platform == "linux"' if line.startswith(LINUX_ONLY) else line


def environment(lock: str) -> str:
    """Return the conda environment that installs a lock."""
    head = "# py-feat's environment for conda; written by `python envs/pyfeat/lock.py` from pyfeat.lock.\n"
    pins = [line for line in lock.splitlines() if line and not line.startswith("#")]
    packages = "".join(f"      - {one if ';' not in one else repr(one)}\n" for one in pins)
    return f"{head}channels:\n  - conda-forge\ndependencies:\n  - python=3.11\n  - pip\n  - pip:\n{packages}"


if __name__ == "__main__":
    if "--yaml" in sys.argv:
        print(environment(LOCK.read_text()), end="")
    else:
        LOCK.write_text(HEADER + "".join(f"{one}\n" for one in freeze()))
        YAML.write_text(environment(LOCK.read_text()))
