"""Write the pinned lock from the packages that are installed, and the conda environment from the lock.

`python envs/lock.py` after a deliberate change of versions; `python envs/lock.py --yaml` prints the YAML for the lock
as it is, which a test compares with `envs/avpretext.yaml`.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
LOCK, YAML = FOLDER / "avpretext.lock", FOLDER / "avpretext.yaml"
HEADER = "# Pinned versions; written by `python envs/lock.py`, installed by the Makefile.\n"
NOT_OURS = ("pip==", "wheel==", "avpretext==")


def freeze() -> list[str]:
    """Return what is installed as pins, without local labels such as +cpu: PyPI knows the plain version."""
    command = [sys.executable, "-m", "pip", "freeze", "--all", "--exclude-editable"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(
        (line.split("+")[0] for line in lines if "==" in line and not line.startswith(NOT_OURS)), key=str.lower
    )


def pins(lock: str) -> list[str]:
    """Return the pins of a lock."""
    return [line for line in lock.splitlines() if line and not line.startswith("#")]


def environment(lock: str) -> str:
    """Return the conda environment that installs a lock."""
    head = "# What rules install under `--sdm conda`; written by `python envs/lock.py` from avpretext.lock.\n"
    packages = "".join(f"      - {pin}\n" for pin in pins(lock))
    return f"{head}channels:\n  - conda-forge\ndependencies:\n  - python=3.11\n  - pip\n  - pip:\n{packages}"


if __name__ == "__main__":
    if "--yaml" in sys.argv:
        print(environment(LOCK.read_text()), end="")
    else:
        LOCK.write_text(HEADER + "".join(f"{pin}\n" for pin in freeze()))
        YAML.write_text(environment(LOCK.read_text()))
