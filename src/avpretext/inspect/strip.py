"""A clip as one PNG: some of its frames with the landmarks, over its signals, each frame above its own time."""

from pathlib import Path

import numpy as np
from PIL import Image

from avpretext.inspect import canvas, words
from avpretext.inspect.canvas import Sheet, painted
from avpretext.inspect.clip_pictures import Pictures
from avpretext.inspect.find import said
from avpretext.inspect.overlay import Picture, View, view_of
from avpretext.report.clip import Clip
from avpretext.report.clip_panels import panels_of
from avpretext.shards import atomic_path

FRAMES = 6
WIDTH, MARGIN, HEAD = 1160, 24, 84
SCALE = 1.5
"""Pixels of the file for each pixel of the layout: text stays sharp on dense screens."""

SCORES = 20
"""Pixels for the score of an emotion."""

_TALLEST = 260
"""Pixels of a frame in the strip, at most."""


def write(path: Path, clip: Clip, pictures: Pictures, whole: bool) -> None:
    """Write the PNG; see `movie.write`."""
    shown = chosen(clip, pictures) if pictures.size else []
    span = WIDTH - 2 * MARGIN - canvas.NAMES
    box = (round((span // FRAMES - 6) * SCALE), round(_TALLEST * SCALE))
    view = view_of(pictures.size, clip.points, box, whole) if pictures.size else None
    strip = round(view.size[1] / SCALE) + 26 if view else 0
    panels = panels_of(clip, canvas.UNITS, closely=True)
    emotions = canvas.TITLE + SCORES * len(clip.scores) + 14 if clip.scores else 0
    height = round(HEAD + strip + canvas.height_of(panels) + emotions + MARGIN)
    with painted():
        sheet = Sheet(WIDTH, height, SCALE)
        _head(sheet, clip, pictures)
        times = [frame / clip.fps for frame in shown]
        place = (MARGIN, HEAD + strip, WIDTH - 2 * MARGIN, canvas.height_of(panels))
        axis = canvas.draw(sheet, panels, place, clip.duration_s, times)
        if emotions:
            _scores(sheet, clip, HEAD + strip + place[3])
        lefts = _lefts(times, axis, view.size[0] / SCALE) if view else []
        for left, frame, time_s in zip(lefts, shown, times, strict=True):
            sheet.text(left, HEAD + strip - 22, f"{time_s:.2f} s, frame {frame}", 10, "muted")
        pixels = sheet.pixels()
    if view:
        _place(pixels, clip, pictures, view, dict(zip(shown, lefts, strict=True)))
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG", optimize=True)


def chosen(clip: Clip, pictures: Pictures) -> list[int]:
    """Return the frames of the strip: in the middle of equal parts of the clip, or those that have a thumbnail."""
    if pictures.source == "thumbnails" and pictures.small:
        return sorted(frame for frame in pictures.small if frame < clip.frames)[:FRAMES]
    middles = (np.arange(FRAMES) + 0.5) / FRAMES * clip.frames
    return sorted({int(middle) for middle in middles})


def _lefts(times: list[float], axis: canvas.TimeAxis, width: float) -> list[float]:
    """Return the left edge of each picture: centred over its time, but none over another or beyond the axis."""
    lefts = [float(np.clip(axis.at(time_s) - width / 2, axis.left, axis.right - width)) for time_s in times]
    for place in range(1, len(lefts)):
        lefts[place] = max(lefts[place], lefts[place - 1] + width + 4)
    most = axis.right - width
    for place in range(len(lefts) - 1, -1, -1):
        lefts[place] = min(lefts[place], most)
        most = lefts[place] - width - 4
    return lefts


def _head(sheet: Sheet, clip: Clip, pictures: Pictures) -> None:
    sheet.text(MARGIN, 18, clip.clip_id, 19, bold=True)
    sheet.text(MARGIN, 44, words.headline(clip), 12, "muted")
    if clip.refusals:
        sheet.text(MARGIN, 62, said(clip.refusals), 12, "warm", bold=True)
    else:
        sheet.text(MARGIN, 62, f"Pictures: {pictures.note}", 10, "muted")


def _scores(sheet: Sheet, clip: Clip, top: float) -> None:
    title = f"Task 3, emotion that the face shows: {words.emotion(clip)}"
    axes = sheet.axes(MARGIN + canvas.NAMES, top + canvas.TITLE, 420, SCORES * len(clip.scores))
    canvas.scores(axes, clip)
    axes.set_title(title, fontsize=11, pad=3)


def _place(pixels: Picture, clip: Clip, pictures: Pictures, view: View, lefts: dict[int, float]) -> None:
    top = round(HEAD * SCALE)
    for frame, picture in pictures.every(clip, set(lefts)):
        shown = pictures.drawn(clip, frame, picture, view)
        left = round(lefts[frame] * SCALE)
        pixels[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
