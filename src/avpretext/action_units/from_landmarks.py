"""Action unit intensities out of MediaPipe's blendshapes and landmark distances: the backend `blendshapes`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units import formulas, neutral, unit_shards
from avpretext.action_units.measures import RestingFace, measure
from avpretext.config import ActionUnitOptions
from avpretext.corpora.who import named_speakers
from avpretext.errors import UserError
from avpretext.face.landmark_shards import ClipLandmarks, blocks, read_clips

Floats = NDArray[np.float64]

AT_A_TIME = 2000
"""Frames whose evidence is held at a time: 13 MB for each array of it."""


def run(landmarks: Path, index: Path, neutral_faces: Path | None, options: ActionUnitOptions, output: Path) -> None:
    """Measure the action units in every frame of a shard.

    `neutral_faces`, the artefact of `neutral`, is needed with `calibration: speaker` only.
    """
    rest_of = resting_faces(index, neutral_faces, options)
    measured = ((clip.keys, from_blendshapes(clip, rest_of(clip.clip_id))) for clip in read_clips(landmarks))
    shaped_by = {"backend": "blendshapes", "calibration": options.calibration}
    unit_shards.write(output, measured, len(shards.rows_per_clip(landmarks)), shaped_by)


Rest = tuple[RestingFace, bool]
"""A resting face, and whether the clip's own face is still to be blended with it."""


def resting_faces(index: Path, neutral_faces: Path | None, options: ActionUnitOptions) -> Callable[[str], Rest]:
    """Return the function from a clip to the resting face it is calibrated by.

    Calibration by speaker without the artefact of `neutral` is an error.
    """
    if options.calibration == "none":
        return lambda clip_id: (neutral.TYPICAL, False)
    if neutral_faces is None and options.calibration == "speaker":
        raise UserError("action_units.calibration = 'speaker' needs the resting faces; run the stage 'neutral' first")
    faces = {} if neutral_faces is None else neutral.read_resting_faces(neutral_faces)
    speakers = named_speakers([index]) if options.calibration == "speaker" else {}
    everybody = (faces.get(neutral.EVERYBODY, neutral.TYPICAL), True)

    def rest_of(clip_id: str) -> Rest:
        speaker = speakers.get(clip_id)
        return (faces[speaker], False) if speaker in faces else everybody

    return rest_of


def from_blendshapes(clip: ClipLandmarks, rest: Rest) -> Floats:
    """Return the action units of a clip, shape (F, 20), 0..1, NaN in gaps; see `formulas`."""
    values = measure(clip.points, clip.blendshapes)
    face = neutral.face_of_clip(clip, values, rest[0]) if rest[1] else rest[0]
    return np.concatenate([formulas.intensities(values[part], face) for part in blocks(len(values), AT_A_TIME)])
