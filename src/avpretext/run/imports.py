"""Folders of files that other programs wrote: what Snakemake watches of them."""

import hashlib
from pathlib import Path


def fingerprint_of(folder: str | None, extensions: tuple[str, ...]) -> str | None:
    """Return what changes when such a file is added, replaced or removed in a folder; None where there is no folder.

    >>> fingerprint_of("no such folder", (".csv",)) == fingerprint_of("nor this", (".csv",))
    True
    """
    if folder is None:
        return None
    files = sorted(file for file in Path(folder).rglob("*") if file.suffix.lower() in extensions)
    lines = [f"{file}\0{file.stat().st_size}\0{file.stat().st_mtime_ns}" for file in files]
    return hashlib.blake2b("\0\0".join(lines).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
