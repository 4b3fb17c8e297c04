"""The pictures of a clip: kept frames, else the video itself decoded again, else what thumbnails there are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from avpretext.config import MediaOptions
from avpretext.errors import UserError
from avpretext.inspect.overlay import View, drawn
from avpretext.media import ffmpeg
from avpretext.media.decode import Decoded, decode
from avpretext.media.stretches import Stretch
from avpretext.refusal import REASONS, Refusal
from avpretext.report.clip import Clip

Picture = NDArray[np.uint8]

BLANK = (58, 70, 78)
"""RGB of where there is no picture."""


@dataclass
class Pictures:
    """What there is to see of a clip.

    Attributes
    ----------
    source, note
        Where pictures are from; `thumbnails`: of some frames the face alone, `nothing`: sound only, or no pictures. The
        note is the same in words.
    size
        Width and height in which landmarks are measured; None: there are neither pictures nor landmarks.
    kept, decoded, small
        JPEG of each frame, of `frames`; the decoded clip, of `video`; JPEG of the face by frame, of `thumbnails`.
    why
        Of `thumbnails`: why there is nothing better.
    """

    source: Literal["frames", "video", "thumbnails", "nothing"]
    note: str
    size: tuple[int, int] | None
    kept: Sequence[bytes] = ()
    decoded: Decoded | None = None
    small: dict[int, bytes] = field(default_factory=dict)
    why: str = ""

    @property
    def of_all(self) -> bool:
        """Whether there is a picture of every frame."""
        return self.source in ("frames", "video")

    def blank(self) -> Picture:
        """Return what stands where there is no picture."""
        assert self.size is not None
        return np.full((self.size[1], self.size[0], 3), BLANK, np.uint8)

    def every(self, clip: Clip, wanted: set[int] | None = None) -> Iterator[tuple[int, Picture | None]]:
        """Yield number and RGB picture of each frame, or of those `wanted`, in order, once; None: there is none."""
        stored = iter(self.kept if self.decoded is None else self.decoded.images())
        for frame in range(clip.frames):
            jpeg = next(stored, None)
            if wanted is None or frame in wanted:
                yield frame, self._picture(frame, jpeg, clip)

    def drawn(self, clip: Clip, frame: int, picture: Picture | None, view: View) -> Picture:
        """Return what is shown of a frame with its landmarks; blank where it has no picture."""
        return drawn(
            self.blank() if picture is None else picture, None if clip.points is None else clip.points[frame], view
        )

    def _picture(self, frame: int, jpeg: bytes | None, clip: Clip) -> Picture | None:
        if jpeg:
            return _rgb(jpeg)
        if self.size is None:
            return None
        canvas = self.blank()
        if frame in self.small and clip.points is not None:
            _paste(canvas, _rgb(self.small[frame]), clip.points[frame])
        return canvas


def _rgb(jpeg: bytes) -> Picture | None:
    image = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    return None if image is None else np.asarray(image, dtype=np.uint8)


def _paste(canvas: Picture, face: Picture | None, points: NDArray[np.floating]) -> None:
    """Put a thumbnail where it was cut out."""
    # It brings MediaPipe with it, seconds that are wanted only where thumbnails are shown.
    from avpretext.face.thumbnails import face_square

    if face is None or np.isnan(points).any():
        return
    left, top, side = face_square(canvas.shape, points)
    canvas[top : top + side, left : left + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)


def pictures_of(clip: Clip) -> Pictures:
    """Find the pictures of a clip: the best that there are."""
    if not clip.run.config.corpora[clip.corpus].video:
        return Pictures("nothing", "none: the corpus is audio only (video: false)", None)
    kept = clip.rows("split.frames", ["frame", "image"])
    if kept is not None and kept.height == clip.frames:
        jpegs = [image["bytes"] for image in kept.sort("frame")["image"]]
        return Pictures("frames", "frames kept by split", clip.size, kept=jpegs)
    found = again(clip)
    if isinstance(found, Decoded):
        return Pictures(
            "video", "the video itself, decoded again as split did", clip.size or _size_of(found), decoded=found
        )
    if clip.points is None:
        return Pictures("nothing", f"none: {found}", None)
    small = clip.rows("landmarks.thumbnails", ["frame", "image"])
    faces = {} if small is None else {row["frame"]: row["image"]["bytes"] for row in small.to_dicts()}
    shown = "thumbnails of some frames, landmarks of all" if faces else "landmarks alone"
    return Pictures("thumbnails", f"{shown}: {found}", clip.size, small=faces, why=found)


def again(clip: Clip) -> Decoded | str:
    """Decode the clip's file again, as `split` did; or say why that is not possible.

    It is decoded by the same code, program and closed lists of formats, with the options that `split` ran with. Sound
    and number of frames must come out the same, or landmarks would lie on other frames than they were found in.
    """
    config, split = clip.run.config, clip.run.made_by(clip.corpus, "split.audio").get("options", {})
    source = Path(config.corpora[clip.corpus].path) / clip.row["path"]
    if not source.is_file():
        return f"{source} is not there"
    known = {key: value for key, value in split.items() if key in MediaOptions.model_fields}
    options = MediaOptions.model_validate({**known, "ffmpeg": config.split.ffmpeg})
    stretch = Stretch(clip.row["start_s"] or 0.0, clip.row["end_s"])
    try:
        decoded = decode(source, ffmpeg.program(options.ffmpeg), options, True, stretch=stretch, sound=clip.heard)
    except UserError as error:
        return str(error)
    if isinstance(decoded, Refusal):
        return f"{source}: {REASONS[decoded.reason]}"
    seen = len(decoded.frame_bytes)
    if decoded.content != clip.audio["content"] or (clip.points is not None and seen != len(clip.points)):
        decoded.spool.close()
        return f"{source} is not the file that split decoded: its sound or its number of frames is another"
    return decoded


def _size_of(decoded: Decoded) -> tuple[int, int] | None:
    decoded.spool.seek(decoded.skipped_bytes)
    first = _rgb(decoded.spool.read(decoded.frame_bytes[0])) if decoded.frame_bytes else None
    return None if first is None else (first.shape[1], first.shape[0])
