"""How the workflow shows what it does: `snakemake --logger avpretext`, which the default profile asks for.

In a terminal: a bar for the workflow and, under it, a line for each running job with the last line of progress from its
log. Elsewhere: plain lines, one for each job that ends and now and then one for each job that runs.
"""

from logging import LogRecord

from rich.console import Console
from snakemake_interface_logger_plugins.base import LogHandlerBase

from snakemake_logger_plugin_avpretext.display import LiveDisplay, PlainDisplay
from snakemake_logger_plugin_avpretext.events import EventReader


class LogHandler(LogHandlerBase):
    """The handler that Snakemake finds by the name of this package."""

    def __post_init__(self) -> None:
        console = Console(stderr=not self.common_settings.stdout, no_color=self.common_settings.nocolor or None)
        display = LiveDisplay(console) if console.is_terminal else PlainDisplay(console)
        self._events = EventReader(display, dry_run=self.common_settings.dryrun)

    def emit(self, record: LogRecord) -> None:
        """Show one record; a failure to show it must not stop the workflow."""
        try:
            self._events.read(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """End the display, leaving the terminal as it was."""
        self._events.finish()
        self._events.display.stop()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's own output."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake keeps its own log file."""
        return False

    @property
    def has_filter(self) -> bool:
        """It chooses itself what to show."""
        return True

    @property
    def has_formatter(self) -> bool:
        """It formats by itself."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It shows jobs, not the graph."""
        return False
