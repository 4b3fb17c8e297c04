"""The application that the commands register with."""

from typing import Annotated

import typer

from avpretext import __version__
from avpretext.cli.stages import Commands

app = typer.Typer(
    name="avpretext",
    cls=Commands,
    help="Pre-train a speech encoder on labels read off talking faces, and measure whether it helps speech emotion "
    "recognition. The workflow, Snakemake, runs the commands of the stages; each also runs by hand.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"avpretext {__version__}")
