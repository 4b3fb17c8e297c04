"""Shards of a pre-trained encoder whose classes stand in one of its layers alone."""

from pathlib import Path
from typing import Any

import numpy as np

from avpretext import shards
from avpretext.config import ChunkOptions
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.options.base import settled
from avpretext.options.pretrained_encoders import EncoderOptions

from .conftest import CLASSES, TinyCorpus

LAYERS, SIZE, TELLING = 4, 6, 2
"""Layers, numbers of each, and the layer that tells the classes apart."""

GRID = ChunkOptions(length_s=0.2, count=3)


def write(corpus: TinyCorpus, files: tuple[str, ...] = ("encoder0", "encoder1"), **changes: Any) -> list[Path]:
    """Write the clips of a corpus as two shards; `changes` are other parts of the provenance."""
    paths = [corpus.folder / f"{file}.parquet" for file in files]
    for shard, path in enumerate(paths):
        write_shard(path, corpus.rows[shard :: len(paths)], **changes)
    return paths


def write_shard(path: Path, rows: list[dict[str, Any]], pool: str = "chunks", **changes: Any) -> None:
    """Write clips, every layer but one noise."""
    options = EncoderOptions(pool=pool, folder="somewhere")
    made_by = provenance(
        "encoder",
        settled(options),
        changes.pop("models", {"model.safetensors": "ab" * 32}),
        **{"encoder": "tiny", "kind": "wavlm", "hub": None, "layers": list(range(LAYERS)), "size": SIZE}
        | {"chunks": GRID.model_dump() if pool == "chunks" else None, **changes},
    )
    schema = schema_of("encoder", types={"values": f"halffloat[{LAYERS * SIZE}]"})
    table = [line for row in rows for line in lines_of(row, GRID.count if pool == "chunks" else 1)]
    shards.write_table(path, table, schema, made_by)


def lines_of(row: dict[str, Any], chunks: int) -> list[dict[str, Any]]:
    """Return the chunks of a clip of half a second."""
    rng = np.random.default_rng(sum(row["clip_id"].encode()))
    found = []
    for chunk in range(chunks):
        values = rng.normal(size=(LAYERS, SIZE))
        values[TELLING] *= 0.3
        values[TELLING, CLASSES.index(row["label"])] += 3
        middle = 0.25 if chunks == 1 else 0.1 + 0.15 * chunk
        found.append({"clip_id": row["clip_id"], "frame": chunk, "time_s": middle})
        found[-1]["values"] = (10 * values + 5).astype(np.float16).ravel()
    return found
