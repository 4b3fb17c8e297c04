"""The labels of a corpus as EmoBox's lists (Ma et al., Interspeech 2024; github.com/emo-box/EmoBox).

Of each setting a folder with `label_map.json` and, for each fold, `fold_1/NAME_train_fold_1.jsonl`, `..._valid_...` and
`..._test_...`; paths of the audio are relative to the folder that holds the settings.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from avpretext.errors import UserError
from avpretext.interchange.label_tables import LabelTables, TargetTable, file_of, write_audio

PARTS = {"train": "train", "dev": "valid", "test": "test"}
SAMPLE_RATE_HZ = 16_000


def write(tables: LabelTables, folder: Path, audio: bool) -> list[str]:
    """Write the lists of every setting whose clips have one label each; return the names of the settings.

    Raises
    ------
    UserError
        No target is of that kind: EmoBox knows no others.
    """
    settings = {name: rows for name, rows in tables.folds.items() if _target_of(name, tables).kind == "hard"}
    if not settings:
        raise UserError(f"{tables.corpus}: no folds of a target with one label per clip, which EmoBox's lists are of")
    for setting, rows in settings.items():
        target = _target_of(setting, tables)
        labels = dict(target.rows.select("clip_id", "label").iter_rows())
        place = folder / setting
        place.mkdir()
        (place / "label_map.json").write_text(
            json.dumps({name: name for name in target.classes}, indent=2) + "\n", "utf-8"
        )
        _write_folds(tables, rows, labels, place)
    if audio:
        write_audio(tables, folder)
    return list(settings)


def _target_of(setting: str, tables: LabelTables) -> TargetTable:
    return tables.targets[setting.rpartition(".")[0]]


def _write_folds(tables: LabelTables, rows: pl.DataFrame, labels: Mapping[str, str], place: Path) -> None:
    lengths = dict(tables.clips.select("clip_id", "duration_s").iter_rows())
    for (fold, part), of_part in rows.group_by("fold", "part", maintain_order=True):
        if part not in PARTS:
            continue
        number = int(str(fold)) + 1  # ours count from 0
        file = place / f"fold_{number}" / f"{tables.corpus}_{PARTS[str(part)]}_fold_{number}.jsonl"
        file.parent.mkdir(exist_ok=True)
        entries = _entries(tables.corpus, of_part["clip_id"].to_list(), labels, lengths)
        file.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries), "utf-8")


def _entries(
    corpus: str, clip_ids: list[str], labels: Mapping[str, str], lengths: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    for clip_id in clip_ids:
        yield {
            "key": f"{corpus}-{clip_id}", "dataset": corpus, "wav": file_of(clip_id), "type": "raw",
            "sample_rate": SAMPLE_RATE_HZ, "num_frame": round(SAMPLE_RATE_HZ * lengths[clip_id]), "task": "category",
            "length": lengths[clip_id], "emo": labels[clip_id], "channel": 1,
        }  # fmt: skip
