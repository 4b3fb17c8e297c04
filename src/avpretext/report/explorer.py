"""The clip explorer: every clip (or a sample of them) with its labels, small pictures and traces, as compact JSON.

`templates/explorer.js` shows it. Traces are means over at most `POINTS` stretches of the clip, one byte each, so that a
clip needs some 700 bytes beside its pictures.
"""

import base64
import json
from collections.abc import Collection, Mapping
from typing import Any

import cv2
import numpy as np
import polars as pl
import pyarrow as pa
from markupsafe import Markup
from numpy.typing import NDArray

from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.tasks import CHUNK_TASKS, TASKS
from avpretext.refusal import REASONS
from avpretext.report.chosen_clips import Choice
from avpretext.report.clip import SURE, decibels

Floats = NDArray[np.float64]

POINTS = 80
"""A trace is drawn from so many means at most."""

UNITS_SHOWN = 3
"""Of so many action units, the strongest of the clip, there is a trace."""

PICTURES, PIXELS, JPEG_QUALITY = 4, 80, 65
"""At most so many thumbnails of a clip are shown, so wide and high."""

QUIETEST_DB = -60.0
"""Energy below this is drawn as this; full scale is at the top."""

GAP = 255
"""Stands for a stretch without any value; 0 to 254 are the values from the bottom to the top."""


def explore(run: OpenRun, choice: Choice, fastest: float) -> dict[str, Any] | None:
    """Gather what is known of the chosen clips; None where none is chosen.

    With `report.pictures: false` there are no thumbnails. `fastest` is the landmark speed at the top of the traces, in
    inter-ocular distances per second.
    """
    if not choice.shown and not choice.refused.height:
        return None
    clips = [clip for corpus in choice.clips for clip in _clips(run, corpus, choice, fastest)]
    refused = [_without_nulls(row) for row in choice.refused.to_dicts()]
    data = {
        "units": list(ACTION_UNITS),
        "sure_from": SURE,
        "chunk_tasks": [[name, TASKS[name].title] for name in CHUNK_TASKS],
        "reasons": {row["reason"]: REASONS.get(row["reason"], "") for row in refused},
        "clips": clips,
        "refused": refused,
    }
    return {
        "data": as_script(data),
        "sentence": choice.sentence(),
        "shown": len(clips) + len(refused),
        "pictures": any("pictures" in clip for clip in clips),
        "fastest": fastest,
    }


def as_script(data: Mapping[str, Any]) -> Markup:
    """Return JSON in which nothing can end the script element that it stands in."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _clips(run: OpenRun, corpus: str, choice: Choice, fastest: float) -> list[dict[str, Any]]:
    """Return what is known of the chosen clips of a corpus, in the order of their names."""
    found: dict[str, dict[str, Any]] = {
        row["clip_id"]: {"id": row["clip_id"], "corpus": corpus, "speaker": row["speaker"]}
        | {"emotion": row["label"] or row["outcome"], "sure": _rounded(row["confidence"])}
        for row in choice.clips[corpus].iter_rows(named=True)
    }
    durations = run.read(corpus, "split.audio", ["clip_id", "duration_s"])
    for clip_id, duration_s in _among(durations, found).iter_rows():
        found[clip_id]["seconds"] = round(duration_s, 2)
    for task in CHUNK_TASKS:
        _add_chunks(found, task, run.labels(corpus, task, ["clip_id", "chunk", "start_s", "end_s", "label"]))
    _add_targets(found, run, corpus)
    for clip_id, part in run.clips(corpus, "speech", ["energy"], wanted=found):
        found[clip_id]["energy"] = trace(decibels(part["energy"].to_numpy()), QUIETEST_DB, 0.0)
    for clip_id, part in run.clips(corpus, "motion", ["speed_face"], wanted=found):
        found[clip_id]["motion"] = trace(part["speed_face"].to_numpy().astype(np.float64), 0.0, fastest)
    for clip_id, part in run.clips(corpus, "action_units", ACTION_UNITS, wanted=found):
        found[clip_id]["strongest"] = _strongest(part)
    if run.config.report.pictures:
        for clip_id, part in run.clips(corpus, "landmarks.thumbnails", ["time_s", "image"], wanted=found):
            found[clip_id]["pictures"] = _pictures(part)
    return [_without_nulls(clip) for clip in found.values()]


def _rounded(sure: float | None) -> float | None:
    return None if sure is None else round(float(sure), 2)


def _without_nulls(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}


def _among(rows: pl.DataFrame | None, clips: Collection[str]) -> pl.DataFrame:
    return pl.DataFrame() if rows is None else rows.filter(pl.col("clip_id").is_in(list(clips)))


def _add_chunks(found: dict[str, dict[str, Any]], task: str, rows: pl.DataFrame | None) -> None:
    """Add the labels of a clip's chunks, one letter each (high, low, -: none), and the times of the chunks, in s."""
    if rows is None:
        return
    for part in _among(rows, found).sort("clip_id", "chunk").partition_by("clip_id", maintain_order=True):
        clip = found[part["clip_id"][0]]
        clip[f"{task}_labels"] = "".join({1: "h", 0: "l", None: "-"}[label] for label in part["label"])
        clip["starts"] = part["start_s"].round(2).to_list()
        clip["span"] = round(float(part["end_s"][0] - part["start_s"][0]), 2)


def _add_targets(found: dict[str, dict[str, Any]], run: OpenRun, corpus: str) -> None:
    """Add the labels to learn, for targets that have names and not numbers."""
    for one in run.settings():
        targets = run.targets(corpus, one.setting) if one.corpus == corpus else None
        for row in [] if targets is None else _among(targets[0], found).iter_rows(named=True):
            if row["label"] is not None:
                found[row["clip_id"]].setdefault("targets", {})[one.setting.target_name] = row["label"]


def trace(values: Floats, bottom: float, top: float) -> str:
    """Return a signal (T,) as it is drawn: means over at most `POINTS` stretches, one byte each, as base64.

    `bottom` and `top` become 0 and 254, what lies beyond is cut off. A stretch without any value (NaN) becomes `GAP`.

    >>> list(base64.b64decode(trace(np.array([0.0, 0.5, 1.0, np.nan]), 0.0, 1.0)))
    [0, 127, 254, 255]
    """
    if not len(values):
        return ""
    ends = np.linspace(0, len(values), min(POINTS, len(values)) + 1).astype(np.int64)
    known = np.isfinite(values)
    totals, counts = (np.add.reduceat(part, ends[:-1]) for part in (np.where(known, values, 0.0), known.astype(int)))
    means = totals / np.maximum(counts, 1)
    scaled = np.rint((means - bottom) / (top - bottom) * (GAP - 1)).clip(0, GAP - 1)
    return base64.b64encode(np.where(counts > 0, scaled, GAP).astype(np.uint8).tobytes()).decode("ascii")


def _strongest(rows: pa.Table) -> list[tuple[int, str]]:
    """Return number and trace of the action units that reach highest, the strongest first."""
    units = np.stack([rows[unit].to_numpy().astype(np.float64) for unit in ACTION_UNITS])
    peaks = np.nan_to_num(units, nan=0.0).max(axis=1)
    order = np.argsort(-peaks, kind="stable")[:UNITS_SHOWN]
    return [(int(unit), trace(units[unit], 0.0, 1.0)) for unit in order if peaks[unit] > 0]


def _pictures(rows: pa.Table) -> list[tuple[float, str]]:
    """Return time and JPEG of the thumbnails, spread over those kept."""
    places = np.unique(np.linspace(0, rows.num_rows - 1, min(PICTURES, rows.num_rows)).round().astype(int))
    images = rows["image"].take(pa.array(places)).to_pylist()
    times = rows["time_s"].to_numpy()[places]
    return [(round(float(time), 2), smaller(image["bytes"])) for time, image in zip(times, images, strict=True)]


def smaller(jpeg: bytes) -> str:
    """Return a picture scaled down to `PIXELS`, as JPEG in base64."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("a thumbnail is no picture")
    scaled = cv2.resize(image, (PIXELS, PIXELS), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return base64.b64encode(encoded.tobytes()).decode("ascii")
