"""A storage plugin of Snakemake whose bucket is a folder: `folder:///tmp/bucket/run`; for tests that need no server."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from snakemake_interface_storage_plugins.common import Operation
from snakemake_interface_storage_plugins.storage_object import StorageObjectRead, StorageObjectWrite
from snakemake_interface_storage_plugins.storage_provider import (
    ExampleQuery,
    StorageProviderBase,
    StorageQueryValidationResult,
)

SCHEME = "folder://"


class StorageProvider(StorageProviderBase):
    """Knows nothing but the scheme."""

    @classmethod
    def example_queries(cls) -> list[ExampleQuery]:
        """Return none."""
        return []

    def rate_limiter_key(self, query: str, operation: Operation) -> Any:
        """Return one key for all."""
        return SCHEME

    def default_max_requests_per_second(self) -> float:
        """Return a number that is not used."""
        return 100.0

    def use_rate_limiter(self) -> bool:
        """Return that there is no limit."""
        return False

    @classmethod
    def is_valid_query(cls, query: str) -> StorageQueryValidationResult:
        """Tell whether an address begins with the scheme."""
        return StorageQueryValidationResult(query, query.startswith(SCHEME), f"it does not begin with {SCHEME}")


class StorageObject(StorageObjectRead, StorageObjectWrite):
    """A file or folder in the bucket."""

    @property
    def _place(self) -> Path:
        return Path(self.query.removeprefix(SCHEME))

    def local_suffix(self) -> str:
        """Return the path below the folder of local copies."""
        return str(self._place).lstrip("/")

    async def inventory(self, cache: Any) -> None:
        """Look at nothing in advance."""

    def get_inventory_parent(self) -> str | None:
        """Return that there is no inventory."""
        return None

    def cleanup(self) -> None:
        """Leave nothing behind."""

    def exists(self) -> bool:
        """Tell whether it is there."""
        return self._place.exists()

    def mtime(self) -> float:
        """Return when it was stored."""
        return self._place.stat().st_mtime

    def size(self) -> int:
        """Return its bytes."""
        return 0 if self._place.is_dir() else self._place.stat().st_size

    def retrieve_object(self) -> None:
        """Copy it from the bucket."""
        _copy(self._place, self.local_path())

    def store_object(self) -> None:
        """Copy it into the bucket, where it has the time of now."""
        _copy(self.local_path(), self._place)
        os.utime(self._place, (now := time.time(), now))

    def remove(self) -> None:
        """Remove it from the bucket."""
        shutil.rmtree(self._place) if self._place.is_dir() else self._place.unlink()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)
