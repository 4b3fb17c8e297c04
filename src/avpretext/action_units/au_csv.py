"""Action units out of the CSV files of other tools: OpenFace 2 and py-feat, each as one face over the frames of a clip.

OpenFace 2 (`FeatureExtraction`, `FaceLandmarkVidMulti`): columns of its wiki page "Output Format". Intensities `_r` are
0..5 and become 0..1; AU28 has a presence `_c` only, 0 or 1. AU45, blink, is how far the eyes are closed: our AU43.

py-feat (`Fex.to_csv`): read by `fex`. Its values are 0..1, for most of its models the probability that the AU is there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext.action_units import fex
from avpretext.errors import UserError
from avpretext.flow.columns import ACTION_UNITS

Floats = NDArray[np.float64]

OPENFACE, PYFEAT = "OpenFace", "py-feat"

OPENFACE_SIGN = ("timestamp", "confidence", "success", "AU01_r")
PYFEAT_SIGN = (fex.FRAME, fex.SCORE, "AU01")
"""Columns by which the files of a tool are known."""

INTENSITY = {"AU43": "AU45_r"} | {unit: f"{unit}_r" for unit in ACTION_UNITS if unit != "AU43"}
PRESENCE = {"AU28": "AU28_c"}
"""Action unit to OpenFace's column; of AU11 and AU24 it knows neither."""

MAX_INTENSITY = 5.0

MIN_CONFIDENCE = 0.5
"""Frames of which OpenFace is less sure are failures, whatever their `success`.

OpenFace 2 itself sets `success` where the confidence is above .725 (`validation_boundary` in
LandmarkDetectorParameters.cpp), so this only bites where that check was switched off or lowered.
"""

MAX_FPS = 240.0
"""Timestamps closer together are no clock: OpenFace writes 0.001 s per frame where it does not know the frame rate."""

ROUNDING_S = 0.001
"""OpenFace rounds its timestamps to milliseconds."""

MAX_UNSURE = 0.4
"""In pictures: times that tell the first picture's number less surely do not tell it."""

NOT_USED = "have a CSV {}: it is not used"
UNCOUNTED = NOT_USED.format("whose frame numbers do not count the pictures of a video from 0 or 1")
OUT_OF_ORDER = NOT_USED.format("with a picture twice or pictures out of order")
UNTIMED_ROWS = NOT_USED.format("whose column timestamp is empty or does not rise")
"""What can be wrong with a table by itself."""


@dataclass(frozen=True)
class Track:
    """One face over the pictures that a tool looked at.

    Attributes
    ----------
    frame
        Number of each picture in which the face was found, from 0, rising, shape (N,).
    values
        Shape (N, 20), 0..1, in the order of `ACTION_UNITS`; NaN in the columns of AUs that the tool lacks.
    looked_at
        Number of each picture that has a row, rising.
    faces
        The most faces found in one picture.
    time_s, step_s
        When those of `frame` were, shape (N,), and from one row to the next, by a clock of the table's own; None and
        NaN where it has none.
    rate_hz
        The frame rate that its times are made with; None where they tell none.
    trouble
        Why its rows are not known to be of pictures; None: they are.
    """

    frame: NDArray[np.int64]
    values: Floats
    looked_at: NDArray[np.int64]
    faces: int = 1
    time_s: Floats | None = None
    step_s: float = float("nan")
    rate_hz: float | None = None
    trouble: str | None = None

    @property
    def frames(self) -> int:
        """Number of pictures that the video has at least."""
        return int(self.looked_at[-1]) + 1 if len(self.looked_at) else 0


def tool_of(path: Path) -> str | None:
    """Return which tool wrote a file, by its columns: `OpenFace` or `py-feat`; None for a file without columns.

    Columns of neither are an error.
    """
    columns = _header(path)
    if not columns:
        return None
    for tool, sign in ((OPENFACE, OPENFACE_SIGN), (PYFEAT, PYFEAT_SIGN)):
        if columns.keys() >= set(sign):
            return tool
    start = ",".join(columns)[:60]
    raise UserError(
        f"{path}: expected a CSV of OpenFace 2 on a video (columns {', '.join(OPENFACE_SIGN)}, ...; its option -aus) or"
        f" of py-feat ({', '.join(PYFEAT_SIGN)}, ...), its columns begin with {start!r}; write it again, or remove it"
    )


def read_track(path: Path) -> Track | None:
    """Read a file of either tool, None if it has no rows; one of neither tool, or not readable, is an error."""
    tool = tool_of(path)
    if tool is None:
        return None
    try:
        table = _numbers(path, OPENFACE_COLUMNS if tool == OPENFACE else (*fex.COLUMNS, "timestamp"))
        if not np.isfinite(table[fex.FRAME]).any():
            return None
        return openface_track(table) if tool == OPENFACE else pyfeat_track(table)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def openface_track(table: dict[str, Floats]) -> Track:
    """Return the face of a table of OpenFace: column to numbers (N,), NaN where the file has none.

    Several faces: the one found in the most frames, of equals the one it is surest of. Where no frame shows two at once
    they count as one, which was lost and found again under a new number. AUs without column are unknown.
    """
    values = np.column_stack([_intensity(table, unit) for unit in ACTION_UNITS])
    known = np.isfinite(values).any(axis=0)
    number = table[fex.FRAME]
    found = (table["success"] == 1) & (table["confidence"] >= MIN_CONFIDENCE) & np.isfinite(number)
    found &= np.isfinite(values[:, known]).all(axis=1)
    face = table.get("face_id", np.zeros(len(found)))
    rows = np.flatnonzero(found)
    faces = _at_once(number[rows])
    if faces > 1:
        rows = rows[face[rows] == _main_face(face[rows], table["confidence"][rows])]
    rows = rows[np.argsort(number[rows], kind="stable")]
    rate_hz, first = _clock(number, table["timestamp"])
    numbered = [number[(face == one) & np.isfinite(number)] for one in np.unique(face)]
    repeated = any((np.diff(of_one) <= 0).any() for of_one in numbered)
    return Track(
        frame=(number[rows] - first).astype(np.int64),
        values=values[rows],
        looked_at=_whole(number - first),
        faces=faces,
        rate_hz=rate_hz,
        trouble=OUT_OF_ORDER if repeated else _uncounted(number, first),
    )


def pyfeat_track(table: dict[str, Floats]) -> Track:
    """Return the face of a table of py-feat; of several it follows one by the rule of `face.face_choice`.

    py-feat counts pictures, also where it skips some, and writes no time but `approx_time`, in whole seconds; a column
    `timestamp`, in seconds on the clock of the clip, is read if present.
    """
    faces = fex.parse_faces(table)
    chosen = fex.follow(faces)
    frame, number = faces.frame[chosen], table[fex.FRAME]
    boxes = np.column_stack([faces.frame, faces.boxes])
    repeated = (np.diff(number[np.isfinite(number)]) < 0).any() or len(np.unique(boxes, axis=0)) < len(boxes)
    track = Track(
        frame=frame,
        values=faces.units[chosen],
        looked_at=_whole(number),
        faces=_at_once(faces.frame),
        trouble=OUT_OF_ORDER if repeated else _uncounted(number, 0),
    )
    times = table.get("timestamp", np.array([]))
    clock = np.unique(times[np.isfinite(times)])
    if not len(clock):
        return track
    order = np.argsort(number, kind="stable")
    step_s = float(np.median(np.diff(clock))) if len(clock) > 1 else float("nan")
    time_s = times[order[np.searchsorted(number[order], frame)]]
    rising = np.isfinite(time_s).all() and (np.diff(time_s) > 0).all()
    return replace(track, time_s=time_s, step_s=step_s, trouble=track.trouble if rising else UNTIMED_ROWS)


def _clock(number: Floats, times: Floats) -> tuple[float | None, int]:
    """Return the frame rate that OpenFace made its times with, and the number of its first picture.

    OpenFace counts from 1 and writes (number - 1) / rate; copies count from 0. Its times tell which, also where the
    first rows are lost.
    """
    known = np.isfinite(number) & np.isfinite(times)
    number, times = number[known], times[known]
    usual = int(number.min(initial=1) >= 1)
    if not len(number) or number.max() <= number.min() or times.max() <= times.min():
        return None, usual
    begin, end = number.argmin(), number.argmax()
    rate_hz = float((number[end] - number[begin]) / max(times[end] - times[begin], ROUNDING_S))
    first = number[begin] - times[begin] * rate_hz
    unsure = ROUNDING_S * rate_hz * (0.5 + times[begin] / max(times[end] - times[begin], ROUNDING_S))
    return rate_hz if rate_hz <= MAX_FPS else None, usual if unsure > MAX_UNSURE else round(first)


def _uncounted(number: Floats, first: int) -> str | None:
    """Return what is wrong with the numbers of pictures, that of the first being `first`."""
    number = number[np.isfinite(number)]
    odd = first not in (0, 1) or (number < first).any() or (number % 1 != 0).any()
    return UNCOUNTED if odd else None


def _whole(number: Floats) -> NDArray[np.int64]:
    """Return numbers of pictures, each once, rising."""
    return np.unique(number[np.isfinite(number)].astype(np.int64))


def _at_once(frame: NDArray[np.number]) -> int:
    """Return how often the commonest frame comes; 0 of none."""
    return int(np.unique(frame, return_counts=True)[1].max(initial=0))


def _main_face(face: Floats, confidence: Floats) -> float:
    """Return the number of the face with the most rows, of equals the surest, of equals the first."""
    names, place, count = np.unique(face, return_inverse=True, return_counts=True)
    sureness = np.bincount(place, confidence) / count
    return float(names[np.lexsort((names, -sureness, -count))[0]])


def _intensity(table: dict[str, Floats], unit: str) -> Floats:
    if INTENSITY[unit] in table:
        return np.clip(table[INTENSITY[unit]] / MAX_INTENSITY, 0, 1)
    unknown = np.full(len(table[fex.FRAME]), np.nan)
    return np.clip(table.get(PRESENCE.get(unit, ""), unknown), 0, 1)


OPENFACE_COLUMNS = (
    fex.FRAME, "face_id", *OPENFACE_SIGN[:3], *INTENSITY.values(), *PRESENCE.values(),
)  # fmt: skip
"""What is read of a table of OpenFace; it has some 700 columns more."""


def _header(path: Path) -> dict[str, str]:
    """Return the columns of a CSV: name without the spaces that OpenFace puts after commas, to name as it stands."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            line = re.split(r"[\r\n]", file.readline(), maxsplit=1)[0]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); copy it again, or remove it") from None
    return {name.strip(' "'): name.strip('"') for name in line.split(",") if name.strip()}


def _numbers(path: Path, wanted: Sequence[str]) -> dict[str, Floats]:
    """Return those of the wanted columns that a CSV has, as numbers; what is no number is NaN."""
    header = _header(path)
    columns = {name: header[name] for name in wanted if name in header}
    try:
        # As text first: OpenFace on Windows writes "-nan(ind)", and a killed run leaves half a row.
        text = pl.read_csv(
            path, columns=list(columns.values()), infer_schema=False, truncate_ragged_lines=True, encoding="utf8-lossy"
        )
    except pl.exceptions.PolarsError as error:
        raise UserError(f"no CSV ({str(error).splitlines()[0]}); write it again, or remove it") from None
    numbers = text.select(pl.all().str.strip_chars().cast(pl.Float64, strict=False).fill_null(float("nan")))
    return {name: numbers[raw].to_numpy() for name, raw in columns.items()}
