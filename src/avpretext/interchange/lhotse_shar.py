"""The labels of a corpus as cuts of Lhotse in its form Shar: audio, landmarks and action units in tar files.

`lhotse.CutSet.from_shar(in_dir=FOLDER)` reads them. A cut is a clip, with one supervision: speaker, sex, and in
`custom` the targets and pseudo-labels of a row of `clip_rows`, and the part of each fold. `cut.load_landmarks()` is
(frames, 1434) pixels, `cut.load_action_units()` (frames, units) of 0 to 1, NaN where no face was found;
`cut.action_units_columns` names the units.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lhotse
import numpy as np
import polars as pl
from lhotse import MonoCut
from lhotse.shar import SharWriter
from lhotse.shar.utils import to_shar_placeholder
from numpy.typing import NDArray

from avpretext import shards
from avpretext.interchange.clip_rows import clip_rows
from avpretext.interchange.label_tables import LabelTables, iterate_audio

CUTS_PER_SHARD = 1000


def write(tables: LabelTables, folder: Path, audio: bool) -> list[str]:
    """Write the cuts; return the names of what each holds: `recording` if `audio`, and arrays."""
    fields = ({"recording": "flac"} if audio else {}) | dict.fromkeys(tables.faces, "numpy")
    rows = {row["clip_id"]: row for row in clip_rows(tables).iter_rows(named=True)}
    folds = _folds(tables)
    faces = {name: {file.name: file for file in files} for name, files in tables.faces.items()}
    with SharWriter(str(folder), fields, CUTS_PER_SHARD, warn_unused_fields=False) as writer:
        for shard, clip_id, content in iterate_audio(tables):
            cut = _cut(rows[clip_id], folds.get(clip_id, {}), content)
            for name, files in faces.items():
                if shard in files:  # a shard may not be made yet
                    cut = _with_frames(cut, name, shards.read_clip(files[shard], clip_id))
            if not audio:
                cut.recording = to_shar_placeholder(cut.recording)
            writer.write(cut)
    return ["cuts", *fields]


def _folds(tables: LabelTables) -> dict[str, dict[str, str]]:
    """Return {clip_id: {name of setting and fold: part}}."""
    found: dict[str, dict[str, str]] = {}
    for setting, rows in tables.folds.items():
        for name, part, clip_id in rows.select("name", "part", "clip_id").iter_rows():
            found.setdefault(clip_id, {})[f"{setting}.{name}"] = part
    return found


def _cut(row: Mapping[str, Any], folds: Mapping[str, str], content: bytes) -> MonoCut:
    """Return a clip as a cut with its audio in memory."""
    name = row["clip_id"]
    recording = lhotse.Recording.from_bytes(content, name)
    told = {key: value for key, value in row.items() if key not in ("clip_id", "speaker", "sex", "duration_s")}
    of_speaker = lhotse.SupervisionSegment(
        id=name, recording_id=name, start=0.0, duration=recording.duration, speaker=row["speaker"], gender=row["sex"],
        custom={**told, "folds": dict(folds)},
    )  # fmt: skip
    return MonoCut(
        id=name, start=0.0, duration=recording.duration, channel=0, recording=recording, supervisions=[of_speaker]
    )


def _with_frames(cut: MonoCut, name: str, rows: pl.DataFrame) -> MonoCut:
    """Return a cut with an array of its frames; without one where the clip was refused there."""
    if rows.is_empty():
        return cut
    fps = 1 / (rows["time_s"][1] - rows["time_s"][0]) if rows.height > 1 else 1 / cut.duration
    values, columns = _array(name, rows)
    with_array = cut.attach_tensor(name, values, frame_shift=1 / fps, temporal_dim=0)
    with_array.custom = {**(with_array.custom or {}), f"{name}_fps": round(fps, 6), f"{name}_columns": columns}
    return with_array


def _array(name: str, rows: pl.DataFrame) -> tuple[NDArray[np.float32], list[str]]:
    """Return the values of frames (frames, columns), NaN where nothing was measured, and what the columns are."""
    if name == "action_units":
        units = [column for column in rows.columns if column.startswith("AU")]
        return rows.select(units).fill_null(np.nan).to_numpy().astype(np.float32), units
    found = [points for points in rows["landmarks"].to_list() if points is not None]
    values = np.full((rows.height, len(found[0]) if found else 0), np.nan, np.float32)
    values[rows["landmarks"].is_not_null().to_numpy()] = found
    return values, ["x", "y", "z"]
