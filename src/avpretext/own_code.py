"""Code of the user's own, named in the configuration as `my_package.module:NAME`."""

import importlib
import os
import re
import sys
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
    """Import the object that `my_package.module:NAME` names.

    Parameters
    ----------
    name
        Module and name.
    option
        The option that holds it, for the error.
    current_folder
        True: the module may also lie in the current folder.

    Raises
    ------
    UserError
        There is no such module, it fails to import, or it has no such name.

    >>> resolve("math:pi", "an.option")
    3.141592653589793
    """
    module, _, attribute = name.partition(":")
    if current_folder and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    where = "the current folder, " if current_folder else ""
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = "" if module == error.name or module.startswith(f"{error.name}.") else f", which {module} imports"
        raise UserError(
            f"{option} = {name!r}: there is no module {error.name!r}{missing}; expected one in {where}PYTHONPATH or the"
            " installed packages: install it, or correct the name"
        ) from None
    except ImportError as error:
        raise UserError(f"{option} = {name!r}: {module} cannot be imported ({error}); mend the module") from None
    if not hasattr(found, attribute):
        raise UserError(f"{option} = {name!r}: {module} has no {attribute!r}{nearest(attribute, vars(found))}")
    return getattr(found, attribute)
