"""The two ways to show a running workflow: live in a terminal, plain lines elsewhere."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from avpretext.escapes import terminal
from avpretext.progress import duration, last_progress
from snakemake_logger_plugin_avpretext.ahead import Ahead

HEARTBEAT_S = 20.0


@dataclass
class Job:
    """A job of the workflow: its name, where its log is, when it began."""

    name: str
    log: Path | None
    begin: float = field(default_factory=time.monotonic)

    def progress(self) -> str:
        """Return how far the job is: from the last line of progress in its log, else its age."""
        line = last_progress(self.log) if self.log else None
        return line or f"running for {duration(time.monotonic() - self.begin)}"


class Board:
    """The jobs that run and those that are done: shared by both displays."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.jobs = 0
        self.done = 0
        self.running: dict[int, Job] = {}
        self.begin = time.monotonic()
        self.ahead: Ahead | None = None

    def total(self, jobs: int) -> None:
        """Note the number of jobs of the workflow."""
        self.jobs = jobs

    def started(self, key: int, job: Job) -> None:
        """Note that a job began."""
        self.running.setdefault(key, job)

    def finished(self, key: int) -> None:
        """Note that a job ended well, and show it."""
        job = self.running.pop(key, None)
        self.done += 1
        if job:
            width, took_s = len(str(self.jobs)), time.monotonic() - job.begin
            if self.ahead:
                self.ahead.ended(key, took_s)
            done = f"[{self.done:>{width}}/{self.jobs}] {job.name}: done in {duration(took_s)}"
            self.say(f"{done}{self.left(', ')}", "green")

    def left(self, before: str = "") -> str:
        """Return how long the rest of the workflow may take, after some characters; nothing if it is not known."""
        if self.ahead is None or self.done >= self.jobs:
            return ""
        now = time.monotonic()
        seconds, more = self.ahead.left_s({key: now - job.begin for key, job in list(self.running.items())})
        return f"{before}{'more than' if more else 'about'} {duration(seconds)} left" if round(seconds) else ""

    def failed(self, key: int) -> Job | None:
        """Return the job that failed."""
        return self.running.pop(key, None)

    def say(self, text: str, style: str = "") -> None:
        """Write a line that stays."""
        self.console.print(Text(terminal(text), style=style), soft_wrap=True)

    def stop(self) -> None:
        """End the display with the workflow."""


class PlainDisplay(Board):
    """Plain lines, for pipes and log files."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._stopped = threading.Event()
        self._last: dict[int, str] = {}
        threading.Thread(target=self._heartbeat, daemon=True).start()

    def _heartbeat(self) -> None:
        """Now and then tell how far each running job is."""
        while not self._stopped.wait(HEARTBEAT_S):
            for key, job in list(self.running.items()):
                line = f"    {job.name}: {job.progress()}"
                if self._last.get(key) != line:
                    self.say(line)
                    self._last[key] = line

    def stop(self) -> None:
        self._stopped.set()


class LiveDisplay(Board):
    """A bar for the workflow, and each running job with how far it is, redrawn in place."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def total(self, jobs: int) -> None:
        super().total(jobs)
        if jobs and not self._live.is_started:
            self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def _render(self) -> RenderableType:
        head = Table.grid(padding=(0, 1))
        elapsed = duration(time.monotonic() - self.begin)
        bar = ProgressBar(total=max(self.jobs, 1), completed=self.done, width=40)
        told = Text(f"{elapsed}{self.left(', ')}", style="dim")
        head.add_row(Text("workflow", style="bold"), bar, f"{self.done}/{self.jobs} jobs", told)
        return Group(head, self._rows([(job.name, job.progress()) for job in list(self.running.values())]))

    def _rows(self, jobs: Sequence[tuple[str, str]]) -> RenderableType:
        """Return a line for each job, its name and how far it is; two where the terminal is too narrow for them."""
        mark = Text("  ▸", style="cyan")
        if sum(max(map(cell_len, column), default=0) for column in zip(*jobs, strict=True)) + 5 <= self.console.width:
            rows = Table.grid(padding=(0, 1))
            for name, told in jobs:
                rows.add_row(mark, Text(name, style="bold"), Text(told, style="dim"))
            return rows
        lines = [Text.assemble(mark, " ", (name, "bold"), "\n      ", (told, "dim")) for name, told in jobs]
        return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)
