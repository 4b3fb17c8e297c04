"""The tool `tensorboard`: training curves of a results folder as TensorBoard event files.

They are made after the fact from the `history` shards; `tracking: [tensorboard]` writes the same curves meanwhile.
"""

import json
from pathlib import Path

import polars as pl

from avpretext import shards
from avpretext.errors import UserError, expect_folder
from avpretext.flow.artefacts import ARTEFACTS
from avpretext.training.curves import EVENTS, EventFile
from avpretext.training.predictions import HistoryRow


def run(results: Path, output: Path) -> list[str]:
    """Write the curves of every training below a results folder, and return the names of the runs.

    `output` is the log folder for `tensorboard --logdir`: a run per seed of a pre-training
    (`pretrain/mean/energy/seed0`), and per fold and seed of a fine-tuning
    (`CORPUS/finetune/SETTING/VARIANT/START/fold0.seed0`). A curve is `MEASURE/SPLIT`, such as `loss/dev`, over epochs.
    It is an error if nothing was trained.
    """
    expect_folder(results, "name a folder of results")
    written = []
    for history in _histories(results):
        place = history.parent.relative_to(results)
        rows = shards.read(history)
        numbered = [name for name in ("fold", "seed") if name in rows.columns]
        systems = [name for name in ("initialisation",) if name in rows.columns and rows[name].n_unique() > 1]
        for key, of_run in rows.group_by([*numbered, *systems], maintain_order=True):
            run = ".".join(f"{name}{number}" for name, number in zip(numbered, key, strict=False))
            written.append(_write(output, Path(place, *map(str, key[len(numbered) :]), run), of_run))
    if not written:
        raise UserError(f"{results}: no history.parquet below it, so nothing was trained there; run the workflow first")
    return written


def _histories(results: Path) -> list[Path]:
    """Return the histories that the run's manifest lists, those of orofacial systems, and all where it has none yet."""
    manifest = results / ARTEFACTS["manifest"].place
    if not manifest.is_file():
        return sorted(results.rglob("history.parquet"))
    entries = json.loads(manifest.read_text("utf-8"))["artefacts"]
    listed = [results / file for entry in entries for file in entry["files"] if entry["artefact"].endswith(".history")]
    return sorted({*listed, *results.glob(ARTEFACTS["orofacial_system.history"].place.format(system="*"))})


def _write(output: Path, run_name: Path, rows: pl.DataFrame) -> str:
    folder = output / run_name
    folder.mkdir(parents=True, exist_ok=True)
    with shards.atomic_path(folder / EVENTS) as temporary:
        file = EventFile(temporary)
        values = rows.select(HistoryRow._fields).drop_nulls().sort("epoch", "measure", "split")
        file.write([HistoryRow(*row) for row in values.iter_rows()])
        file.close()
    return run_name.as_posix()
