"""What a stage makes clip by clip becomes a shard, with progress told on the way."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from avpretext import shards
from avpretext.progress import progress

_EXAMPLES = 5


def label_of(stage: str, artefact: Path) -> str:
    """Return what progress is told of: stage, corpus and shard, as in `{corpus}/{stage}/{shard}.parquet`."""
    path = Path(artefact).absolute()
    return f"{stage} {path.parent.parent.name}/{path.stem}"


def write_shard(
    label: str, output: Path, schema: pa.Schema, made_by: Mapping[str, Any], clips: Iterable[Any], total: int,
    **layout: Any,
) -> None:  # fmt: skip
    """Write the rows of one clip after another; the shard appears whole or not at all.

    Parameters
    ----------
    label
        For progress; see `label_of`.
    output, schema, made_by, layout
        See `shards.ShardWriter`.
    clips
        The rows of each clip, as `shards.ShardWriter.write` takes them; None: nothing is written of it.
    total
        Number of clips.
    """
    with shards.ShardWriter(output, schema, made_by, **layout) as writer:
        for rows in progress(clips, total=total, label=label):
            if rows is not None:
                writer.write(rows)


def write_grouped(
    label: str, output: Path, schema: pa.Schema, made_by: Mapping[str, Any], clips: Iterable[pa.Table | None],
    total: int, group: int,
) -> None:  # fmt: skip
    """Write the rows of one clip after another, joined to row groups of `group` rows; see `write_shard`."""
    told = progress(clips, total=total, label=label)
    with shards.ShardWriter(output, schema, made_by, row_group=group) as writer:
        for rows in shards.in_groups((rows for rows in told if rows is not None), group):
            writer.write(rows)


def warn_of(stage: str, what: str, clip_ids: Sequence[str]) -> None:
    """Warn on standard error of clips, if there are any: how many, what is odd about them, and some of their names."""
    if clip_ids:
        more = ", ..." if len(clip_ids) > _EXAMPLES else ""
        examples = ", ".join(clip_ids[:_EXAMPLES])
        print(f"{stage}: warning: {len(clip_ids)} clips {what}: {examples}{more}", file=sys.stderr)
