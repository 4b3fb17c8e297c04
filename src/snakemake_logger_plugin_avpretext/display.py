"""The two ways to show a running workflow: live in a terminal, plain lines elsewhere."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from avpretext.progress import duration, last_progress

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


class Display(Protocol):
    """What an event reader needs of a display."""

    def total(self, jobs: int) -> None:
        """The workflow has this many jobs."""

    def started(self, key: int, job: Job) -> None:
        """A job began."""

    def finished(self, key: int) -> None:
        """A job ended well."""

    def failed(self, key: int) -> Job | None:
        """A job failed; return it."""

    def say(self, text: str, style: str = "") -> None:
        """Write a line that stays."""

    def stop(self) -> None:
        """The workflow ended."""


class Board:
    """What is running and what is done: shared by both displays."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.jobs = 0
        self.done = 0
        self.running: dict[int, Job] = {}
        self.begin = time.monotonic()

    def total(self, jobs: int) -> None:
        """See `Display`."""
        self.jobs = jobs

    def started(self, key: int, job: Job) -> None:
        """See `Display`."""
        self.running.setdefault(key, job)

    def finished(self, key: int) -> None:
        """See `Display`."""
        job = self.running.pop(key, None)
        self.done += 1
        if job:
            width = len(str(self.jobs))
            took = duration(time.monotonic() - job.begin)
            self.say(f"[{self.done:>{width}}/{self.jobs}] {job.name}: done in {took}", "green")

    def failed(self, key: int) -> Job | None:
        """See `Display`."""
        return self.running.pop(key, None)

    def say(self, text: str, style: str = "") -> None:
        """See `Display`."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def stop(self) -> None:
        """See `Display`."""


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
        """See `Display`."""
        self._stopped.set()


class LiveDisplay(Board):
    """A bar for the workflow and a line for each running job, redrawn in place."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def total(self, jobs: int) -> None:
        """See `Display`."""
        super().total(jobs)
        if jobs and not self._live.is_started:
            self._live.start()

    def stop(self) -> None:
        """See `Display`."""
        self._live.stop()

    def _render(self) -> RenderableType:
        head = Table.grid(padding=(0, 1))
        elapsed = duration(time.monotonic() - self.begin)
        bar = ProgressBar(total=max(self.jobs, 1), completed=self.done, width=40)
        head.add_row(Text("workflow", style="bold"), bar, f"{self.done}/{self.jobs} jobs", Text(elapsed, style="dim"))
        rows = Table.grid(padding=(0, 1))
        for job in list(self.running.values()):
            rows.add_row(Text("  ▸", style="cyan"), Text(job.name, style="bold"), Text(job.progress(), style="dim"))
        return Group(head, rows)
