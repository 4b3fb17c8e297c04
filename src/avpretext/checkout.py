"""The checkout that this package runs from: workflow, environments and profiles lie beside the source."""

import importlib.util
from pathlib import Path
from types import ModuleType

from avpretext.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def part(name: str, root: Path = ROOT) -> Path:
    """Return a file or folder of the checkout; it is an error if the package was installed without its checkout."""
    path = root / name
    if not path.exists():
        raise UserError(
            f"{path}: not there; avpretext runs from a checkout of its repository: clone it and run `make environment`"
        )
    return path


def make(target: str, root: Path = ROOT) -> str:
    """Return the command that makes a target of the Makefile, from wherever one is.

    >>> make("environment", Path.cwd()), make("environment", Path("/opt/avpretext"))
    ('make environment', 'make -C /opt/avpretext environment')
    """
    return f"make {target}" if Path.cwd() == root else f"make -C {root} {target}"


def system_libraries(root: Path = ROOT) -> ModuleType:
    """Return `envs/system_libraries.py`, which knows what MediaPipe needs and also runs before the package is there."""
    file = part("envs/system_libraries.py", root)
    found = importlib.util.spec_from_file_location("system_libraries", file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
