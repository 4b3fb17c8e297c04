"""How lips, jaw and lower cheeks move: what orofacial models learn to predict from speech.

The points of each frame are laid over one upright head by the points that move with the skull (see `geometry`), in
inter-ocular distances; the person's resting shape is taken off. So a face at rest that turns has no movement, whoever's
it is. Frames are those of `landmarks`, on the video grid; a frame without a face has no movement.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from avpretext import shards
from avpretext.corpora.who import named_speakers
from avpretext.face.blendshapes import MOUTH_BLENDSHAPES
from avpretext.face.landmark_shards import ClipLandmarks, lists, read_clips
from avpretext.face.points import INNER_LIPS, OROFACIAL_POINTS
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.orofacial.resting_shape import RestingShape, aligned, mouth_blendshapes, read_shapes
from avpretext.writing import label_of, write_shard

_UPPER, _LOWER = (int(np.flatnonzero(point == OROFACIAL_POINTS)[0]) for point in INNER_LIPS)


def run(landmarks: Path, index: Path, shape: Path, output: Path) -> None:
    """Measure the movement of the lower face in every frame of a shard.

    Parameters
    ----------
    landmarks, index
        One shard of `landmarks`, and of the stage that lists the clips and their speakers.
    shape
        The artefact of `resting_shape`.
    output
        Where the shard goes: `lower_face`.
    """
    speakers, shapes = named_speakers([index]), read_shapes(shape)
    names = {"points": OROFACIAL_POINTS.tolist(), "blendshapes": list(MOUTH_BLENDSHAPES)}
    total = len(shards.rows_per_clip(landmarks))
    label = label_of("lower_face", output)
    # Of a group without a shape, no frame shows a face.
    rows = (
        _rows(clip, shapes[group]) if (group := speakers.get(clip.clip_id) or clip.clip_id) in shapes else None
        for clip in read_clips(landmarks, OROFACIAL_POINTS)
    )
    write_shard(label, output, schema_of("lower_face"), provenance("lower_face", **names), rows, total)


def aperture(moved: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return how much wider than at rest the lips are open, (...,), for movement (..., P, 2): negative when pressed.

    In inter-ocular distances; the vertical distance between the middles of the inner edges.
    """
    return np.asarray(moved[..., _LOWER, 1] - moved[..., _UPPER, 1])


def _rows(clip: ClipLandmarks, rest: RestingShape) -> pa.Table:
    moved, shown = aligned(clip) - rest.points, mouth_blendshapes(clip.blendshapes) - rest.blendshapes
    columns = {
        **clip.keys,
        "movement": lists(moved.reshape(len(moved), -1).astype(np.float32)),
        "blendshapes": lists(shown.astype(np.float32)),
    }  # fmt: skip
    return pa.table(columns, schema=schema_of("lower_face"))
