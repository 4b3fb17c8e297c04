"""Frames and sound to an mp4 file, the same bytes for the same input."""

import tempfile
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from avpretext.demo.voice import RATE_HZ, Samples
from avpretext.shards import atomic_path

_REPEATABLE = {"fflags": "+bitexact", "flags:v": "+bitexact", "flags:a": "+bitexact", "map_metadata": "-1"}


def write_clip(path: Path, frames: NDArray[np.uint8], fps: float, sound: Samples) -> None:
    """Write an mp4 with H.264 and AAC.

    Parameters
    ----------
    path
        The file; it appears whole or not at all.
    frames
        RGB, (frames, height, width, 3).
    fps
        Frames per second.
    sound
        float32, full scale 1, at `voice.RATE_HZ`.
    """
    with tempfile.NamedTemporaryFile(suffix=".s16") as pcm, atomic_path(path) as temporary:
        pcm.write((sound * 32767).astype("<i2").tobytes())
        pcm.flush()
        height, width = frames.shape[1:3]
        picture = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", r=fps)
        voice = ffmpeg.input(pcm.name, format="s16le", ar=RATE_HZ, ac=1)
        # one thread each: x264 with several cuts frames into other slices, so other bytes
        options = {"vcodec": "libx264", "preset": "veryfast", "crf": 20, "pix_fmt": "yuv420p", "acodec": "aac"}
        command = ffmpeg.output(
            picture, voice, str(temporary), format="mp4", threads=1, audio_bitrate="64k", **options, **_REPEATABLE
        )
        command = command.overwrite_output().global_args("-loglevel", "error", "-nostdin")
        command.run(cmd=imageio_ffmpeg.get_ffmpeg_exe(), input=frames.tobytes())
