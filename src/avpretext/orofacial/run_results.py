"""What orofacial training writes: what each system says of clips that it was not trained on, beside what is true."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from avpretext import shards
from avpretext.config import Config
from avpretext.corpora.protocols import Fold
from avpretext.face.landmark_shards import lists
from avpretext.flow import schemas
from avpretext.models.losses import NO_LABEL
from avpretext.orofacial.movement_data import OrofacialClips
from avpretext.orofacial.movement_folds import speaker_leaks
from avpretext.orofacial.networks import EMOTION, MOVEMENT, VISEME
from avpretext.training.finished import Run
from avpretext.training.predictions import Prediction


def write_results(
    runs: Sequence[Run],
    system: str,
    clips: OrofacialClips,
    folds: Sequence[Fold],
    config: Config,
    output: Path,
    started: bool,
) -> None:
    """Write predictions by fold, seed, clip and frame, what is said of each clip, and the history."""
    made_by = shards.provenance(
        "orofacial_system",
        {"seed": config.seed, "orofacial": config.orofacial.model_dump(mode="json", exclude={"threads", "checkpoint"})},
        system=system,
        classes=clips.classes,
        fps=config.split.fps,
        protocol=config.orofacial.protocol,
        folds=len(folds),
        speaker_leaks=speaker_leaks(folds, clips.names, clips.speakers),
        started=started,
    )
    with shards.ShardWriter(output / "predictions.parquet", schemas.OROFACIAL_FRAMES, made_by) as writer:
        for table in shards.in_groups(_frames(runs, clips), 10_000):
            writer.write(table)
    rows = [row for run in runs for row in _clip_rows(run, clips)]
    shards.write_table(output / "clips.parquet", rows, schemas.OROFACIAL_CLIPS, made_by)
    history = [{"fold": run.fold, "seed": run.seed, **row._asdict()} for run in runs for row in run.history]
    shards.write_table(output / "history.parquet", history, schemas.OROFACIAL_HISTORY, made_by)


def _frames(runs: Sequence[Run], clips: OrofacialClips) -> Iterator[pa.Table]:
    """Yield the frames of each test clip of each run."""
    row_of = {name: row for row, name in enumerate(clips.names)}
    for run in runs:
        parts = {part.split: part for part in run.predictions}
        place = 0
        for name in parts[MOVEMENT].names:
            row = row_of[name]
            frames = slice(place, place + len(clips.steps[row]))
            place = frames.stop
            seen = _named(parts.get(VISEME), frames, clips.classes["viseme"])
            yield _clip_frames(run, name, parts[MOVEMENT].probabilities[frames], seen, clips, row)


def _named(part: Prediction | None, frames: slice, names: Sequence[str]) -> list[str | None]:
    """Return the likeliest viseme of each frame, None of a system without visemes."""
    if part is None:
        return [None] * (frames.stop - frames.start)
    return [names[number] for number in part.probabilities[frames].argmax(axis=1)]


def _clip_frames(
    run: Run, name: str, moved: Any, seen: Sequence[str | None], clips: OrofacialClips, row: int
) -> pa.Table:
    count = len(moved)
    known = [None if number == NO_LABEL else clips.classes["viseme"][number] for number in clips.visemes[row]]
    corpus, _, clip_id = name.partition("/")
    columns = {
        "fold": np.full(count, run.fold, np.int32), "seed": np.full(count, run.seed, np.int32),
        "corpus": [corpus] * count, "clip_id": [clip_id] * count, "speaker": [clips.speakers[row]] * count,
        "frame": np.arange(count, dtype=np.int32), "movement": lists(moved), "truth": lists(clips.movement[row]),
        "viseme": pa.array(seen, pa.string()), "true_viseme": pa.array(known, pa.string()),
    }  # fmt: skip
    return pa.table(columns, schema=schemas.OROFACIAL_FRAMES)


def _clip_rows(run: Run, clips: OrofacialClips) -> Iterator[dict[str, Any]]:
    """Yield a row for each test clip of a run: the emotion that is known, and the one that is said."""
    parts = {part.split: part for part in run.predictions}
    row_of = {name: row for row, name in enumerate(clips.names)}
    names, said = clips.classes["emotion"], parts.get(EMOTION)
    for place, name in enumerate(parts[MOVEMENT].names):
        number = int(clips.emotion[row_of[name]])
        corpus, _, clip_id = name.partition("/")
        yield {
            "fold": run.fold, "seed": run.seed, "corpus": corpus, "clip_id": clip_id,
            "speaker": clips.speakers[row_of[name]], "emotion": None if number == NO_LABEL else names[number],
            "predicted": names[int(said.probabilities[place].argmax())] if said else None,
            "probabilities": said.probabilities[place].tolist() if said else None,
        }  # fmt: skip
