"""Code of the user's own, named in the configuration as `my_package.module:NAME`."""

import hashlib
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

from avpretext.errors import UserError, nearest

FORM = "my_package.module:NAME"
PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"


def is_own(name: str) -> bool:
    """Return whether a name has the form `my_package.module:NAME`.

    >>> is_own("my_package.module:NAME"), is_own("blstm")
    (True, False)
    """
    return re.match(PATTERN, name) is not None


def resolve(name: str, option: str, current_folder: bool = True) -> Any:
    """Import the object that `my_package.module:NAME` names, from the `current_folder` too.

    It is an error, which names the `option`, if there is no such module or name, or if the import fails.

    >>> resolve("math:pi", "an.option")
    3.141592653589793
    """
    module, _, attribute = name.partition(":")
    if current_folder:
        _look_in_current_folder()
    where = "the current folder, " if current_folder else ""
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = "" if module == error.name or module.startswith(f"{error.name}.") else f", which {module} imports"
        raise UserError(
            f"{option} = {name!r}: there is no module {error.name!r}{missing}; expected one in {where}PYTHONPATH or the"
            " installed packages: install it, or correct the name"
        ) from None
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise UserError(f"{option} = {name!r}: {module} cannot be imported ({what}); mend the module") from None
    if not hasattr(found, attribute):
        raise UserError(f"{option} = {name!r}: {module} has no {attribute!r}{nearest(attribute, vars(found))}")
    return getattr(found, attribute)


def digest(name: str) -> str:
    """Return a hash of own code: of its module, or of all modules of its outermost package.

    Empty for a name of ours, and where there is no such module.

    >>> digest("blstm"), digest("no_such_module:NAME"), len(digest("json.decoder:JSONDecoder"))
    ('', '', 32)
    """
    if not is_own(name):
        return ""
    _look_in_current_folder()
    spec = importlib.util.find_spec(name.partition(":")[0].partition(".")[0])
    if spec is None:
        return ""
    folders = map(Path, spec.submodule_search_locations or [])
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))] or [Path(spec.origin or "")]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files if file.is_file())).hexdigest()[:32]


def _look_in_current_folder() -> None:
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
