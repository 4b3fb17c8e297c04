"""Where the workflow, its profiles and its environments are: in a checkout, or inside an installed package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from avpretext.errors import UserError

_SHIPPED = Path(__file__).with_name("shipped")
IS_CHECKOUT = not _SHIPPED.is_dir()
ROOT = Path(__file__).resolve().parents[2] if IS_CHECKOUT else _SHIPPED
"""The folder that has `workflow/` and `envs/`: the checkout, where the package runs from one."""

OF_A_CHECKOUT = {"workflow", "report", "encoders", "hub", "audformat"}
"""Extras that `make environment` installs."""

PIP = f"{sys.executable} -m pip install"


def part(name: str, root: Path = ROOT) -> Path:
    """Return a file or folder of the workflow; it is an error if it is not there."""
    path = root / name
    if not path.exists():
        raise UserError(
            f"{path}: not there; install avpretext from a wheel (`pip install 'avpretext[workflow]'`), or clone its"
            " repository and run `make environment`"
        )
    return path


def make(target: str, root: Path = ROOT) -> str:
    """Return the command that makes a target of the Makefile, from wherever one is.

    >>> make("pyfeat", Path.cwd()), make("pyfeat", Path("/opt/avpretext"))
    ('make pyfeat', 'make -C /opt/avpretext pyfeat')
    """
    return f"make {target}" if Path.cwd() == root else f"make -C {root} {target}"


def install(extra: str = "workflow", is_checkout: bool = IS_CHECKOUT) -> str:
    """Return the command that installs the packages of an extra.

    >>> install("report", is_checkout=False).partition(" -m ")[2]
    "pip install 'avpretext[report]'"
    """
    if not is_checkout:
        return f"{PIP} 'avpretext[{extra}]'"
    if extra in OF_A_CHECKOUT:
        return make("environment")
    envs = ROOT / "envs"
    if (lock := envs / f"{extra}.lock").is_file():
        return f"{PIP} -r {lock}"
    return f"{PIP} -c {envs / 'avpretext.lock'} -e '{ROOT}[{extra}]'"


def system_libraries(root: Path = ROOT) -> ModuleType:
    """Return `envs/system_libraries.py`, which knows what MediaPipe needs and also runs before the package is there."""
    file = part("envs/system_libraries.py", root)
    found = importlib.util.spec_from_file_location("system_libraries", file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
