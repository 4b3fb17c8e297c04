"""How the programs of this environment are called, so that a printed command runs as printed."""

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

SHELLS_PATH = "AVPRETEXT_SHELLS_PATH"
"""Environment variable of a job: the `PATH` before the workflow put this environment in front of it."""


def command(text: str, folder: Path | None = None) -> str:
    """Return a command line that runs from a folder, also where no environment is activated.

    Its first word is a program of this environment: it stays where `PATH` finds that very program. Else it becomes the
    path of that program, relative to the folder if that is shorter, or, without it, `python -m NAME`.

    Parameters
    ----------
    text
        The command line, e.g. `avpretext doctor`.
    folder
        Where it will be run; None: where the user's shell is.
    """
    name, space, arguments = text.partition(" ")
    return f"{_program(name, folder or _shells_folder())}{space}{arguments}"


def workflow(target: str = "") -> str:
    """Return the command that runs the workflow up to a target, on all cores.

    >>> workflow("orofacial").partition("snakemake ")[2]
    '--cores all orofacial'
    """
    return command(f"snakemake --cores all {target}".rstrip())


def installed(name: str) -> Path | None:
    """Return a program of this environment: beside its Python, or where pip puts programs (`/usr/local/bin`)."""
    places = Path(sys.executable).with_name(name), Path(sysconfig.get_path("scripts"), name)
    return next(filter(Path.is_file, places), None)


def _program(name: str, folder: Path | None) -> str:
    own = installed(name)
    if own is None:
        return f"{_written(Path(sys.executable), folder)} -m {name}"
    found = shutil.which(name, path=os.environ.get(SHELLS_PATH))
    if found is not None and os.path.isabs(found) and Path(found).resolve() == own.resolve():
        return name
    return _written(own, folder)


def _written(file: Path, folder: Path | None) -> str:
    """Return the path of a program, quoted for a shell: relative to the folder if that is shorter.

    >>> _written(Path("/home/ann/x/.venv/bin/python"), Path("/home/ann/x"))
    '.venv/bin/python'
    >>> _written(Path("/opt/my env/bin/python"), Path("/home/ann/x"))
    "'/opt/my env/bin/python'"
    """
    if folder is None:
        return shlex.quote(str(file))
    relative = os.path.relpath(file, os.path.realpath(folder))
    relative = relative if os.sep in relative else os.path.join(os.curdir, relative)
    return shlex.quote(min(relative, str(file), key=len))


def _shells_folder() -> Path | None:
    """Return the folder of the user's shell; None where this process was started in, or went to, another."""
    shells, here = os.environ.get("PWD"), Path.cwd()
    is_job = SHELLS_PATH in os.environ
    return here if shells and not is_job and os.path.realpath(shells) == str(here) else None
