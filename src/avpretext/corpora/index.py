"""Stage `index`: the clips of one shard, and which files are refused by their name or their first bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avpretext import corpora
from avpretext.config import CorpusOptions
from avpretext.corpora import listing as listings
from avpretext.corpora.checks import checksums
from avpretext.corpora.readers import reader_of
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.refusal import reject_row
from avpretext.shards import write_table


def run(
    corpus: CorpusOptions,
    shard: int,
    output: Path,
    rejects: Path,
    listing: Path | None = None,
    fingerprint: str | None = None,
) -> None:
    """Write the clips of one shard of a corpus, sorted by clip_id, and the files refused.

    Parameters
    ----------
    shard
        Which of the shards, from 0.
    output, rejects
        Clips, `index`; refused files, `rejects`. The label is the acted one, where the name tells it. The provenance of
        `index` has `checksums` where some are published: how many files were compared, and how many are `altered`.
    listing, fingerprint
        A listing of the corpus, and the fingerprint that the shard must have in it; without them, or where they do not
        fit together, the corpus is scanned.
    """
    files: Sequence[corpora.ClipFile] | None = None
    if listing is not None and fingerprint is not None:
        files = listings.shard_from(listing, corpus, shard, fingerprint)
    if files is None:
        files = corpora.scan(corpus, shard)
    clips = [
        {**file.clip._asdict(), "path": file.path, "recording": None, "size_bytes": file.size_bytes}
        for file in files
        if file.clip is not None
    ]
    refused = [reject_row(file.clip_id, file.path, "index", file.refusal) for file in files if file.refusal is not None]
    compared = checksums.check(Path(corpus.path), (str(clip["path"]) for clip in clips), reader_of(corpus).checksums())
    told: dict[str, Any] = {}
    if compared.known:
        told["checksums"] = {"known": len(compared.known), "altered": len(compared.altered)}
    made_by = provenance(
        "index", {"reader": corpus.reader, "parts": corpus.parts, "table": corpus.table, "video": corpus.video}, **told
    )
    write_table(output, sorted(clips, key=lambda row: str(row["clip_id"])), schema_of("index"), made_by)
    write_table(rejects, sorted(refused, key=lambda row: (row["clip_id"], row["path"])), schema_of("rejects"), made_by)
