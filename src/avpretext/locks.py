"""Locks of the operating system on open files: they end with the process that holds them, however that ends."""

import fcntl
import os
import socket
from typing import IO

PathLike = str | os.PathLike[str]


def hold(file: IO[bytes], *, shared: bool = False, wait: bool = False) -> bool | None:
    """Lock an open file until it is closed; it is open for reading and writing.

    `shared`: others may hold it too, if they share it. `wait`: until the others have closed it.

    Returns
    -------
    True: it is held. False: another process holds it. None: the file system has no locks.
    """
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        fcntl.flock(file, kind)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_held(path: PathLike) -> bool | None:
    """Tell whether a process holds a file; None where the file system has no locks, False for a missing file."""
    try:
        with open(path, "rb") as file:
            held = hold(file, shared=True)
    except OSError:
        return False
    return None if held is None else not held


def host() -> str:
    """Return the name of this machine, fit for a file name."""
    return "".join(letter if letter.isalnum() or letter in "._" else "_" for letter in socket.gethostname())


def is_alive(pid: int) -> bool:
    """Tell whether this machine has a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True
