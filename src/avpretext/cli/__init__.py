"""The command line: one command per stage, each with explicit inputs and outputs.

A command takes its options from a configuration file (`--config`, by default `config.yaml`), or, as the workflow does,
from one line of JSON (`--options`) that holds just the part that the stage depends on.
"""

import os
import sys

from avpretext import escapes, signing
from avpretext.cli import project, tools  # noqa: F401 (their commands are registered on import)
from avpretext.cli.app import app
from avpretext.errors import UserError
from avpretext.run.occupancy import begin_job
from avpretext.run.recipes import Signer


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit status 2."""
    try:
        with escapes.plain_streams():
            begin_job(sys.argv)
            signing.sign_with(Signer())
            app()
    except BrokenPipeError:  # whoever read our output, `head` perhaps, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except UserError as error:
        print(f"avpretext: error: {escapes.terminal(str(error))}", file=sys.stderr)
        sys.exit(2)
