"""Action unit intensities out of MediaPipe's blendshapes and landmark distances: the backend `blendshapes`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units import formulas, neutral, unit_shards
from avpretext.action_units.measures import measure
from avpretext.config import ActionUnitOptions
from avpretext.corpora.who import named_speakers
from avpretext.errors import UserError
from avpretext.face import geometry
from avpretext.face.landmark_shards import ClipLandmarks, blocks, evenly, read_clips

Floats = NDArray[np.float64]

AT_A_TIME = 2000
"""Frames whose evidence is held at a time: 13 MB for each array of it."""


def run(landmarks: Path, index: Path, neutral_faces: Path | None, options: ActionUnitOptions, output: Path) -> None:
    """Measure the action units in every frame of a shard.

    Parameters
    ----------
    neutral_faces
        Artefact of `neutral`; needed with `calibration: speaker` only.
    """
    rest_of = resting_faces(index, neutral_faces, options)
    measured = ((clip.keys, from_blendshapes(clip, rest_of(clip.clip_id))) for clip in read_clips(landmarks))
    shaped_by = {"backend": "blendshapes", "calibration": options.calibration}
    unit_shards.write(output, measured, len(shards.rows_per_clip(landmarks)), shaped_by)


def resting_faces(
    index: Path, neutral_faces: Path | None, options: ActionUnitOptions
) -> Callable[[str], neutral.RestingFace | None]:
    """Return the function from a clip to the resting face it is calibrated by; None means the clip's own.

    Raises
    ------
    UserError
        Calibration is by speaker and the artefact of `neutral` is not given.
    """
    if options.calibration == "none":
        return lambda clip_id: neutral.TYPICAL
    if options.calibration == "clip":
        return lambda clip_id: None
    if neutral_faces is None:
        raise UserError("action_units.calibration = 'speaker' needs the resting faces; run the stage 'neutral' first")
    speakers, faces = named_speakers([index]), neutral.read_resting_faces(neutral_faces)
    return lambda clip_id: faces.get(speakers.get(clip_id) or "")


def from_blendshapes(clip: ClipLandmarks, rest: neutral.RestingFace | None) -> Floats:
    """Return the action units of a clip, shape (F, 20), 0..1, NaN in gaps; see `formulas`.

    Parameters
    ----------
    clip
        Its landmarks and blendshapes.
    rest
        The face that counts as zero; None: the clip's own, as at most `geometry.BLOCK` of its frames, evenly spaced,
        show it.
    """
    values = measure(clip.points, clip.blendshapes)
    rest = rest or neutral.resting_face([values[evenly(len(values), geometry.BLOCK)]])
    return np.concatenate([formulas.intensities(values[part], rest) for part in blocks(len(values), AT_A_TIME)])
