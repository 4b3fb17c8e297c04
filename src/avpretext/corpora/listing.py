"""What a scan found, kept in a file, so that the jobs of a run need not scan the corpus again, each for its shard.

The workflow scans every corpus when it starts; it writes what it found, and hands each job of `index` the fingerprint
of its shard. A listing is believed only where it was made by this version of the package with the same options, and
the shard's rows in it have the very fingerprint that the job was given. Anything else, a listing of an earlier run or
a damaged one, is as good as none: the job scans for itself. `fingerprint_from` and `files_from` are for the processes
that a cluster starts for single jobs: they evaluate the workflow again, and have only the listing's own word that it is
the latest.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora.reader import Clip
from avpretext.corpora.scan import ClipFile, fingerprint, fingerprints
from avpretext.errors import UserError
from avpretext.flow import schemas
from avpretext.flow.paths import shard_of
from avpretext.flow.stages import STAGES
from avpretext.refusal import Refusal
from avpretext.shards import provenance, read, read_provenance, write_table

_CLIP_COLUMNS = ("speaker", "label", "sentence", "level", "start_s", "end_s")


def write(files: Sequence[ClipFile], options: CorpusOptions, path: Path) -> None:
    """Write what `scan` found, `schemas.LISTING`; a listing that says the same already is left as it is.

    Parameters
    ----------
    files
        All clips of the corpus, and what is refused of it.
    options
        The corpus's options, as they were scanned with.
    path
        Where the listing goes.
    """
    made_by = _made_by(options, _digest(fingerprints(files, options.shards)))
    if _provenance_of(path) != made_by:
        rows = [_row(file, shard_of(file.clip_id, options.shards)) for file in files]
        write_table(path, rows, schemas.LISTING, made_by)


def shard_from(path: Path, options: CorpusOptions, shard: int, expected: str) -> list[ClipFile] | None:
    """Return the clips of one shard, as `scan` does, or None for a listing that cannot be believed.

    Parameters
    ----------
    path
        The listing.
    options
        The corpus's options.
    shard
        Which shard.
    expected
        The fingerprint that its clips must have.
    """
    rows = _rows_of(path, options)
    if rows is None:
        return None
    files = _clip_files(rows.filter(pl.col("shard") == shard))
    return files if fingerprint(files, shard, options.shards) == expected else None


def fingerprint_from(path: Path, options: CorpusOptions, shard: int) -> str | None:
    """Return the fingerprint of one shard, or None where `files_from` would return None for what the listing is of."""
    rows = _rows_of(path, options)
    if rows is None:
        return None
    return fingerprint(_clip_files(rows.filter(pl.col("shard") == shard)), shard, options.shards)


def files_from(path: Path, options: CorpusOptions) -> list[ClipFile] | None:
    """Return all clips, as `scan` does, or None for a listing of other options, another version, or a damaged one."""
    rows = _rows_of(path, options)
    if rows is None:
        return None
    files = _clip_files(rows)
    same = _provenance_of(path) == _made_by(options, _digest(fingerprints(files, options.shards)))
    return files if same else None


def _rows_of(path: Path, options: CorpusOptions) -> pl.DataFrame | None:
    """Return the rows of a listing by this version, of these options; None if it is none."""
    found = _provenance_of(path)
    if found is None or found != _made_by(options, str(found.get("content"))):
        return None
    try:
        return read(path)
    except (UserError, OSError, pl.exceptions.PolarsError):
        return None


def _clip_files(rows: pl.DataFrame) -> list[ClipFile]:
    return [_clip_file(row) for row in rows.iter_rows(named=True)]


def _made_by(options: CorpusOptions, content: str) -> dict[str, Any]:
    """Return the provenance: of the options a digest alone, since the corpus may lie under an absolute path."""
    keys = {key.rpartition(".")[2] for key in STAGES["index"].options}
    text = json.dumps(options.model_dump(mode="json", include=keys), sort_keys=True, allow_nan=False)
    return provenance("index", {"digest": _digest([text])}, content=content)


def _digest(parts: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def _provenance_of(path: Path) -> dict[str, Any] | None:
    try:
        return read_provenance(path)
    except (UserError, OSError, ValueError):
        return None


def _row(file: ClipFile, shard: int) -> dict[str, Any]:
    clip, refusal = file.clip or Clip(file.clip_id), file.refusal
    return {
        "shard": shard,
        "path": file.path,
        "clip_id": file.clip_id,
        **{name: getattr(clip, name) for name in _CLIP_COLUMNS},
        "size_bytes": file.size_bytes,
        "mtime_ns": file.mtime_ns,
        "reason": refusal.reason if refusal else None,
        "detail": refusal.detail if refusal else None,
    }


def _clip_file(row: dict[str, Any]) -> ClipFile:
    refusal = Refusal(row["reason"], row["detail"]) if row["reason"] else None
    clip = None if refusal else Clip(row["clip_id"], **{name: row[name] for name in _CLIP_COLUMNS})
    return ClipFile(row["path"], row["clip_id"], clip, refusal, row["size_bytes"], row["mtime_ns"])
