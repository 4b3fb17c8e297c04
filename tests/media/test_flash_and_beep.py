"""A flash and a beep at the same instants: they stay there within 5 ms, or the file is refused.

The pictures' own time stamps, read by PyAV, tell when the flashes are; in the films that are made, the beeps are there.
"""

import io
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from avpretext.config import MediaOptions
from avpretext.media import sound
from avpretext.media.decode import Decoded, decode
from avpretext.media.stretches import WHOLE, Stretch
from avpretext.refusal import Refusal

FPS = 25.0
AT_S = (1, 2, 3)
LENGTH_S = 4
OPTIONS = MediaOptions(fps=FPS)

H264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-pix_fmt", "yuv420p")
AAC = (*H264, "-c:a", "aac")
AC3 = (*H264, "-c:a", "ac3")
MPEG = ("-c:v", "mpeg2video", "-q:v", "3", "-c:a", "mp2")
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", 8, "-threads", 1, "-c:a", "libopus")
VARIABLE = ("-vf", "select='not(mod(n,3))+eq(n,25)+eq(n,50)+eq(n,75)'", "-fps_mode", "vfr")
CONTAINERS = {
    "a.mp4": AAC,
    "fragments.mp4": (*AAC, "-movflags", "frag_keyframe+empty_moov"),
    "no edit list.mp4": (*AAC, "-use_editlist", 0),
    "variable rate.mp4": (*VARIABLE, *AAC),
    "flac.mp4": (*H264, "-c:a", "flac", "-ar", 16000),
    "late.mp4": (*AAC, "-output_ts_offset", 50),
    "a.mov": (*H264, "-c:a", "pcm_s16le"),
    "a.3gp": (*H264, "-c:a", "aac", "-ar", 44100),
    "a.mkv": (*H264, "-c:a", "libmp3lame", "-ar", 44100),
    "hours.mkv": (*AAC, "-output_ts_offset", 10_800),
    "a.webm": VP8,
    "vorbis.webm": ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", 8, "-threads", 1, "-c:a", "libvorbis"),
    "a.ts": AAC,
    "hours.ts": (*AAC, "-output_ts_offset", 10_800),
    "a.m2ts": AC3,
    "a.mpg": MPEG,
    "a.avi": ("-c:v", "mpeg4", "-c:a", "pcm_s16le"),
    "a.flv": AAC,
    "late.flv": ("-c:v", "flv1", "-c:a", "libmp3lame", "-ar", 44100, "-output_ts_offset", 50),
    "a.wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    "a.ogv": ("-c:v", "libtheora", "-c:a", "libvorbis"),
    "a.mxf": ("-c:v", "mpeg2video", "-c:a", "pcm_s16le"),
}  # fmt: skip


class Studio:
    """Makes films of flashes and beeps in one folder."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program, self.folder = program, folder
        self._made: dict[str, tuple[object, ...]] = {}
        self.master = self._master("master.mkv", "64x48", 48_000, 1)
        self.other = self._master("other.mkv", "128x72", 44_100, 2)

    def _master(self, name: str, size: str, rate: int, channels: int) -> Path:
        flash = "+".join(f"between(t,{at}-0.001,{at}.119)" for at in AT_S)
        beep = "+".join(f"between(t,{at},{at}.1)" for at in AT_S)
        picture = f"color=black:s={size}:r=25:d={LENGTH_S},drawbox=c=white:t=fill:enable='{flash}'"
        voice = f"aevalsrc='0.6*sin(2*PI*1000*t)*({beep})':s={rate}:d={LENGTH_S}"
        inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", voice)
        return self.make(name, *inputs, "-c:v", "ffv1", "-ac", channels, "-c:a", "pcm_s16le")

    def make(self, name: str, *arguments: object) -> Path:
        file = self.folder / name
        if self._made.get(name) == arguments:
            return file
        self._made[name] = arguments
        command = [self.program, "-y", "-nostdin", "-loglevel", "error", *map(str, arguments), f"file:{file}"]
        subprocess.run(command, check=True)
        return file

    def film(self, name: str, *encoding: object) -> Path:
        return self.make(name, "-i", self.master, *encoding)

    def joined(self, name: str, *films: Path) -> Path:
        (self.folder / name).write_bytes(b"".join(film.read_bytes() for film in films))
        return self.folder / name


@pytest.fixture(scope="module")
def studio(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(ffmpeg, tmp_path_factory.mktemp("studio"))


def pictures_of(container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    for packet in container.demux(video=0):
        with suppress(av.FFmpegError):  # what Theora begins with is no picture
            yield from packet.decode()


def flashes_of(file: Path) -> NDArray[np.float64]:
    """Return when the flashes begin by the time stamps of the pictures, in seconds from the start of the container."""
    with av.open(str(file)) as container:
        shown = [
            (float(picture.pts * picture.time_base), picture.to_ndarray(format="gray").mean() > 128)
            for picture in pictures_of(container)
        ]
        start_s = (container.start_time or 0) / av.time_base
    return onsets(np.array([time for time, _ in shown]) - start_s, np.array([white for _, white in shown]))


def onsets(times: NDArray[np.float64], on: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return when something begins that was not there 0.2 s before."""
    found = times[on]
    return found[np.diff(found, prepend=-9.0) > 0.2]


def beeps_in(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    return onsets(np.arange(len(samples)) / 16_000, np.abs(samples.astype(float)) > 5000)


def heard(file: Path, program: str) -> NDArray[np.int16] | Refusal:
    """Return the sound as `predict` hears it."""
    blocks, found = [], sound.listen(file, program, OPTIONS)
    while True:
        try:
            blocks.append(next(found))
        except StopIteration as end:
            return end.value or np.concatenate(blocks)


def split_film(
    file: Path, program: str, stretch: Stretch = WHOLE
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | Refusal:
    """Return the beeps and the flashes of a clip as `split` has them."""
    clip = decode(file, program, OPTIONS, True, file.parent, stretch)
    if not isinstance(clip, Decoded):
        return clip
    grey = np.array([np.asarray(Image.open(io.BytesIO(image)).convert("L")).mean() for image in clip.images()])
    samples = soundfile.read(io.BytesIO(clip.flac), dtype="int16")[0]
    return beeps_in(samples), onsets(np.arange(len(grey)) / FPS, grey > 128)


def holds(studio: Studio, file: Path, late_s: float = 0.0) -> None:
    """Hold split, whole and in a stretch, and predict to the truth; beeps may come late by some seconds."""
    flashes = flashes_of(file)
    assert len(flashes) >= len(AT_S)
    for stretch in (WHOLE, Stretch(1.5, 3.7)):
        found = split_film(file, studio.program, stretch)
        assert not isinstance(found, Refusal), found
        for seen, truth, within_s in zip(found, (flashes + late_s, flashes), (0.005, 0.5 / FPS + 0.001), strict=True):
            end_s = stretch.end_s or 1e9
            wanted = truth[(truth > stretch.start_s + 0.1) & (truth < end_s - 0.1)] - stretch.start_s
            seen = seen[seen < end_s - 0.1 - stretch.start_s]
            assert seen == pytest.approx(wanted, abs=within_s), stretch
    samples = heard(file, studio.program)
    assert not isinstance(samples, Refusal), samples
    assert beeps_in(samples) == pytest.approx(flashes + late_s, abs=0.005)


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_keeps_flash_and_beep(studio: Studio, name: str) -> None:
    holds(studio, studio.film(name, *CONTAINERS[name]))


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm", "ts", "flv"])
@pytest.mark.parametrize("late_s", [0.32, -0.32])
def test_sound_or_pictures_that_start_late_stay_late(studio: Studio, kind: str, late_s: float) -> None:
    master, encoding = studio.master, VP8 if kind == "webm" else AAC
    late = ("-itsoffset", abs(late_s), "-i", master)
    inputs = (*late, "-i", master) if late_s < 0 else ("-i", master, *late)
    holds(studio, studio.make(f"late {late_s}.{kind}", *inputs, "-map", "0:v", "-map", "1:a", *encoding), late_s)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm", "ts", "flv"])
def test_lost_packets_leave_the_rest_in_place(studio: Studio, kind: str) -> None:
    whole = studio.film(f"whole.{kind}", *(VP8 if kind == "webm" else AAC))
    lost = "+".join(
        f"between(pts*tb,{at},{at}+{length}-0.001)" for at, length in ((0.4, 0.1), (1.4, 0.02), (2.4, 0.06))
    )
    holds(studio, studio.make(f"lost.{kind}", "-i", whole, "-c", "copy", "-bsf:a", f"noise=drop='{lost}'"))


@pytest.mark.parametrize("kind", ["mkv", "webm", "flv"])
def test_time_stamps_that_tremble_move_nothing(studio: Studio, kind: str) -> None:
    whole = studio.film(f"steady.{kind}", *(VP8 if kind == "webm" else AAC))
    # A fixed sequence in place of chance: 9 ms to either side.
    tremble = "setts=ts='TS+0.009*sin(N*N)/TB'"
    holds(studio, studio.make(f"trembles.{kind}", "-i", whole, "-c", "copy", "-bsf:a", tremble))


@pytest.mark.parametrize(("kind", "encoding"), [("ts", AAC), ("ts", MPEG), ("mkv", MPEG), ("mpg", MPEG)])
def test_size_channels_and_rate_may_change_within_a_file(studio: Studio, kind: str, encoding: tuple[str, ...]) -> None:
    first = studio.make("first.ts", "-i", studio.master, *encoding, "-muxdelay", 0)
    then = studio.make("then.ts", "-i", studio.other, *encoding, "-output_ts_offset", LENGTH_S, "-muxdelay", 0)
    changing = studio.joined("changing.ts", first, then)
    if kind != "ts":
        changing = studio.make(f"changing.{kind}", "-i", changing, "-c", "copy")
    assert len(flashes_of(changing)) == 2 * len(AT_S)
    holds(studio, changing)


@pytest.mark.parametrize("kind", ["ts", "m2ts", "mpg"])
@pytest.mark.parametrize(("first", "second"), [("short", "short"), ("short", "long"), ("long", "short")])
def test_files_joined_by_their_bytes_are_one_after_another_or_refused(
    studio: Studio, kind: str, first: str, second: str
) -> None:
    encoding = {"ts": AAC, "m2ts": AC3, "mpg": MPEG}[kind]
    repeated = {"short": 0, "long": 2}
    parts = {
        name: studio.make(f"{name}.{kind}", "-stream_loop", times, "-i", studio.master, *encoding)
        for name, times in repeated.items()
    }
    file = studio.joined(f"joined.{kind}", parts[first], parts[second])
    found, samples = split_film(file, studio.program), heard(file, studio.program)
    if isinstance(found, Refusal):
        assert isinstance(samples, Refusal)
        assert found.reason == samples.reason == "decode_error"
        assert "joined" in found.detail
        return
    assert not isinstance(samples, Refusal)
    beeps, flashes = found
    count = sum(1 + repeated[name] for name in (first, second))
    expected = np.concatenate([LENGTH_S * part + np.array(AT_S) for part in range(count)])
    assert beeps == pytest.approx(expected, abs=0.1), "the second begins where the first ends, to some frames"
    # Where pictures stand on the grid, half a frame is lost.
    assert beeps - flashes == pytest.approx(np.zeros(len(beeps)), abs=0.005 + 0.5 / FPS)
    assert beeps_in(samples) == pytest.approx(beeps, abs=0.005)


def test_sound_at_the_place_of_a_stretch_is_that_of_the_whole_file(studio: Studio) -> None:
    """AVI's time stamps of MP3 are whole frames of 24 ms: seeking must not round them."""
    file = studio.film("mp3.avi", "-c:v", "mpeg4", "-c:a", "libmp3lame")
    whole, part = (split_film(file, studio.program, stretch) for stretch in (WHOLE, Stretch(1.5, 3.7)))
    assert not isinstance(whole, Refusal)
    assert not isinstance(part, Refusal)
    assert part[0] + 1.5 == pytest.approx(whole[0][1:], abs=0.001)
