"""The command line: one command per stage, each with explicit inputs and outputs.

A command takes its options from a configuration file (`--config`, by default `config.yaml`), or, as the workflow does,
from one line of JSON (`--options`) that holds just the part that the stage depends on.
"""

import os
import sys

from avpretext import escapes, extras, signing
from avpretext.cli import project, tools  # noqa: F401 (their commands are registered on import)
from avpretext.cli.app import app
from avpretext.errors import UserError, of_disk
from avpretext.run.occupancy import begin_job
from avpretext.run.recipes import Signer


def main() -> None:
    """Run the command line; an error of a user, a disk or memory is one line on standard error, not a traceback."""
    try:
        with escapes.plain_streams():
            begin_job(sys.argv)
            signing.sign_with(Signer())
            try:
                with extras.told():
                    app()
            finally:
                sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output, `head` perhaps, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except UserError as error:
        _tell(str(error))
        sys.exit(2)
    except MemoryError:
        _tell("the memory is used up; ask for more, or work on less at a time (--threads, more shards)")
        sys.exit(1)
    except Exception as error:
        if (words := of_disk(error)) is None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _tell(words)
        sys.exit(1)


def _tell(words: str) -> None:
    print(f"avpretext: error: {escapes.terminal(words)}", file=sys.stderr)
