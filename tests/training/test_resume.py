"""A pre-training that was stopped goes on only from what the same clips and labels gave."""

from pathlib import Path

import polars as pl
import pytest

from avpretext import shards
from avpretext.training import checkpoint as checkpoints
from avpretext.training import pretrain

from .conftest import TinyCorpus
from .test_pretrain import Killed, config, run


def test_with_other_labels_it_starts_afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other labels of the same clips: the first epochs of the stopped run are none of the new one."""
    (tmp_path / "tiny").mkdir()
    tiny, write = TinyCorpus(tmp_path / "tiny").write(), checkpoints.write

    def write_and_die(path: Path, *content: object) -> None:
        write(path, *content)  # type: ignore[arg-type]
        raise Killed

    monkeypatch.setattr(checkpoints, "write", write_and_die)
    with pytest.raises(Killed):
        run(tiny, tmp_path / "killed", ("energy",), config())
    monkeypatch.setattr(checkpoints, "write", write)
    assert list((tmp_path / "killed").rglob(pretrain.RESUME))
    table = tiny.labels["energy"]
    rows, schema, made_by = shards.read(table), shards.read_schema(table), shards.read_provenance(table)
    shards.write_table(table, rows.with_columns(label=1 - pl.col("label")), schema, made_by)
    resumed = run(tiny, tmp_path / "killed", ("energy",), config())
    fresh = run(tiny, tmp_path / "fresh", ("energy",), config())
    assert resumed.read_bytes() == fresh.read_bytes()
