"""The face in a video: a few frames with the landmarks, and its strongest action units."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avpretext import extras
from avpretext.config import LandmarkOptions, MediaOptions
from avpretext.errors import UserError
from avpretext.face.model_file import verified
from avpretext.flow.columns import ACTION_UNITS
from avpretext.media import ffmpeg
from avpretext.media.decode import Picture, decode
from avpretext.media.stretches import WHOLE, Stretch
from avpretext.predict.hearing import LONGEST_S
from avpretext.programs import command
from avpretext.refusal import REASONS, Refusal

if TYPE_CHECKING:
    from avpretext.serve.face_frames import FaceFrames

Floats = NDArray[np.float64]

FIRST_S = 30.0
"""So much of a video is looked at, so that the page answers soon."""

UNITS = 5
"""So many action units are shown."""

PICTURES, BOX = 3, (260, 260)
"""Frames that are shown; width and height of each, in pixels, at most."""


class Shown(NamedTuple):
    """A frame with the landmarks on it, as JPEG, and its time in seconds."""

    time_s: float
    jpeg: bytes


@dataclass(frozen=True)
class FaceLook:
    """What was seen of a face in F frames.

    Attributes
    ----------
    pictures
        A few frames.
    time_s
        (F,) seconds.
    units
        Intensity of the strongest action units, the strongest first, each (F,), 0..1, NaN without a face.
    """

    pictures: list[Shown]
    time_s: Floats
    units: dict[str, Floats]


def look_at_face(file: Path, face_model: Path, duration_s: float) -> tuple[FaceLook | None, str]:
    """Follow the face through the start of a file that lasts so long; nothing for one without pictures.

    Where there are pictures and nothing is seen, the reason is returned in words.
    """
    options = MediaOptions(max_duration_s=LONGEST_S)
    stretch = Stretch(0.0, FIRST_S) if duration_s > FIRST_S else WHOLE
    seen, why = _face_frames(face_model, options.fps)
    look = _first if seen is None else seen.follow
    found = decode(file, ffmpeg.program(options.ffmpeg), options, True, stretch=stretch, look=look)
    if isinstance(found, Refusal):
        return None, "" if found.reason == "no_video" else REASONS[found.reason].partition(";")[0]
    if seen is None or not seen.detected:
        return None, why or "no face is found in the pictures"
    return _shown(seen), ""


def _face_frames(face_model: Path, fps: float) -> "tuple[FaceFrames | None, str]":
    """Return what looks at frames, or in words what it lacks."""
    if not face_model.exists():
        return None, f"{face_model} is missing; get it with: {command(f'avpretext models --output {face_model}')}"
    try:
        with extras.told():
            from avpretext.serve.face_frames import FaceFrames
        verified(face_model)
    except UserError as error:
        return None, str(error)
    return FaceFrames(face_model, LandmarkOptions(), fps), ""


def _first(frames: Iterator[Picture]) -> None:
    next(frames, None)


def _shown(seen: "FaceFrames") -> FaceLook:
    values = seen.action_units()
    highest = np.nanmax(values, axis=0)
    strongest = sorted(range(len(ACTION_UNITS)), key=lambda unit: (-highest[unit], unit))[:UNITS]
    units = {ACTION_UNITS[unit]: values[:, unit] for unit in strongest}
    pictures = [Shown(time_s, jpeg) for time_s, jpeg in seen.pictures(PICTURES, BOX)]
    return FaceLook(pictures, seen.time_s, units)
