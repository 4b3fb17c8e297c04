"""The signer of the files that this process writes: none, until a command of the package sets one.

So `shards` depends on no runs and recipes.
"""

import os
from collections.abc import Mapping
from pathlib import Path


class Signer:
    """What a file is told of its making, beyond its provenance: here nothing."""

    def metadata(self, path: str | os.PathLike[str]) -> Mapping[str, str]:
        """Return what the schema metadata of a Parquet file that is about to be written shall hold, by name."""
        return {}

    def put_beside(self, target: Path, content: Path) -> None:
        """Write what a file cannot hold itself beside it; `content` is the temporary file that becomes `target`."""


signer = Signer()


def sign_with(chosen: Signer) -> None:
    """Let this process sign the files that it writes from now on."""
    global signer
    signer = chosen
