"""py-feat's table (`Fex`: one row per face) as action units of one face per frame.

Pure, so that the detector's output and a CSV that py-feat saved go through the same code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avpretext.errors import UserError
from avpretext.face.face_choice import choose_face
from avpretext.flow.columns import ACTION_UNITS

Floats = NDArray[np.float64]

FRAME = "frame"
BOX = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")
"""Left, top, width, height of the face, in pixels."""
SCORE = "FaceScore"
MIN_SCORE = 0.5
"""How certain a face must be, 0..1: py-feat's own default."""
COLUMNS = (FRAME, *BOX, SCORE, *ACTION_UNITS)
"""What is read of a Fex table; py-feat calls the action units as we do (its `AU_LANDMARK_MAP["Feat"]`)."""


@dataclass(frozen=True)
class Faces:
    """The faces that py-feat found in some frames, one row each, frames in order.

    `frame` (N,) is the number of the frame, rising; `boxes` (N, 4) are left, top, right, bottom in pixels; `units` (N,
    20), 0..1, are in the order of `ACTION_UNITS`.
    """

    frame: NDArray[np.int64]
    boxes: Floats
    units: Floats


def parse_faces(table: Mapping[str, Any]) -> Faces:
    """Return the faces of a Fex table, a data frame or a dictionary with any `COLUMNS`, each (N,).

    py-feat writes a frame without a face as one row of empty values: it is left out, and so is a face that is not
    certain (`MIN_SCORE`), or whose action units are not all there. Missing columns, and values that are no numbers, are
    errors.
    """
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise UserError(
            f"no table of py-feat: it lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; expected what"
            " Detectorv1 or Detectorv2 of py-feat 2 saves"
        )
    frame, score = _numbers(table, FRAME), _numbers(table, SCORE)
    boxes = np.column_stack([_numbers(table, name) for name in BOX])
    units = np.column_stack([_numbers(table, name) for name in ACTION_UNITS])
    kept = np.isfinite(np.column_stack([frame, boxes, units])).all(axis=1) & (score >= MIN_SCORE)
    order = np.argsort(frame[kept], kind="stable")
    boxes[:, 2:] += boxes[:, :2]
    return Faces(frame[kept][order].astype(np.int64), boxes[kept][order], np.clip(units[kept][order], 0, 1))


def follow(faces: Faces, followed: Floats | None = None) -> NDArray[np.int64]:
    """Return the rows of one face in consecutive frames, at most one per frame, in order.

    `followed` is the box of the face chosen last in the frames before; None at the start of a clip. See `choose_face`.
    """
    rows = []
    for number in np.unique(faces.frame):
        start, end = np.searchsorted(faces.frame, [number, number + 1])
        rows.append(int(start) + choose_face(faces.boxes[start:end], followed))
        followed = faces.boxes[rows[-1]]
    return np.array(rows, dtype=np.int64)


def on_frames(faces: Faces, rows: NDArray[np.int64], frame: NDArray[np.integer[Any]]) -> Floats:
    """Return the action units of the chosen rows on the given frames, shape (F, 20); NaN where there is no face."""
    values = np.full((len(frame), len(ACTION_UNITS)), np.nan)
    _, here, there = np.intersect1d(frame, faces.frame[rows], return_indices=True)
    values[here] = faces.units[rows[there]]
    return values


def _numbers(table: Mapping[str, Any], name: str) -> Floats:
    try:
        return np.asarray(table[name], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"column {name} of py-feat's table: {error}; expected numbers") from None
