"""A clip as an mp4 with its sound: every frame with the landmarks, and its signals with a cursor that moves along."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.inspect import canvas, words
from avpretext.inspect.canvas import Sheet, painted
from avpretext.inspect.clip_pictures import Pictures
from avpretext.inspect.find import said
from avpretext.inspect.overlay import Picture, View, view_of
from avpretext.media.encode import write_mp4
from avpretext.report.clip import Clip
from avpretext.report.clip_panels import panels_of
from avpretext.report.theme import COLOURS

WIDTH, MARGIN, HEAD = 1280, 20, 74
COLUMN = 440
"""Pixels of the column with the picture."""

CURSOR = 2
"""Pixels across."""

_SCORES = 150
_READING = 26
"""Pixels for the scores of the emotions, and for the time, under the picture."""


def write(path: Path, clip: Clip, pictures: Pictures, whole: bool, height: int) -> None:
    """Write the mp4, whole or not at all; frame k shows frame k of the grid, its landmarks, and the cursor at k / fps.

    `whole`: whole frames, not cut to where the face goes. `height` is that of the film in pixels.
    """
    still, axis, view = background(clip, pictures, whole, height)
    films = _frames(still, axis, view, clip, pictures)
    write_mp4(path, films, (still.shape[1], still.shape[0]), clip.fps, clip.sound, SAMPLE_RATE_HZ)


def background(
    clip: Clip, pictures: Pictures, whole: bool, height: int
) -> tuple[Picture, canvas.TimeAxis, View | None]:
    """Return what stands still in the film, where its time axis lies, and which part of each picture is shown."""
    panels = panels_of(clip, canvas.UNITS, closely=True)
    seen = pictures.size is not None
    tall = min(height, HEAD + canvas.height_of(panels) + MARGIN) if not seen else height
    tall -= tall % 2
    left = MARGIN + COLUMN + MARGIN if seen else MARGIN
    with painted():
        sheet = Sheet(WIDTH, tall)
        sheet.text(MARGIN, 14, clip.clip_id, 18, bold=True)
        sheet.text(MARGIN, 40, words.headline(clip), 12, "muted")
        if clip.refusals:
            sheet.text(MARGIN, 57, said(clip.refusals), 11, "warm")
        elif pictures.source == "thumbnails":
            sheet.text(MARGIN, 57, f"Landmarks alone: {pictures.why}", 10, "muted")
        axis = canvas.draw(sheet, panels, (left, HEAD, WIDTH - left - MARGIN, tall - HEAD - 8), clip.duration_s)
        view = None
        if pictures.size is not None:
            below = _SCORES if clip.scores else 0
            box = (COLUMN, tall - HEAD - _READING - below - MARGIN)
            view = view_of(pictures.size, clip.points, box, whole)
            if below:
                _scores(sheet, clip, HEAD + view.size[1] + _READING)
        return sheet.pixels(), axis, view


def _scores(sheet: Sheet, clip: Clip, top: float) -> None:
    axes = sheet.axes(MARGIN + 40, top + 32, COLUMN - 60, _SCORES - 40)
    canvas.scores(axes, clip)
    sheet.text(MARGIN, top + 4, f"Task 3: {words.emotion(clip)}", 12)


def _frames(
    still: Picture, axis: canvas.TimeAxis, view: View | None, clip: Clip, pictures: Pictures
) -> Iterator[Picture]:
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 13)
    for frame, picture in pictures.every(clip):
        film = still.copy()
        time_s = frame / clip.fps
        at = round(axis.at(min(time_s, axis.duration_s)))
        film[round(axis.top) : round(axis.bottom), at - CURSOR // 2 : at - CURSOR // 2 + CURSOR] = _rgb("warm")
        below = HEAD
        if view is not None:
            # Thumbnails would flash up for a frame now and then.
            shown = pictures.drawn(clip, frame, picture if pictures.of_all else None, view)
            film[HEAD : HEAD + shown.shape[0], MARGIN : MARGIN + shown.shape[1]] = shown
            below = HEAD + shown.shape[0]
        yield _reading(film, f"{time_s:.2f} s, frame {frame}", below, font, view is not None)


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(COLOURS[colour][1:]))


def _reading(film: Picture, text: str, below: int, font: ImageFont.FreeTypeFont, seen: bool) -> Picture:
    """Write the time under the picture, or at the upper right where there is none."""
    left, top = (MARGIN, below + 6) if seen else (WIDTH - MARGIN - 150, 16)
    part = Image.fromarray(film[top : top + 20, left : left + 160])
    ImageDraw.Draw(part).text((0, 0), text, font=font, fill=_rgb("ink"))
    film[top : top + 20, left : left + 160] = np.asarray(part)
    return film
