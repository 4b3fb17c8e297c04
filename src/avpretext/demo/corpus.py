"""The demo corpus: talking faces in CREMA-D's layout and as a folder of videos, with the truth beside them."""

import csv
import json
import multiprocessing
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import DemoOptions
from avpretext.demo import emotions
from avpretext.demo.clips import ClipPlan, Performance, facial_activation, perform
from avpretext.demo.face import Puppet
from avpretext.demo.muscles import ACTION_UNITS, MOVEMENTS
from avpretext.demo.portrait import Portraits, compose, load_portraits
from avpretext.demo.sentences import ACTED, EVERYDAY
from avpretext.demo.speakers import Speaker, draw_speaker
from avpretext.demo.video import write_clip
from avpretext.demo.votes import FILE as VOTES
from avpretext.demo.votes import write_votes
from avpretext.errors import UserError
from avpretext.flow import schemas
from avpretext.progress import progress

CORPUS_VERSION = 2
"""Raised whenever the same options would give another corpus."""

_MARKER = "complete.json"
_FIRST_ACTOR = 1101


@dataclass(frozen=True)
class ClipTruth:
    """What is known of a written clip: its plan and what was performed."""

    plan: ClipPlan
    performance: Performance


def run(output: Path, options: DemoOptions, model: Path, threads: int = 1) -> None:
    """Make the demo corpus, unless it is there already, made with the same options.

    Parameters
    ----------
    output
        Its folder; an older demo corpus in it is replaced.
    options
        How large and how hard it is.
    model
        The file face_landmarker.task.
    threads
        Number of processes.

    Raises
    ------
    UserError
        The model file is missing, or `output` holds something else.
    """
    votes = output / "labelled" / VOTES
    if is_complete(output, options):
        if not votes.is_file():
            write_votes(votes, ((plan, perform(plan, options)) for plan in _plan_labelled(options)), options.seed)
        print(f"{output}: the demo corpus is there already, made with these options")
        return
    if not model.is_file():
        raise UserError(
            f"{model}: no such file; expected MediaPipe's face_landmarker.task: run `avpretext models` first"
        )
    _clear(output)
    plans = plan_corpus(options)
    truths = list(_make_clips(plans, output, options, load_portraits(model), threads))
    _write_demographics(output, plans)
    labelled = ((truth.plan, truth.performance) for truth in truths if truth.plan.corpus == "labelled")
    write_votes(votes, labelled, options.seed)
    _write_truth(output / "truth", truths, options)
    with shards.atomic_path(output / _MARKER) as marker:
        marker.write_text(json.dumps(_made_with(options), indent=1, sort_keys=True, allow_nan=False) + "\n", "utf-8")


def is_complete(output: Path, options: DemoOptions) -> bool:
    """Whether a whole demo corpus made with these options lies in the folder."""
    marker = output / _MARKER
    return marker.is_file() and json.loads(marker.read_text("utf-8")) == _made_with(options)


def _made_with(options: DemoOptions) -> dict[str, Any]:
    return {"corpus_version": CORPUS_VERSION, "options": options.model_dump(mode="json")}


def _clear(output: Path) -> None:
    """Remove an older or unfinished demo corpus, and nothing else."""
    ours = {"labelled", "unlabelled", "truth", _MARKER}
    present = {entry.name for entry in output.iterdir()} if output.is_dir() else set()
    if present - ours:
        raise UserError(
            f"{output}: holds {min(present - ours)!r}, which is no part of a demo corpus; name a new folder"
        )
    (output / _MARKER).unlink(missing_ok=True)
    for name in ours & present - {_MARKER}:
        shutil.rmtree(output / name)


def plan_corpus(options: DemoOptions) -> list[ClipPlan]:
    """Decide who says what with which emotion, in both parts; no speaker is in both."""
    return [*_plan_labelled(options), *_plan_unlabelled(options)]


def _plan_labelled(options: DemoOptions) -> Iterator[ClipPlan]:
    """Each speaker says some of the twelve sentences with each emotion."""
    for number in range(options.labelled_speakers):
        speaker = draw_speaker(number, str(_FIRST_ACTOR + number), options.seed)
        for index, emotion in enumerate(emotions.EMOTIONS):
            rng = np.random.default_rng([options.seed, 2, number, index])
            codes = sorted(rng.choice(sorted(ACTED), options.clips_per_emotion, replace=False))
            for code in codes:
                clip_id = f"{speaker.name}_{code}_{emotion}_XX"
                seed = (options.seed, 3, number, index, sorted(ACTED).index(code))
                path = f"labelled/VideoFlash/{clip_id}.mp4"
                yield ClipPlan("labelled", clip_id, path, speaker, emotion, str(code), ACTED[code], seed)


def _plan_unlabelled(options: DemoOptions) -> Iterator[ClipPlan]:
    """Each speaker says everyday sentences, every emotion about as often; the name tells nothing of it."""
    for index in range(options.unlabelled_speakers):
        number = options.labelled_speakers + index
        speaker = draw_speaker(number, f"speaker{index + 1:02d}", options.seed)
        rng = np.random.default_rng([options.seed, 4, number])
        repeats = -(-options.clips_per_speaker // len(emotions.EMOTIONS))
        shown = rng.permutation(np.repeat(emotions.EMOTIONS, repeats))[: options.clips_per_speaker]
        said = np.concatenate([rng.permutation(len(EVERYDAY)) for _ in range(-(-len(shown) // len(EVERYDAY)))])
        for clip, (emotion, sentence) in enumerate(zip(shown, said, strict=False)):
            name = f"{speaker.name}_{clip + 1:03d}"
            path = f"unlabelled/{speaker.name}/{name}.mp4"
            clip_id = f"{speaker.name}/{name}"
            seed = (options.seed, 5, number, clip)
            yield ClipPlan(
                "unlabelled", clip_id, path, speaker, str(emotion), f"E{sentence + 1:02d}", EVERYDAY[sentence], seed
            )


def _make_clips(
    plans: list[ClipPlan], output: Path, options: DemoOptions, portraits: Portraits, threads: int
) -> Iterator[ClipTruth]:
    """Make all clips in several processes; the truth comes back in the order of the plans."""
    workers = max(1, min(threads, len(plans)))
    # spawn, since MediaPipe has left threads behind in this process, which a fork would copy half
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (output, options, portraits)) as pool:
        made = pool.map(_make_clip, plans, chunksize=4)
        yield from progress(made, total=len(plans), unit="clips", label="demo")


class _Worker:
    """What a process needs for every clip; set when it starts."""

    output: Path
    options: DemoOptions
    portraits: Portraits
    puppets: dict[str, Puppet]


def _start_worker(output: Path, options: DemoOptions, portraits: Portraits) -> None:
    import cv2
    from threadpoolctl import threadpool_limits

    cv2.setNumThreads(1)
    threadpool_limits(1)
    _Worker.output, _Worker.options, _Worker.portraits, _Worker.puppets = output, options, portraits, {}


def _make_clip(plan: ClipPlan) -> ClipTruth:
    """Make one clip in a worker process; the speaker's puppet is kept while clips of the same speaker follow."""
    if plan.speaker.name not in _Worker.puppets:
        face = compose(_Worker.portraits, plan.speaker.look, _Worker.options.size)
        _Worker.puppets = {plan.speaker.name: Puppet(face)}
    performance = perform(plan, _Worker.options)
    frames = _Worker.puppets[plan.speaker.name].render(performance.movements, performance.head)
    write_clip(_Worker.output / plan.path, frames, _Worker.options.fps, performance.sound)
    return ClipTruth(plan, performance)


def _write_demographics(output: Path, plans: list[ClipPlan]) -> None:
    """Write CREMA-D's table of actors for the labelled part."""
    actors: dict[str, Speaker] = {plan.speaker.name: plan.speaker for plan in plans if plan.corpus == "labelled"}
    path = output / "labelled" / "VideoDemographics.csv"
    with shards.atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(["ActorID", "Age", "Sex", "Race", "Ethnicity"])
        writer.writerows([int(name), actor.age, actor.sex, "Unknown", "Unknown"] for name, actor in actors.items())


def _write_truth(folder: Path, truths: list[ClipTruth], options: DemoOptions) -> None:
    """Write what is known of every clip: emotion and energy, action units per frame, phonemes."""
    made_by = shards.provenance("demo", _made_with(options))
    shards.write_table(folder / "clips.parquet", [_clip_row(t, options) for t in truths], schemas.TRUTH_CLIPS, made_by)
    phonemes = [
        {**_key(t), "start_s": p.start_s, "end_s": p.end_s, "phoneme": p.name}
        for t in truths
        for p in t.performance.phonemes
    ]
    shards.write_table(folder / "phonemes.parquet", phonemes, schemas.TRUTH_PHONEMES, made_by)
    with shards.ShardWriter(folder / "action_units.parquet", schemas.TRUTH_ACTION_UNITS, made_by) as writer:
        for truth in truths:
            writer.write(_action_unit_columns(truth, options.fps))


def _key(truth: ClipTruth) -> dict[str, str]:
    return {"corpus": truth.plan.corpus, "clip_id": truth.plan.clip_id}


def _clip_row(truth: ClipTruth, options: DemoOptions) -> Mapping[str, Any]:
    plan, performance = truth.plan, truth.performance
    return {
        **_key(truth),
        "speaker": plan.speaker.name,
        "emotion": plan.emotion,
        "sentence": plan.sentence,
        "text": plan.text,
        "vocal_energy": performance.arousal,
        "facial_activation": facial_activation(performance.movements, ACTION_UNITS, options.fps),
    }


def _action_unit_columns(truth: ClipTruth, fps: float) -> dict[str, Any]:
    """The columns of one clip; units that this face cannot show are 0."""
    count = len(truth.performance.movements)
    columns: dict[str, Any] = {key: [value] * count for key, value in _key(truth).items()}
    columns["frame"] = np.arange(count, dtype=np.int32)
    columns["time_s"] = np.arange(count) / fps
    for name in schemas.ACTION_UNITS:
        columns[name] = _shown(truth.performance.movements, name)
    return columns


def _shown(movements: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if name not in MOVEMENTS:
        return np.zeros(len(movements), np.float32)
    return movements[:, MOVEMENTS.index(name)]
