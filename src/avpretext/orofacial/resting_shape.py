"""The shape of each person's lower face at rest: from where lips, jaw and cheeks move.

The stage `neutral` knows the measures of a person's resting face; here is the shape that goes with them: the median of
the aligned points over those frames of the person whose mouth is nearest to these measures.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units.formulas import FULL_MOVEMENT
from avpretext.action_units.measures import MEASURES, TYPICAL_REST, measure
from avpretext.action_units.neutral import FRAMES_PER_CLIP, read_resting_faces
from avpretext.corpora.who import named_speakers
from avpretext.errors import UserError
from avpretext.face import geometry
from avpretext.face.blendshapes import BLENDSHAPES, MOUTH_BLENDSHAPES
from avpretext.face.landmark_shards import ClipLandmarks, blocks, evenly, read_clips
from avpretext.face.points import OROFACIAL_POINTS
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.progress import progress

Floats = NDArray[np.float64]

_PLACES = [BLENDSHAPES.index(name) for name in MOUTH_BLENDSHAPES]

_MOUTH = [
    MEASURES.index(name)
    for name in (
        "upper_lip", "corner_height", "corner_drop", "mouth_width", "lip_gap", "lip_height", "chin_drop", "chin_height",
        "jawOpen", "mouthPress", "mouthSmile",
    )
]  # fmt: skip
"""The measures that tell whether a mouth is at rest."""

RESTING_SHARE = 0.1
LEAST_FRAMES = 5
"""Share of a person's frames that are taken as at rest, and at least so many of them."""


@dataclass(frozen=True)
class RestingShape:
    """The lower face at rest, found in so many frames.

    `points` (P, 2) are `points.OROFACIAL_POINTS` on the upright face, x to the right of the picture, y down, in
    inter-ocular distances (between the outer eye corners); `blendshapes` (B,), 0..1, are in the order of
    `MOUTH_BLENDSHAPES`.
    """

    points: Floats
    blendshapes: Floats
    frames: int


def run(landmarks: Sequence[Path], index: Sequence[Path], neutral: Path, output: Path) -> None:
    """Find the resting shape of every speaker of a corpus; of clips whose speaker is not known, one for each clip.

    Parameters
    ----------
    landmarks, index
        All shards of `landmarks`, and of the stage that lists the clips and their speakers.
    neutral
        The artefact of `neutral`.
    output
        Where the artefact goes: `resting_shape`, a row per speaker, or per clip of nobody known.
    """
    speakers, resting = named_speakers(index), read_resting_faces(neutral)
    seen: dict[str, list[tuple[NDArray[np.float32], ...]]] = defaultdict(list)
    label = f"resting_shape {output.parent.parent.name}"
    for path in progress(landmarks, total=len(landmarks), unit="shards", label=label):
        for clip in read_clips(path, OROFACIAL_POINTS):
            group = speakers.get(clip.clip_id) or clip.clip_id
            shown = np.flatnonzero(np.isfinite(clip.points).all(axis=(1, 2)))
            if len(shown):
                rest = resting[group].location if group in resting else TYPICAL_REST
                seen[group].append(_looked_at(clip, shown[evenly(len(shown), FRAMES_PER_CLIP)], rest))
    rows = []
    for group in sorted(seen):
        shape = resting_shape(*map(np.concatenate, zip(*seen[group], strict=True)))
        points, blendshapes = shape.points.ravel().tolist(), shape.blendshapes.tolist()
        rows.append({"group": group, "frames": shape.frames, "points": points, "blendshapes": blendshapes})
    shards.write_table(output, rows, schema_of("resting_shape"), provenance("resting_shape"))


def _looked_at(clip: ClipLandmarks, frames: NDArray[np.int64], rest: Floats) -> tuple[NDArray[np.float32], ...]:
    """Return how far from rest some frames of a clip are, (F,), their points (F, P, 2) and blendshapes (F, B)."""
    distance = from_rest(measure(clip.points, clip.blendshapes)[frames], rest).astype(np.float32)
    return distance, aligned(clip)[frames], mouth_blendshapes(clip.blendshapes[frames]).astype(np.float32)


def aligned(clip: ClipLandmarks) -> NDArray[np.float32]:
    """Return the chosen points on the upright face, (F, P, 2), in inter-ocular distances; NaN where no face is found.

    Depth is left out: one camera does not measure it.
    """
    size = geometry.usual_size(clip.points)
    laid = np.empty((*clip.chosen.shape[:2], 2), np.float32)
    for block in blocks(len(clip.frame), geometry.BLOCK):
        laid[block] = geometry.upright(clip.points[block], clip.chosen[block])[..., :2] / size
    return laid


def mouth_blendshapes(blendshapes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return those of `MOUTH_BLENDSHAPES`, (F, B), out of all 52, (F, 52)."""
    return blendshapes[:, _PLACES]


def from_rest(measures: Floats, rest: Floats) -> Floats:
    """Return how far the mouth of each frame is from rest, (F,), for measures (F, M) and those of the rest (M,).

    The mean over the measures of the mouth of their distance, in full movements, each 1 at most.
    """
    full = np.where(np.isfinite(FULL_MOVEMENT), FULL_MOVEMENT, np.nan)[_MOUTH]
    away = np.abs(measures[:, _MOUTH] - rest[_MOUTH]) / full
    return np.asarray(np.nanmean(away.clip(0, 1), axis=1))


def resting_shape(
    distance: NDArray[np.floating], points: NDArray[np.floating], blendshapes: NDArray[np.floating]
) -> RestingShape:
    """Return the median over the frames nearest to rest, from (F,), (F, P, 2) and (F, B)."""
    count = min(len(distance), max(LEAST_FRAMES, round(RESTING_SHARE * len(distance))))
    nearest = np.argsort(distance, kind="stable")[:count]
    shape, shown = (np.median(values[nearest].astype(np.float64), axis=0) for values in (points, blendshapes))
    return RestingShape(shape, shown, count)


def read_shapes(path: Path) -> dict[str, RestingShape]:
    """Return the resting shape of each speaker, or clip of nobody known, from the artefact of this stage.

    It is an error if it holds other points or blendshapes than this version.
    """
    found = {}
    for row in shards.read(path).iter_rows(named=True):
        if len(row["points"]) != 2 * len(OROFACIAL_POINTS) or len(row["blendshapes"]) != len(MOUTH_BLENDSHAPES):
            raise UserError(f"{path}: holds other points than this version; remove it and run its stage again")
        points = np.array(row["points"]).reshape(-1, 2)
        found[row["group"]] = RestingShape(points, np.array(row["blendshapes"]), row["frames"])
    return found
