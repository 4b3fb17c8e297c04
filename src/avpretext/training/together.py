"""Processes that train one network together, by accelerate: each has all weights and a share of every batch.

A command that shall run in several starts the others as itself, with the same arguments (`in_processes`); it is the
first of them, and alone writes what is made. On several machines it is started once on each, in a job of Slurm by
itself; all of them see the same files.
"""

import functools
import inspect
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from avpretext.errors import UserError
from avpretext.options.training import TunedLoopOptions

PROCESS = "AVPRETEXT_PROCESS"
"""Environment variable: number of this process, from 0, and how many there are: `1/2`."""

PORTS = range(20_000, 40_000)
"""Where the first machine of a job of Slurm listens: one of them, by the number of the job."""

WAIT_S = 20.0
"""Seconds for which the others may go on when the first process is done, or when one of them has failed."""


class Machine(NamedTuple):
    """One of the machines of a training: its number, from 0, of how many, and where the first one listens."""

    number: int = 0
    total: int = 1
    address: str = "127.0.0.1"
    port: int | None = None


def processes() -> int:
    """Return the number of processes of this job."""
    return int(os.environ.get(PROCESS, "0/1").partition("/")[2])


def is_first() -> bool:
    """Tell whether this process writes what is made: one of a job does."""
    return place() == 0


def place() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ.get(PROCESS, "0/1").partition("/")[0])


@functools.cache
def accelerator(device_type: str, mixed: bool) -> Any:
    """Return what knows of the processes of this job, and of the type in which they compute."""
    from accelerate import Accelerator  # takes seconds, and only an encoder that learns needs it

    threads = torch.get_num_threads()
    found = Accelerator(cpu=device_type == "cpu", mixed_precision="bf16" if mixed else "no")
    torch.set_num_threads(threads)  # it gives each process a share of the cores: sums would have other bits
    return found


def summed(values: Tensor) -> Tensor:
    """Return the sum of a tensor over the processes of this job."""
    if processes() == 1:
        return values
    from accelerate.utils import reduce

    total: Tensor = reduce(values, "sum")
    return total


def agree(network: nn.Module) -> None:
    """Give gradients of what each process computes for itself their mean, as GPUs may differ in the last digits."""
    if processes() == 1:
        return
    named = network.named_parameters()
    gradients = [one.grad for name, one in named if one.grad is not None and not name.startswith("front.")]
    mean = summed(torch.cat([one.reshape(-1) for one in gradients])) / processes()
    for gradient, part in zip(gradients, torch.split(mean, [one.numel() for one in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def as_the_first_says(measures: dict[str, float], device: torch.device) -> dict[str, float]:
    """Return the measures of the first process, so that all of them choose the same epoch and stop together."""
    if processes() == 1:
        return measures
    values = torch.tensor(list(measures.values()), dtype=torch.float64, device=device)
    said = summed(values if is_first() else torch.zeros_like(values)).tolist()
    return dict(zip(measures, said, strict=True))


def in_processes(options: Callable[[Any], TunedLoopOptions]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator of a stage's `run`: in as many processes, on as many machines, as the encoder's options say.

    `options` finds those of the training in the configuration, which the stage has as `config`.
    """

    def spread(run: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(run)
        def running(*arguments: Any, **named: Any) -> None:
            given = inspect.signature(run).bind(*arguments, **named).arguments
            training = options(given["config"])
            tuning = training.encoder
            if not tuning.tuned or tuning.processes == tuning.machines == 1 or PROCESS in os.environ:
                run(**given)
                return
            check_device(training)
            machine = started_on(os.environ)
            if machine.total == 1 < tuning.machines:
                _start_on_each(tuning.machines, tuning.processes)
                return
            if machine.total != tuning.machines:
                raise UserError(
                    f"encoder.machines: {tuning.machines}, and this is started on {machine.total}: set that"
                )
            given["threads"] = 1  # runs at a time: those of a job that has a core for each process
            with (
                _others(running, given, tuning.processes, machine) as others,
                _silence() if machine.number else nullcontext(),
            ):
                _first(run, given, others)

        return running

    return spread


def check_device(options: TunedLoopOptions) -> None:
    """Raise where there are fewer GPUs than processes."""
    gpus = 0 if options.device == "cpu" else torch.cuda.device_count()
    if gpus and options.encoder.processes > gpus:
        raise UserError(f"encoder.processes: {options.encoder.processes}, and there are {gpus} GPUs: set {gpus}")


def started_on(variables: Mapping[str, str]) -> Machine:
    """Return the machine that a launcher started this process on, by its environment: torchrun's or srun's."""
    if "TORCHELASTIC_RUN_ID" in variables:
        if variables["LOCAL_WORLD_SIZE"] != "1":
            raise UserError(
                "torchrun --nproc-per-node: one for each machine, which starts encoder.processes itself: set 1"
            )
        number, count = int(variables["GROUP_RANK"]), int(variables["GROUP_WORLD_SIZE"])
        return Machine(number, count, variables["MASTER_ADDR"], int(variables["MASTER_PORT"]))
    if variables.get("SLURM_STEP_NUM_TASKS", "1") != "1":
        port = PORTS.start + (7 * int(variables["SLURM_JOB_ID"]) + int(variables["SLURM_STEP_ID"])) % len(PORTS)
        number, count = int(variables["SLURM_PROCID"]), int(variables["SLURM_STEP_NUM_TASKS"])
        return Machine(number, count, variables["SLURM_LAUNCH_NODE_IPADDR"], port)
    return Machine()


def _start_on_each(machines: int, cores: int) -> None:
    """Run this command on each machine of the job of Slurm that it is in."""
    if "SLURM_JOB_ID" not in os.environ or shutil.which("srun") is None:
        raise UserError(
            f"encoder.machines: {machines}, and this is no job of Slurm: use the profile slurm, or start the command on"
            f" each machine by torchrun --nnodes={machines} --nproc-per-node=1"
        )
    step = ["--nodes", machines, "--ntasks", machines, "--ntasks-per-node", 1, "--cpus-per-task", cores, "--mem", 0]
    command = ["srun", *map(str, step), "--kill-on-bad-exit=1", sys.executable, *sys.orig_argv[1:]]
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(status)


@contextmanager
def _silence() -> Iterator[None]:
    """Say nothing meanwhile: the first machine does."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


class _Other(NamedTuple):
    process: BaseProcess
    reader: Connection


def _first(run: Callable[..., None], given: dict[str, Any], others: list[_Other]) -> None:
    """Run the first of the processes; where another one has failed, raise its error."""
    try:
        run(**given)
    except UserError:
        raise
    except Exception:
        # What breaks here is the connection: the error of the process at its other end is the cause.
        for number, other in enumerate(others, 1):
            other.process.join(WAIT_S)
            if other.process.exitcode:
                message, trace = other.reader.recv() if other.reader.poll() else ("was killed, perhaps for memory", "")
                raise UserError(f"process {number} of this training: {message}{trace}") from None
        raise


@contextmanager
def _others(
    running: Callable[..., None], given: dict[str, Any], count: int, machine: Machine
) -> Iterator[list[_Other]]:
    """Start all processes of this machine but the first, which this one becomes; in the end they are gone."""
    if machine.port is None:
        with socket.socket() as free:
            free.bind((machine.address, 0))
            machine = machine._replace(port=free.getsockname()[1])
    before = dict(os.environ)
    context = multiprocessing.get_context("spawn")
    others = []
    try:
        _become(0, count, machine)
        for number in range(1, count):
            reader, writer = multiprocessing.Pipe(duplex=False)
            process = context.Process(target=_work, args=(number, count, machine, running, given, writer), daemon=True)
            process.start()
            writer.close()
            others.append(_Other(process, reader))
        yield others
    finally:
        _leave(others)
        os.environ.clear()
        os.environ.update(before)


def _become(number: int, count: int, machine: Machine) -> None:
    """Become one of the processes of a machine, as torch and accelerate know it."""
    _forget()
    rank, of_all = machine.number * count + number, machine.total * count
    os.environ[PROCESS] = f"{rank}/{of_all}"
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(number), "WORLD_SIZE": str(of_all)}
    os.environ |= {"LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": machine.address, "MASTER_PORT": str(machine.port)}
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _forget() -> None:
    """Let accelerate look at the processes anew."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator.cache_clear()


def _leave(others: list[_Other]) -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    for other in others:
        other.process.join(WAIT_S if sys.exc_info()[0] is None else 0)
        if other.process.is_alive():
            other.process.kill()
            other.process.join()
        other.reader.close()
    _forget()


def _work(
    number: int, count: int, machine: Machine, running: Callable[..., None], given: dict[str, Any], writer: Connection
) -> None:
    """Run one of the other processes; the first one speaks for all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    _become(number, count, machine)
    if number < torch.cuda.device_count():
        torch.cuda.set_device(number)  # before the encoder is opened; the first process has the first GPU
    try:
        running(**given)
    except UserError as mistake:
        writer.send((str(mistake), ""))
        sys.exit(1)
    except Exception as error:
        writer.send((repr(error), f"\n{traceback.format_exc()}"))
        sys.exit(1)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def end_with_parent() -> NoReturn:
    """End this process when its parent is gone, which may have been killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
