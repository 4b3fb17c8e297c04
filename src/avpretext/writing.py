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
    group: int | None = None, **layout: Any,
) -> None:  # fmt: skip
    """Write the rows of one clip after another, of `total` clips; the shard appears whole or not at all.

    The rows of a clip are as `shards.ShardWriter.write` takes them; None: nothing is written of it. With `group`, they
    are Arrow tables, joined to row groups of so many rows. For `layout` see `shards.ShardWriter`, for `label` see
    `label_of`.
    """
    known = (rows for rows in progress(clips, total=total, label=label) if rows is not None)
    layout |= {"row_group": group} if group else {}
    with shards.ShardWriter(output, schema, made_by, **layout) as writer:
        for rows in shards.in_groups(known, group) if group else known:
            writer.write(rows)


def warn_of(stage: str, what: str, clip_ids: Sequence[str]) -> None:
    """Warn on standard error of clips, if there are any: how many, what is odd about them, and some of their names."""
    if clip_ids:
        more = ", ..." if len(clip_ids) > _EXAMPLES else ""
        examples = ", ".join(clip_ids[:_EXAMPLES])
        print(f"{stage}: warning: {len(clip_ids)} clips {what}: {examples}{more}", file=sys.stderr)
