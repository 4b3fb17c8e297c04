"""Pictures and sound to an mp4 file that any player opens: H.264 and AAC or FLAC, the same bytes for the same input."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from avpretext.errors import UserError
from avpretext.shards import atomic_path

_REPEATABLE = {"fflags": "+bitexact", "flags:v": "+bitexact", "flags:a": "+bitexact", "map_metadata": "-1"}


def write_mp4(
    path: Path, frames: Iterable[NDArray[np.uint8]], size: tuple[int, int], fps: float,
    sound: NDArray[np.int16] | None, rate_hz: int, lossless: bool = False,
) -> None:  # fmt: skip
    """Write an mp4, whole or not at all; frame k is shown from k / fps on, sample 0 is heard at 0.

    `frames` are RGB, each (height, width, 3), taken one at a time; `size` is width and height, even numbers. `sound` is
    mono, 16 bit, None for a silent film; `lossless` codes it as FLAC. It is an error if ffmpeg ends before the film
    does.
    """
    with tempfile.NamedTemporaryFile(suffix=".s16") as pcm, atomic_path(path) as temporary:
        if sound is not None:
            pcm.write(sound.astype("<i2").tobytes())
            pcm.flush()
        width, height = size
        picture = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", r=fps)
        voice = [] if sound is None else [ffmpeg.input(pcm.name, format="s16le", ar=rate_hz, ac=1)]
        # one thread each: x264 with several cuts frames into other slices, so other bytes
        options = {"vcodec": "libx264", "preset": "veryfast", "crf": 20, "pix_fmt": "yuv420p"}
        coding = {"acodec": "flac"} if lossless else {"acodec": "aac", "audio_bitrate": "64k"}
        coding = coding if voice else {}
        command = ffmpeg.output(
            picture, *voice, str(temporary), format="mp4", threads=1, **options, **coding, **_REPEATABLE
        )
        command = command.overwrite_output().global_args("-loglevel", "error", "-nostdin")
        with command.run_async(cmd=imageio_ffmpeg.get_ffmpeg_exe(), pipe_stdin=True) as process:
            try:
                for frame in frames:
                    process.stdin.write(np.ascontiguousarray(frame).data)
            except BrokenPipeError:
                pass  # its own words are on standard error already
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise UserError(f"{path}: ffmpeg could not write it (exit status {process.returncode})")
