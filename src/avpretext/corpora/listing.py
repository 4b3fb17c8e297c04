"""The listing of a corpus: what a scan found, kept in a file, so that the jobs of a run need not scan again.

The workflow scans every corpus when it starts, writes its listing, and gives each job of `index` the fingerprint of its
shard. A listing counts only if this version of the package made it with the same options, and if the shard's rows have
the fingerprint that the job was given. Otherwise, as after an earlier run or where it is damaged, the job scans.
`fingerprint_from` and `files_from` are for the processes that a cluster starts for single jobs: they evaluate the
workflow again, and have no fingerprint to compare with.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import polars as pl
import pyarrow as pa

from avpretext.config import CorpusOptions
from avpretext.corpora.reader import Clip
from avpretext.corpora.scan import ClipFile, Fingerprint, digest, fingerprints
from avpretext.errors import UserError
from avpretext.flow.artefacts import STAGES, schema_of
from avpretext.flow.paths import shard_of
from avpretext.flow.provenance import provenance
from avpretext.refusal import Refusal
from avpretext.shards import ShardWriter, read, read_provenance, read_where

_SCHEMA = schema_of("index.listing")
_CLIP_COLUMNS = ("speaker", "label", "sentence", "level", "start_s", "end_s")
_NO_CLIP = Clip("")
_ROW_GROUP = 4096
"""Rows, sorted by shard, that a job reads together: of a million clips it leaves the other row groups alone."""
_BLOCK = 1 << 16


class Listed(Sequence[ClipFile]):
    """What a scan found of a corpus, in a quarter of the memory of a list, by which a million clips are planned."""

    def __init__(self, files: Iterable[ClipFile] = (), table: pa.Table | None = None) -> None:
        self._table = _packed(files) if table is None else table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[ClipFile]:
        for rows in self._table.to_batches(_ROW_GROUP):
            yield from map(_clip_file, *(column.to_pylist() for column in rows.columns))

    @overload
    def __getitem__(self, place: int) -> ClipFile: ...
    @overload
    def __getitem__(self, place: slice) -> "Listed": ...
    def __getitem__(self, place: int | slice) -> "ClipFile | Listed":
        places = range(len(self))[place]
        if isinstance(places, int):
            return next(iter(Listed(table=self._table.slice(places, 1))))
        return Listed(table=self._table.take(pa.array(places, pa.int64())))

    def by_shard(self, shards: int) -> Iterator[pa.Table]:
        """Yield the rows of `index.listing`, sorted by shard, row group by row group."""
        numbers = [shard_of(clip_id, shards) for clip_id in self._table["clip_id"].to_pylist()]
        places = sorted(range(len(self)), key=numbers.__getitem__)
        for begin in range(0, len(self), _ROW_GROUP):
            group = places[begin : begin + _ROW_GROUP]
            shard = pa.array([numbers[place] for place in group], pa.int32())
            yield self._table.take(pa.array(group, pa.int64())).add_column(0, _SCHEMA.field("shard"), shard)


def write(
    files: Sequence[ClipFile], options: CorpusOptions, path: Path, prints: Sequence[Fingerprint] | None = None
) -> None:
    """Write all that `scan` found of a corpus, `index.listing`; an equal listing is left as it is.

    `prints` are the fingerprints of the files, where they are at hand.
    """
    made_by = _made_by(options, _content(fingerprints(files, options.shards) if prints is None else prints))
    if _provenance_of(path) == made_by:
        return
    with ShardWriter(path, _SCHEMA, made_by, row_group=_ROW_GROUP) as writer:
        for rows in (files if isinstance(files, Listed) else Listed(files)).by_shard(options.shards):
            writer.write(rows)


def shard_from(path: Path, options: CorpusOptions, shard: int, expected: str) -> Listed | None:
    """Return the clips of one shard, as `scan` does; None unless they have the `expected` fingerprint."""
    files = _read(path, options, shard)
    return files if files is not None and fingerprints(files, options.shards)[shard].timed == expected else None


def fingerprint_from(path: Path, options: CorpusOptions, shard: int) -> str | None:
    """Return the fingerprint of one shard; None for a listing of other options, another version, or a damaged one."""
    files = _read(path, options, shard)
    return None if files is None else fingerprints(files, options.shards)[shard].timed


def files_from(path: Path, options: CorpusOptions) -> Listed | None:
    """Return all clips, as `scan` does; None where `fingerprint_from` returns None."""
    files = _read(path, options)
    if files is None:
        return None
    content = _content(fingerprints(files, options.shards))
    return files if _provenance_of(path) == _made_by(options, content) else None


def _read(path: Path, options: CorpusOptions, shard: int | None = None) -> Listed | None:
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
    return Listed(table=rows.drop("shard").to_arrow(compat_level=pl.CompatLevel.oldest()))


def _made_by(options: CorpusOptions, content: str) -> dict[str, Any]:
    """Return the provenance: of the options a digest alone, since the corpus may lie under an absolute path."""
    keys, more = (
        {key.rpartition(".")[2] for key in names} for names in (STAGES["index"].options, STAGES["index"].unless_default)
    )
    keys |= {name for name in more if getattr(options, name) != CorpusOptions.model_fields[name].default}
    text = json.dumps(options.model_dump(mode="json", include=keys), sort_keys=True, allow_nan=False)
    return provenance("index", {"digest": digest([text])}, content=content)


def _content(prints: Sequence[Fingerprint]) -> str:
    return digest([found.timed for found in prints])


def _provenance_of(path: Path) -> dict[str, Any] | None:
    try:
        return read_provenance(path)
    except (UserError, OSError, ValueError):
        return None


def _packed(files: Iterable[ClipFile]) -> pa.Table:
    """Return the rows of files as Arrow holds them, block by block."""
    schema, remaining, blocks = _SCHEMA.remove(_SCHEMA.get_field_index("shard")), iter(files), []
    while block := list(itertools.islice(remaining, _BLOCK)):
        blocks.append(pa.record_batch(_columns(block), schema))
    return pa.Table.from_batches(blocks, schema)


def _columns(files: Sequence[ClipFile]) -> list[list[Any]]:
    """Return the columns of the listing but for the shard, in the order of its schema."""
    clips = [file.clip or _NO_CLIP for file in files]
    refusals = [file.refusal for file in files]
    return [
        [file.path for file in files],
        [file.clip_id for file in files],
        *([getattr(clip, name) for clip in clips] for name in _CLIP_COLUMNS),
        [file.size_bytes for file in files],
        [file.mtime_ns for file in files],
        [refusal and refusal.reason for refusal in refusals],
        [refusal and refusal.detail for refusal in refusals],
    ]


def _clip_file(path: str, clip_id: str, *told: Any) -> ClipFile:
    *of_clip, size_bytes, mtime_ns, reason, detail = told
    refusal = Refusal(reason, detail) if reason else None
    return ClipFile(path, clip_id, None if refusal else Clip(clip_id, *of_clip), refusal, size_bytes, mtime_ns)
