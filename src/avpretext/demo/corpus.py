"""The demo corpus: talking faces in CREMA-D's layout and as a folder of videos, with the truth beside them."""

import csv
import functools
import json
import multiprocessing
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from avpretext import shards, yaml_files
from avpretext.config import DemoOptions
from avpretext.corpora.readers.crema_d import SENTENCES
from avpretext.demo import emotions
from avpretext.demo.clips import ClipPlan, Performance, perform, write_clip
from avpretext.demo.face import Puppet
from avpretext.demo.muscles import MOVEMENTS
from avpretext.demo.portrait import Look, compose, load_portraits
from avpretext.demo.speakers import draw_speaker
from avpretext.demo.votes import FILE as VOTES
from avpretext.demo.votes import write_votes
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.provenance import provenance
from avpretext.programs import command
from avpretext.progress import progress

CORPUS_VERSION = 2
"""Raised whenever the same options would give another corpus."""

EVERYDAY: list[str] = yaml_files.of_package("avpretext.demo", "sentences.yaml")
"""What speakers of the unlabelled part say."""

_MARKER = "complete.json"
_FIRST_ACTOR = 1101


def run(output: Path, options: DemoOptions, model: Path, threads: int = 1) -> None:
    """Make the demo corpus, unless it is there already, made with the same options; an older one is replaced.

    `model` is the file face_landmarker.task, `threads` the number of processes. It is an error if the model file is
    missing, or if `output` holds something else.
    """
    votes = output / "labelled" / VOTES
    if is_complete(output, options):
        if not votes.is_file():
            write_votes(votes, (perform(plan, options) for plan in _plan_labelled(options)), options.seed)
        print(f"{output}: the demo corpus is there already, made with these options")
        return
    if not model.is_file():
        raise UserError(
            f"{model}: no such file; expected MediaPipe's face_landmarker.task: run"
            f" `{command('avpretext models')}` first"
        )
    _clear(output)
    clips = list(_make_clips(plan_corpus(options), output, options, model, threads))
    labelled = [clip for clip in clips if clip.plan.corpus == "labelled"]
    _write_demographics(output / "labelled" / "VideoDemographics.csv", labelled)
    write_votes(votes, labelled, options.seed)
    _write_truth(output / "truth", clips, options)
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
    """Plan speakers, sentences and emotions of both parts; no speaker is in both."""
    return [*_plan_labelled(options), *_plan_unlabelled(options)]


def _plan_labelled(options: DemoOptions) -> Iterator[ClipPlan]:
    """Each speaker says some of the twelve sentences of CREMA-D with each emotion."""
    codes = sorted(SENTENCES)
    for number in range(options.labelled_speakers):
        speaker = draw_speaker(number, str(_FIRST_ACTOR + number), options.seed)
        for index, emotion in enumerate(emotions.EMOTIONS):
            rng = np.random.default_rng([options.seed, 2, number, index])
            for code in sorted(rng.choice(codes, options.clips_per_emotion, replace=False).tolist()):
                clip_id = f"{speaker.name}_{code}_{emotion}_XX"
                seed = (options.seed, 3, number, index, codes.index(code))
                path = f"labelled/VideoFlash/{clip_id}.mp4"
                yield ClipPlan("labelled", clip_id, path, speaker, emotion, code, SENTENCES[code], seed)


def _plan_unlabelled(options: DemoOptions) -> Iterator[ClipPlan]:
    """Each speaker says everyday sentences, every emotion about as often; the name tells nothing of it."""
    for index in range(options.unlabelled_speakers):
        number = options.labelled_speakers + index
        speaker = draw_speaker(number, f"speaker{index + 1:02d}", options.seed)
        rng = np.random.default_rng([options.seed, 4, number])
        repeats = -(-options.clips_per_speaker // len(emotions.EMOTIONS))
        shown = rng.permutation(np.repeat(emotions.EMOTIONS, repeats))[: options.clips_per_speaker].tolist()
        said = np.concatenate([rng.permutation(len(EVERYDAY)) for _ in range(-(-len(shown) // len(EVERYDAY)))])
        for clip, (emotion, sentence) in enumerate(zip(shown, said.tolist(), strict=False)):
            clip_id = f"{speaker.name}/{speaker.name}_{clip + 1:03d}"
            code, seed = f"E{sentence + 1:02d}", (options.seed, 5, number, clip)
            path = f"unlabelled/{clip_id}.mp4"
            yield ClipPlan("unlabelled", clip_id, path, speaker, emotion, code, EVERYDAY[sentence], seed)


def _make_clips(
    plans: list[ClipPlan], output: Path, options: DemoOptions, model: Path, threads: int
) -> Iterator[Performance]:
    """Make all clips, by several threads in as many processes; the truth comes back in the order of the plans."""
    make = functools.partial(_make_clip, output=output, options=options, model=model)
    if threads <= 1:
        yield from progress(map(make, plans), total=len(plans), unit="clips", label="demo")
        return
    # spawn, since libraries have left threads behind in this process, which a fork would copy half
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(threads, len(plans)), context) as pool:
        yield from progress(pool.map(make, plans, chunksize=4), total=len(plans), unit="clips", label="demo")


def _make_clip(plan: ClipPlan, output: Path, options: DemoOptions, model: Path) -> Performance:
    cv2.setNumThreads(1)
    with threadpool_limits(1):
        clip = perform(plan, options)
        frames = _puppet(model, plan.speaker.look, options.size).render(clip.movements, clip.head)
        write_clip(output / plan.path, frames, options.fps, clip.sound)
    return clip


_portraits = functools.cache(load_portraits)


@functools.lru_cache(1)
def _puppet(model: Path, look: Look, size: int) -> Puppet:
    """Return a speaker's puppet, kept while clips of the same speaker follow."""
    return Puppet(compose(_portraits(model), look, size))


def _write_demographics(path: Path, clips: Sequence[Performance]) -> None:
    actors = {clip.plan.speaker.name: clip.plan.speaker for clip in clips}
    with shards.atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(["ActorID", "Age", "Sex", "Race", "Ethnicity"])
        writer.writerows([int(name), actor.age, actor.sex, "Unknown", "Unknown"] for name, actor in actors.items())


def _write_truth(folder: Path, clips: Sequence[Performance], options: DemoOptions) -> None:
    """Write what is known of every clip: emotion and energy, action units per frame, phonemes."""
    made_by = provenance("demo", _made_with(options))
    rows = [
        _key(clip)
        | {name: getattr(clip.plan, name) for name in ("emotion", "sentence", "text")}
        | {"speaker": clip.plan.speaker.name, "vocal_energy": clip.prosody.arousal}
        | {"facial_activation": clip.facial_activation(options.fps)}
        for clip in clips
    ]
    shards.write_table(folder / "clips.parquet", rows, schema_of("truth.clips"), made_by)
    phonemes = [
        _key(clip) | {"start_s": one.start_s, "end_s": one.end_s, "phoneme": one.name}
        for clip in clips
        for one in clip.phonemes
    ]
    shards.write_table(folder / "phonemes.parquet", phonemes, schema_of("truth.phonemes"), made_by)
    with shards.ShardWriter(folder / "action_units.parquet", schema_of("truth.action_units"), made_by) as writer:
        for clip in clips:
            writer.write(_action_unit_columns(clip, options.fps))


def _key(clip: Performance) -> dict[str, Any]:
    return {"corpus": clip.plan.corpus, "clip_id": clip.plan.clip_id}


def _action_unit_columns(clip: Performance, fps: float) -> dict[str, Any]:
    """The columns of one clip; units that this face cannot show are 0."""
    frame = np.arange(len(clip.movements), dtype=np.int32)
    shown = dict(zip(MOVEMENTS, clip.movements.T, strict=True))
    nothing = np.zeros(len(frame), np.float32)
    return {
        **{name: [value] * len(frame) for name, value in _key(clip).items()},
        "frame": frame,
        "time_s": np.arange(len(frame)) / fps,
        **{name: shown.get(name, nothing) for name in ACTION_UNITS},
    }
