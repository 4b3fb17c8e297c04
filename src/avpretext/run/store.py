"""Where the results of a run are: in a folder, or in a bucket of which each job has local copies.

Snakemake's storage plugins move the inputs and outputs of jobs. The files that a start writes for its jobs, which are
neither, are moved here: listings of corpora and recipes of artefacts; so is the sign that a run is at work.
"""

import copy
import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avpretext import locks
from avpretext.errors import UserError
from avpretext.run.occupancy import Holder, said_in
from avpretext.run.recipes import OWN, beside

_ANY = "results/x"


class Store:
    """The results of a workflow of Snakemake.

    Attributes
    ----------
    root
        What stands before the path of a file, as the workflow names it, in this process's local copies; empty where
        the results are a folder.

    Raises
    ------
    UserError
        The storage provider keeps files under other names than theirs, or the results folder is an absolute path.
    """

    def __init__(self, workflow: Any, results: str) -> None:
        self._provider = workflow.storage_registry.default_storage_provider
        self._prefix = workflow.storage_settings.default_storage_prefix or ""
        self._sign = f"{results}/{OWN}/run"
        self.root = ""
        if not self.is_remote:
            return
        if Path(results).is_absolute() or ".." in Path(results).parts:
            raise UserError(f"results: {results}: in a bucket, give a path relative to it, such as `results: results`")
        place = str(self._object(_ANY).local_path())
        if not place.endswith(f"/{_ANY}"):
            raise UserError("--default-storage-provider: this one keeps files under other names; use s3, gcs or azure")
        self.root = place.removesuffix(_ANY)
        # The files here are moved beside Snakemake's own, from other threads: by connections of their own.
        self._provider = copy.copy(self._provider)
        self._provider.__post_init__()

    @property
    def is_remote(self) -> bool:
        """Whether the results are in a bucket."""
        return self._provider is not None

    def address(self, path: str | Path) -> str:
        """Return the name of a file for a reader: its path, or its address in the bucket."""
        if not self.is_remote:
            return str(path)
        return f"{self._prefix.rstrip('/')}/{path}" if self._prefix else str(path)

    def here(self, path: str | Path) -> str:
        """Return where this process reads and writes a file of the results."""
        return f"{self.root}{path}"

    def name(self, file: str) -> str:
        """Return the path of a file as the workflow names it: the inverse of `here`."""
        return file.removeprefix(self.root)

    def copy_of(self, said: str) -> str:
        """Return where the copy of a file is, or will be, that Snakemake names in its records."""
        address = re.sub(r" \([a-z ]*storage\)$", "", said)
        return self.here(address.removeprefix(self.address(""))) if self.is_remote else said

    def push(self, paths: Iterable[str | Path]) -> None:
        """Copy files, by the names of the workflow, into the bucket."""
        for path in paths if self.is_remote else ():
            self._object(path).store_object()

    def pull(self, paths: Iterable[str | Path]) -> None:
        """Copy those of the files that are in the bucket from there."""
        for path in paths if self.is_remote else ():
            found = self._object(path)
            if found.exists():
                Path(self.here(path)).parent.mkdir(parents=True, exist_ok=True)
                found.retrieve_object()

    def remove(self, paths: Iterable[str | Path]) -> None:
        """Remove files from the bucket, and the copies of them here."""
        for path in paths if self.is_remote else ():
            self._object(path).remove()
            Path(self.here(path)).unlink(missing_ok=True)

    def _object(self, path: str | Path) -> Any:
        return self._provider.object(self.address(path))

    async def made(self, graph: Any) -> set[str]:
        """Return the outputs of a graph of jobs that are in the bucket, after fetching the recipes beside them."""
        found: set[str] = set()
        for job in graph.jobs:
            files = {str(file): file for file in job.output if file.is_storage and await file.exists_in_storage()}
            for path in files:
                recipe = files.get(str(beside(Path(path))))
                if recipe is not None:
                    await recipe.retrieve_from_storage()
                    found.add(path)
        return found

    def claim(self, holder: Holder) -> None:
        """Note in the bucket who is at work there.

        Raises
        ------
        UserError
            Somebody else is, or was killed on another machine.
        """
        if not self.is_remote:
            return
        self._check_nobody_but(holder)
        sign = Path(self.here(self._sign))
        sign.parent.mkdir(parents=True, exist_ok=True)
        sign.write_text(json.dumps(asdict(holder)), "utf-8")
        self.push([self._sign])
        self._check_nobody_but(holder)  # of two that begin together, the first to write finds the other

    def _check_nobody_but(self, holder: Holder) -> None:
        Path(self.here(self._sign)).unlink(missing_ok=True)  # an old copy
        self.pull([self._sign])
        other = said_in(Path(self.here(self._sign)))
        ended = other is None or (other.host == locks.host() and not locks.is_alive(other.pid))
        if other is not None and other.run != holder.run and not ended:
            raise UserError(
                f"{self.address(self._sign)}: another run is at work in these results, or was killed: {other}; wait"
                " until it has ended, or remove that file from the bucket, and give the command again"
            )

    def release(self) -> None:
        """Remove the note of who is at work."""
        self.remove([self._sign])
