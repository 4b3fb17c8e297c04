"""Files from elsewhere, looked at before anything is built of them: regular, and no larger than they may be."""

import os
import stat
from pathlib import Path

from avpretext.errors import UserError, raise_fault

SLACK_BYTES = 16 << 20
"""Names, shapes and descriptions beside the numbers."""

LARGEST_ENCODER_BYTES = 16 << 30
"""Of what a pre-trained encoder can have learnt: four billion weights."""

TEXT_BYTES = 16 << 20
"""The largest description: of 100,000 channels."""


def check_file(file: Path, most_bytes: int, fix: str) -> None:
    """Raise an error where a file is missing, is no regular file, or is larger than `most_bytes`."""
    try:
        status = os.stat(file)
    except OSError as error:
        raise_fault(error, file)
        raise UserError(f"{file}: cannot be read ({error.strerror}); {fix}") from None
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{file}: is no regular file; {fix}")
    if status.st_size > most_bytes:
        raise UserError(f"{file}: has {status.st_size} bytes, and what describes it allows {most_bytes}; {fix}")
