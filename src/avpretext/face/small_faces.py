"""Faces that are too small in the whole frame: found in overlapping tiles, then followed in a tile around the face.

MediaPipe's detector scales each picture to 128 x 128 pixels. So it finds a face that is large enough as a share of the
longer side of the picture; the number of pixels hardly matters. In a tile, a smaller picture, that share is larger. A
picture without a face takes about a fifth of the time of one with a face, so a few tiles cost less than the face that
they find.
"""

from collections.abc import Iterable
from functools import cache
from math import ceil, inf
from typing import NamedTuple

import numpy as np

from avpretext.face.face_choice import SWITCH_RATIO
from avpretext.face.landmarker import FaceModel, Floats, Landmarker, Picture, Seen

TILE_PIXELS = 240
"""Minimum size of a tile. Smaller ones find faces of less than 36 pixels, whose blendshapes agree with
those of the same face in more pixels by less than r = .87, and more that is no face."""

OVERLAP = 0.4
"""Of neighbouring tiles, as a share of their size: more than the height of the faces that the larger tiles miss."""

LEAST_GAIN = 1.25
"""A tile must be smaller than what was looked at before by this factor."""

CONFIDENCE = 0.7
"""Minimum detection confidence in tiles: at .5, 7 of 108 pictures without faces show one; at .7, none."""

FACE_HEIGHTS = (1.5, 3.0)
"""Size of the tile around a face, in heights of the face: the minimum, and that where the frame has room."""

HOLD_S = 1.0
"""A lost face is looked for only in its own place for this time, so that nobody else takes over."""

TILES_PER_FRAME = 2
"""Tiles looked at per frame, on average, while no face is followed: less work than a frame with a face."""

TILES_BESIDE = 1
"""The same while a face is followed in its tile: another, clearly larger one may appear."""

SMALLEST, MEASURED_AT = 0.14, 0.5
"""Height of a face that is found nine times in ten, as a share of the longer side of the frame, and the value of
`landmarks.min_confidence` at which it was measured."""

SMALLEST_IN_TILE = 0.16
"""The same in a tile; measured at `CONFIDENCE`."""


class Tile(NamedTuple):
    """A part of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


@cache
def tile_levels(height: int, width: int) -> tuple[tuple[Tile, ...], ...]:
    """Return the tiles in which faces of a frame are looked for: tiles as high as the frame, then half as high.

    Levels that would show a face hardly larger than before (`LEAST_GAIN`) are left out: all, in small frames.

    >>> [len(tiles) for tiles in tile_levels(480, 854)], tile_levels(256, 256)
    ([3, 18], ())
    """
    levels, before = [], max(height, width)
    for size in (min(height, width), min(height, width) // 2):
        size = max(size, TILE_PIXELS)
        if before >= LEAST_GAIN * size:
            rows, columns = _starts(height, size), _starts(width, size)
            levels.append(tuple(Tile(x, y, min(size, width), min(size, height)) for y in rows for x in columns))
            before = size
    return tuple(levels)


def smallest_face(height: int, width: int, tiles: bool) -> int:
    """Return how high a face must be to be found in a frame nine times in ten, in pixels.

    >>> smallest_face(480, 854, tiles=False), smallest_face(480, 854, tiles=True)
    (120, 38)
    """
    levels = tile_levels(height, width) if tiles else ()
    of_tiles = [SMALLEST_IN_TILE * max(level[0].width, level[0].height) for level in levels]
    return round(min([SMALLEST * max(height, width), *of_tiles]))


def larger_frames_help(height: int, width: int) -> bool:
    """Tell whether tiles would find smaller faces, as a share of the frame, in frames of more pixels.

    >>> larger_frames_help(480, 854), larger_frames_help(360, 480)
    (False, True)
    """
    of_many_pixels = smallest_face(16 * height, 16 * width, tiles=True) / 16
    return of_many_pixels < 0.9 * smallest_face(height, width, tiles=True)


def tile_around(box: Floats, height: int, width: int) -> Tile | None:
    """Return the tile around a face (left, top, right, bottom in pixels); None where it would be nearly the frame."""
    least, best = (ceil(max(heights * (box[3] - box[1]), 8)) for heights in FACE_HEIGHTS)
    size = min(best, int(max(height, width) / LEAST_GAIN))
    if size < least:
        return None
    wide, high = min(size, width), min(size, height)
    x, y = (box[0] + box[2]) / 2 - wide / 2, (box[1] + box[3]) / 2 - high / 2
    return Tile(round(min(max(x, 0), width - wide)), round(min(max(y, 0), height - high)), wide, high)


def same_face(one: Floats, other: Floats) -> bool:
    """Tell whether two boxes (in pixels) are of one face."""
    heights = [one[3] - one[1], other[3] - other[1]]
    apart = np.linalg.norm((one[:2] + one[2:] - other[:2] - other[2:]) / 2)
    return bool(apart < min(heights) / 2 and max(heights) < SWITCH_RATIO * min(heights))


class SmallFaces:
    """Looks again at the frames of a clip in which the whole shows no face; one instance per clip."""

    def __init__(self, model: FaceModel) -> None:
        self._model = model
        self._landmarker: Landmarker | None = None
        self._followed: Floats | None = None
        self._seen_s = -inf
        self._searched = inf
        self._tile: Tile | None = None

    def close(self) -> None:
        """Free the memory of the model."""
        if self._landmarker is not None:
            self._landmarker.close()

    def follow(self, box: Floats, time_s: float) -> None:
        """Note the face of the clip in a frame: left, top, right, bottom, 0..1 of the frame."""
        self._followed, self._seen_s = box, time_s

    def look(self, image: Picture, time_s: float) -> list[Seen]:
        """Return the faces of a frame in which the whole shows none, landmarks 0..1 of the frame.

        While the face followed so far was seen within `HOLD_S`, they are those in its place, and now and then those in
        all tiles beside; later those in all tiles, in some of the frames (`TILES_PER_FRAME`).
        """
        self._searched += 1
        if self._followed is None or time_s - self._seen_s > HOLD_S:
            self._tile = None
            return self.search(image) if self._due(image, TILES_PER_FRAME) else []
        near = self._near(image, self._followed)
        return self._distinct(image, [*near, *self.search(image)]) if near and self._due(image, TILES_BESIDE) else near

    def search(self, image: Picture) -> list[Seen]:
        """Return the faces in the largest tiles that show any, landmarks 0..1 of the frame.

        Each must be found again in a tile around it.
        """
        self._searched = 0
        for tiles in tile_levels(*image.shape[:2]):
            seen = self._distinct(image, (face for tile in tiles for face in self._faces(image, tile)))
            if found := [again for face in seen if (again := self._confirm(image, face)) is not None]:
                return found
        return []

    def _due(self, image: Picture, per_frame: int) -> bool:
        return self._searched * per_frame >= sum(map(len, tile_levels(*image.shape[:2])))

    def _confirm(self, image: Picture, face: Seen) -> Seen | None:
        box = _pixels(face, image)
        tile = tile_around(box, *image.shape[:2])
        if tile is None:
            return face
        return next((again for again in self._faces(image, tile) if same_face(box, _pixels(again, image))), None)

    def _near(self, image: Picture, followed: Floats) -> list[Seen]:
        """Return the faces in the tile around the face followed, but for clearly smaller ones: of other people."""
        height, width = image.shape[:2]
        tile = tile_around(followed * np.array([width, height, width, height], dtype=np.float32), height, width)
        if tile is None:
            return []
        if self._tile is None or not _alike(self._tile, tile):  # else it stays, and a face that rests has still points
            self._tile = tile
        least = (followed[3] - followed[1]) / SWITCH_RATIO
        return [face for face in self._faces(image, self._tile) if face.box[3] - face.box[1] >= least]

    def _faces(self, image: Picture, tile: Tile) -> list[Seen]:
        """Return the faces in a tile, landmarks 0..1 of the frame."""
        if self._landmarker is None:
            self._landmarker = Landmarker(self._model, video=False, least_detection=CONFIDENCE)
        height, width = image.shape[:2]
        part = image[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        scale = np.array([tile.width / width, tile.height / height, tile.width / width], dtype=np.float32)
        shift = np.array([tile.left / width, tile.top / height, 0], dtype=np.float32)
        faces = self._landmarker.see(part)
        return [Seen(face.landmarks * scale + shift, face.blendshapes) for face in faces]

    def _distinct(self, image: Picture, faces: Iterable[Seen]) -> list[Seen]:
        """Leave out faces that were there before: tiles overlap."""
        kept: list[Seen] = []
        for face in faces:
            if not any(same_face(_pixels(face, image), _pixels(other, image)) for other in kept):
                kept.append(face)
        return kept


def _pixels(face: Seen, image: Picture) -> Floats:
    height, width = image.shape[:2]
    return face.box * np.array([width, height, width, height], dtype=np.float32)


def _alike(one: Tile, other: Tile) -> bool:
    """Tell whether a face in the middle of one tile is well within the other."""
    apart = max(abs(one.left - other.left), abs(one.top - other.top))
    return apart < 0.15 * one.width and 0.8 < one.width / other.width < 1.25


def _starts(length: int, size: int) -> list[int]:
    """Return where tiles begin that cover a length and overlap by `OVERLAP` at least.

    >>> _starts(854, 480), _starts(240, 240)
    ([0, 187, 374], [0])
    """
    if length <= size:
        return [0]
    steps = ceil((length - size) / (size * (1 - OVERLAP)))
    return [round(step * (length - size) / steps) for step in range(steps + 1)]
