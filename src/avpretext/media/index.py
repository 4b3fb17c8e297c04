"""Stage `index`: the clips of one shard, and which files are refused by their name or their first bytes."""

import os
from collections.abc import Mapping
from pathlib import Path

from avpretext import corpora, schemas
from avpretext.config import CorpusOptions
from avpretext.corpora import ClipFile
from avpretext.media.refusal import Refusal, printable, reject_row
from avpretext.shards import provenance, write_table

LFS_POINTER = b"version https://git-lfs"
_LFS_POINTER_BYTES = 1024


def run(corpus: CorpusOptions, shard: int, output: Path, rejects: Path) -> None:
    """Write the clips of one shard of a corpus, sorted by clip_id, and the files refused.

    Parameters
    ----------
    corpus
        Where it lies, how it is read, and into how many shards it is split.
    shard
        Which of the shards, from 0.
    output
        Clips, `schemas.INDEX`; the label is that of the target that the config names.
    rejects
        Refused files, `schemas.REJECTS`.

    Raises
    ------
    UserError
        The corpus is missing or empty, or the target's votes are.
    """
    labels = _target_labels(corpus)
    broken = corpora.reader_of(corpus).broken
    clips, refused, seen = [], [], dict[str, str]()
    for file in corpora.scan(corpus, shard):
        refusal = _refuse(file, Path(corpus.path) / file.path, broken, seen)
        if refusal is None:
            clips.append(_row(file, labels))
            seen[file.clip_id] = file.path
        else:
            refused.append(reject_row(file.clip_id, file.path, "index", refusal))
    made_by = provenance("index", {"reader": corpus.reader, "target": corpora.target_of(corpus), "video": corpus.video})
    write_table(output, sorted(clips, key=lambda row: str(row["clip_id"])), schemas.INDEX, made_by)
    write_table(rejects, sorted(refused, key=lambda row: (row["clip_id"], row["path"])), schemas.REJECTS, made_by)


def _target_labels(corpus: CorpusOptions) -> Mapping[str, str | None] | None:
    """Return {clip_id: label} for a target that the file names do not tell, else None."""
    reader = corpora.reader_of(corpus)
    target = corpora.target_of(corpus)
    if reader.target_labels is None or target is None or target == reader.targets[0]:
        return None
    return reader.target_labels(Path(corpus.path), target)


def _row(file: ClipFile, labels: Mapping[str, str | None] | None) -> dict[str, object]:
    assert file.clip is not None  # names that the reader refuses never come here
    return {
        "clip_id": file.clip_id,
        "path": file.path,
        "speaker": file.clip.speaker,
        "label": file.clip.label if labels is None else labels.get(file.clip_id),
        "sentence": file.clip.sentence,
        "level": file.clip.level,
        "size_bytes": file.size_bytes,
    }


def _refuse(file: ClipFile, place: Path, broken: frozenset[str], seen: Mapping[str, str]) -> Refusal | None:
    """Return why a file is no clip, None if it is; cheap checks only, `split` finds the rest."""
    if file.path != printable(file.path):
        return Refusal("unknown_name", "its name is not valid UTF-8: rename it")
    if file.clip is None:
        return Refusal("unknown_name", "the reader does not know names like this")
    if file.clip_id in broken:
        return Refusal("known_broken")
    if file.clip_id in seen:
        return Refusal("duplicate_clip_id", f"as {seen[file.clip_id]}")
    if file.size_bytes < 0 or not os.access(place, os.R_OK):
        return Refusal("unreadable", "not a file that can be read: a broken link, a pipe, or not permitted")
    if file.size_bytes == 0:
        return Refusal("empty_file")
    if file.size_bytes <= _LFS_POINTER_BYTES and _is_lfs_pointer(place):
        return Refusal("lfs_pointer")
    return None


def _is_lfs_pointer(place: Path) -> bool:
    with place.open("rb") as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER
