"""Arrays on disk, mapped into memory: what training reads, however many clips there are.

Each lies in a file that loses its name as soon as it is mapped: this process has it, and those forked from it. So
nothing else can change or shorten it, and it is gone with the last of them, however they end.
"""

import ctypes
import functools
import math
import mmap
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from avpretext import escapes, locks, shards
from avpretext.errors import MachineFault
from avpretext.progress import progress

SCRATCH = "AVPRETEXT_SCRATCH"
"""Environment variable: a folder for the arrays of all jobs, such as the local disk of a node."""

_folder = [Path(tempfile.gettempdir())]


@contextmanager
def lying_in(folder: Path) -> Iterator[None]:
    """Let the arrays that are made meanwhile lie in a folder, unless `SCRATCH` names another one for all.

    Where the disk fails under them, the process ends with one line: the system has no other way to tell of it than to
    end the process by the signal SIGBUS.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _folder.append(Path(os.environ.get(SCRATCH, folder)))
    before = _on_lost_page(ctypes.cast(_END, ctypes.c_void_p))
    try:
        yield
    finally:
        _on_lost_page(before)
        _folder.pop()


def lost_page() -> MachineFault:
    """Return the error for a page of a mapped file that cannot be read or written."""
    folder = _folder[-1]
    cause = "a file that training has mapped into memory cannot be read or written (signal SIGBUS)"
    return MachineFault(folder, f"{cause}; if it is the disk of this folder, {SCRATCH} names a folder on another one")


def _end(_: int) -> None:
    os.write(2, f"avpretext: error: {escapes.line(str(lost_page()))}\n".encode())
    os._exit(1)


_END = ctypes.CFUNCTYPE(None, ctypes.c_int)(_end)


def _on_lost_page(handler: Any) -> Any:
    """Set the handler of SIGBUS, and return the one before.

    Handlers of Python's module `signal` run after the instruction that was interrupted, which here never succeeds.
    """
    if sys.platform != "linux":
        return None
    handle = ctypes.CDLL(None).signal
    handle.argtypes, handle.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    return handle(signal.SIGBUS, handler)


def empty(shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array of zeros on disk, where its whole space is taken at once.

    Raises
    ------
    UserError
        There is not so much space.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if not size:
        return np.empty(shape, dtype)
    with _file(f"{size / 1e6:.0f} MB of arrays") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return _mapped(file).view(dtype).reshape(shape)


@contextmanager
def _file(content: str) -> Iterator[Any]:
    """Give a file that has a name until it is closed, by which the next run finds it if this is killed before."""
    folder, (prefix, suffix) = _folder[-1], shards.TEMPORARY
    with (
        shards.explained(f"{content} in {folder} ({SCRATCH} names another folder)"),
        tempfile.NamedTemporaryFile(dir=folder, prefix=f"{prefix}{locks.host()}-{os.getpid()}-", suffix=suffix) as file,
    ):
        yield file


def _mapped(file: Any) -> NDArray[np.uint8]:
    """Return the bytes of a file. Python's own mapping would hold it open, and open files are few."""
    file.flush()
    found: NDArray[np.uint8] = torch.from_file(
        file.name, True, os.fstat(file.fileno()).st_size, dtype=torch.uint8
    ).numpy()
    return found


def empty_tensor(shape: Sequence[int], dtype: DTypeLike) -> Tensor:
    """Return the same as a tensor."""
    return torch.from_numpy(empty(shape, dtype))


def joined(parts: Sequence[NDArray[Any]], axis: int = 0) -> NDArray[Any]:
    """Return the parts end to end on disk; one alone as it is."""
    if len(parts) == 1:
        return parts[0]
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    return np.concatenate(parts, axis, out=empty(shape, parts[0].dtype))


def filled(count: int, parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """Return parts that come one after another, `count` rows in all, end to end on disk."""
    place, found = 0, None
    for part in progress(parts, total=count, unit="rows", label="training data", size=len, quiet=True):
        if found is None:
            found = empty((count, *part.shape[1:]), part.dtype)
        found[place : place + len(part)] = part
        place += len(part)
    assert found is not None
    return found


def taken(stored: Tensor, rows: NDArray[np.int64]) -> Tensor:
    """Return these rows of a tensor on disk."""
    found = np.take(stored.numpy(), rows, 0, empty((len(rows), *stored.shape[1:]), stored.numpy().dtype), "clip")
    return torch.from_numpy(found)


def end_to_end(arrays: Iterable[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return arrays of one type as views of one array on disk, each as it comes."""
    lengths, found = [], np.empty(0)
    with _file("arrays") as file:
        for array in arrays:
            lengths.append(len(array))
            file.write(np.ascontiguousarray(array).data)
            found = array
        if sum(lengths):
            found = _mapped(file).view(found.dtype)
    return np.split(found, np.cumsum(lengths)[:-1]) if lengths else []


def will_need(stored: Tensor, rows: Tensor) -> None:
    """Let the system read these rows of a contiguous tensor on disk meanwhile."""
    advise = _advise()
    if advise is None or not len(stored):
        return
    length = stored[0].numel() * stored.element_size()
    for row in rows.tolist():
        begin = stored.data_ptr() + row * length
        page = begin - begin % mmap.PAGESIZE
        advise(page, begin + length - page, mmap.MADV_WILLNEED)


@functools.cache
def _advise() -> Any:
    if sys.platform != "linux":
        return None
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return advise
