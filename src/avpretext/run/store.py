"""Where the results of a run are: in a folder, or in a bucket of which each job has local copies.

Snakemake's storage plugins move the inputs and outputs of jobs. The files that a start writes for its jobs, which are
neither, are moved here: listings of corpora and recipes of artefacts.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from avpretext.errors import UserError
from avpretext.run.recipes import beside

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
        self._workflow = workflow
        self._provider = workflow.storage_registry.default_storage_provider
        self.root = ""
        if not self.is_remote:
            return
        if Path(results).is_absolute() or ".." in Path(results).parts:
            raise UserError(f"results: {results}: in a bucket, give a path relative to it, such as `results: results`")
        place = str(self._object(_ANY).local_path())
        if not place.endswith(f"/{_ANY}"):
            raise UserError("--default-storage-provider: this one keeps files under other names; use s3, gcs or azure")
        self.root = place.removesuffix(_ANY)

    @property
    def is_remote(self) -> bool:
        """Whether the results are in a bucket."""
        return self._provider is not None

    def address(self, path: str | Path) -> str:
        """Return the name of a file for a reader: its path, or its address in the bucket."""
        if not self.is_remote:
            return str(path)
        prefix = self._workflow.storage_settings.default_storage_prefix or ""
        return f"{prefix}/{path}" if prefix and not prefix.endswith("/") else f"{prefix}{path}"

    def here(self, path: str | Path) -> str:
        """Return where this process reads and writes a file of the results."""
        return f"{self.root}{path}"

    def name(self, file: str) -> str:
        """Return the path of a file as the workflow names it: the inverse of `here`."""
        return file.removeprefix(self.root)

    def push(self, paths: Iterable[str | Path]) -> None:
        """Copy files, by the names of the workflow, into the bucket."""
        for path in paths if self.is_remote else ():
            self._workflow.async_run(self._object(path).managed_store())

    def pull(self, paths: Iterable[str | Path]) -> None:
        """Copy those of the files that are in the bucket from there."""
        for path in paths if self.is_remote else ():
            found = self._object(path)
            if self._workflow.async_run(found.managed_exists()):
                self._workflow.async_run(found.managed_retrieve())

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
