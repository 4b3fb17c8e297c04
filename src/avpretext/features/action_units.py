"""Action unit intensities, 0..1, by the backend that the configuration names.

A backend is a function from a clip's landmarks and the person's resting face to the 20 action units of each frame. Its
name in `BACKENDS` is its name in the configuration.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import schemas, shards
from avpretext.config import ActionUnitOptions
from avpretext.errors import UserError, nearest
from avpretext.features import formulas, neutral
from avpretext.features.landmark_shards import ClipLandmarks, read_clips
from avpretext.features.measures import measure
from avpretext.progress import progress
from avpretext.schemas import ACTION_UNITS

Floats = NDArray[np.float64]
Backend = Callable[[ClipLandmarks, neutral.RestingFace | None], Floats]
"""From a clip and a resting face (None: the clip's own) to shape (F, 20), 0..1, NaN in gaps."""


def run(landmarks: Path, index: Path, neutral_faces: Path | None, options: ActionUnitOptions, output: Path) -> None:
    """Measure the action units in every frame of a shard.

    Parameters
    ----------
    landmarks
        Shard of `landmarks`.
    index
        Shard of `index`, which knows the speakers.
    neutral_faces
        Artefact of `neutral`; needed with `calibration: speaker` only.
    options
        Backend and calibration.
    output
        Where the shard goes.
    """
    backend = backend_named(options.backend)
    made_by = shards.provenance("action_units", options.model_dump(mode="json"))
    rest_of = resting_faces(index, neutral_faces, options)
    total = len(set(shards.read(landmarks, ["clip_id"])["clip_id"]))
    label = f"action_units {output.parent.parent.name}/{output.stem}"
    with shards.ShardWriter(output, schemas.ACTION_UNIT_FRAMES, made_by) as writer:
        for clip in progress(read_clips(landmarks), total=total, unit="clips", label=label):
            values = backend(clip, rest_of(clip.clip_id))
            columns = {"clip_id": [clip.clip_id] * len(clip.frame), "frame": clip.frame, "time_s": clip.time_s}
            columns |= {unit: shards.nullable(values[:, k]) for k, unit in enumerate(ACTION_UNITS)}
            writer.write(columns)


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
    speakers, faces = neutral.read_speakers([index]), neutral.read_resting_faces(neutral_faces)
    return lambda clip_id: faces.get(speakers.get(clip_id) or "")


def backend_named(name: str) -> Backend:
    """Return the backend of that name, or raise an error that names the nearest."""
    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise UserError(f"action_units.backend = {name!r}{nearest(name, BACKENDS)}; expected one of {known}")
    return BACKENDS[name]


def from_blendshapes(clip: ClipLandmarks, rest: neutral.RestingFace | None) -> Floats:
    """Measure action units by MediaPipe's blendshapes and landmark distances; see `formulas`."""
    values = measure(clip.points, clip.blendshapes)
    return formulas.intensities(values, rest or neutral.resting_face([values]))


BACKENDS: dict[str, Backend] = {"blendshapes": from_blendshapes}
