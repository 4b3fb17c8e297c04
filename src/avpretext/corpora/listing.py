"""The listing of a corpus: what a scan found, kept in a file, so that the jobs of a run need not scan again.

The workflow scans every corpus when it starts, writes its listing, and gives each job of `index` the fingerprint of its
shard. A listing counts only if this version of the package made it with the same options, and if the shard's rows have
the fingerprint that the job was given. Otherwise, as after an earlier run or where it is damaged, the job scans.
`fingerprint_from` and `files_from` are for the processes that a cluster starts for single jobs: they evaluate the
workflow again, and have no fingerprint to compare with.
"""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora.reader import Clip
from avpretext.corpora.scan import ClipFile, digest, fingerprints
from avpretext.errors import UserError
from avpretext.flow.artefacts import STAGES, schema_of
from avpretext.flow.paths import shard_of
from avpretext.flow.provenance import provenance
from avpretext.refusal import Refusal
from avpretext.shards import ShardWriter, read, read_provenance, read_where

_CLIP_COLUMNS = ("speaker", "label", "sentence", "level", "start_s", "end_s")
_ROW_GROUP = 4096
"""Rows, sorted by shard, that a job reads together: of a million clips it leaves the other row groups alone."""


def write(files: Sequence[ClipFile], options: CorpusOptions, path: Path) -> None:
    """Write all that `scan` found of a corpus, `index.listing`; an equal listing is left as it is."""
    made_by = _made_by(options, _content(files, options))
    if _provenance_of(path) == made_by:
        return
    shard_numbers = [shard_of(file.clip_id, options.shards) for file in files]
    places = iter(sorted(range(len(files)), key=shard_numbers.__getitem__))
    with ShardWriter(path, schema_of("index.listing"), made_by, row_group=_ROW_GROUP) as writer:
        while group := list(itertools.islice(places, _ROW_GROUP)):
            writer.write([_row(files[place], shard_numbers[place]) for place in group])


def shard_from(path: Path, options: CorpusOptions, shard: int, expected: str) -> list[ClipFile] | None:
    """Return the clips of one shard, as `scan` does; None unless they have the `expected` fingerprint."""
    files = _read(path, options, shard)
    return files if files is not None and fingerprints(files, options.shards)[shard] == expected else None


def fingerprint_from(path: Path, options: CorpusOptions, shard: int) -> str | None:
    """Return the fingerprint of one shard; None for a listing of other options, another version, or a damaged one."""
    files = _read(path, options, shard)
    return None if files is None else fingerprints(files, options.shards)[shard]


def files_from(path: Path, options: CorpusOptions) -> list[ClipFile] | None:
    """Return all clips, as `scan` does; None where `fingerprint_from` returns None."""
    files = _read(path, options)
    same = files is not None and _provenance_of(path) == _made_by(options, _content(files, options))
    return files if same else None


def _read(path: Path, options: CorpusOptions, shard: int | None = None) -> list[ClipFile] | None:
    """Return the clips of a listing by this version, of these options; None if it is none."""
    found = _provenance_of(path)
    if found is None or found != _made_by(options, str(found.get("content"))):
        return None
    try:
        rows = read(path) if shard is None else read_where(path, "shard", shard)
    except (UserError, OSError, pl.exceptions.PolarsError):
        return None
    if shard is None:
        rows = rows.sort("path", pl.col("start_s").fill_null(0), maintain_order=True)
    return [_clip_file(row) for row in rows.iter_rows(named=True)]


def _made_by(options: CorpusOptions, content: str) -> dict[str, Any]:
    """Return the provenance: of the options a digest alone, since the corpus may lie under an absolute path."""
    keys, more = (
        {key.rpartition(".")[2] for key in names} for names in (STAGES["index"].options, STAGES["index"].unless_default)
    )
    keys |= {name for name in more if getattr(options, name) != CorpusOptions.model_fields[name].default}
    text = json.dumps(options.model_dump(mode="json", include=keys), sort_keys=True, allow_nan=False)
    return provenance("index", {"digest": digest([text])}, content=content)


def _content(files: Sequence[ClipFile], options: CorpusOptions) -> str:
    return digest(fingerprints(files, options.shards))


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
