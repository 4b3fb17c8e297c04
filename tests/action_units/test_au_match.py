"""Rows of other tools stand where their pictures are: on the clock of `split`, in all containers, whole and in part."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from avpretext.action_units import au_match
from avpretext.action_units.au_csv import OUT_OF_ORDER, UNCOUNTED, UNTIMED_ROWS, Track, openface_track, pyfeat_track
from avpretext.action_units.au_match import match
from avpretext.action_units.from_files import resample
from avpretext.config import MediaOptions
from avpretext.face.landmark_shards import frame_s
from avpretext.flow.columns import ACTION_UNITS
from avpretext.media.container import Pictures, pictures_of
from avpretext.media.decode import Decoded, decode
from avpretext.media.stretches import WHOLE, Stretch

Floats = NDArray[np.float64]

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac")
VP8 = ("-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-c:a", "libvorbis")
THINNED = ("-vf", "select='not(mod(n,2))+gt(t,2)+lt(t,.7)'", "-fps_mode", "vfr")
KINDS = {
    "constant.mp4": H264,
    "varying.mp4": (*THINNED, *H264),
    "varying.mkv": (*THINNED, *H264),
    "late.mp4": H264,
    "late.mkv": H264,
    "no_edit_list.mp4": (*H264, "-use_editlist", "0"),
    "fragmented.mp4": (*H264, "-movflags", "frag_keyframe+empty_moov"),
    "clock_from_3.mkv": (*H264, "-output_ts_offset", "3"),
    "clock_from_3.mp4": (*H264, "-output_ts_offset", "3"),
    "packed.avi": ("-c:v", "mpeg4", "-bf", "2", "-c:a", "mp3"),
    "stream.ts": H264,
    "program.mpg": ("-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2"),
    "hidden.webm": VP8,
    "tags.flv": H264,
}
"""Files by name, with how they are encoded: `late` ones show their first picture .48 s after the sound begins."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make videos whose brightness rises and falls, 4 s each."""
    folder = tmp_path_factory.mktemp("videos")
    light = "color=gray:size=64x64:rate=25:duration=4,geq=lum='128+90*sin(5*T)+30*sin(17*T)':cb=128:cr=128"
    for name, encoding in KINDS.items():
        late = ["-itsoffset", "0.48"] if name.startswith("late") else []
        sources = [*late, "-f", "lavfi", "-i", light, "-f", "lavfi", "-i", "sine=duration=4.4"]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", *sources, *encoding]
        subprocess.run([*command, str(folder / name)], check=True)
    return {name: folder / name for name in KINDS}


def brightness_by_opencv(file: Path) -> Floats:
    """Return what a tool that reads pictures as OpenFace does measures of each."""
    video, values = cv2.VideoCapture(str(file)), []
    while (read := video.read())[0]:
        values.append(read[1].mean() / 255)
    return np.array(values)


def brightness_by_split(file: Path, folder: Path, stretch: Stretch = WHOLE) -> Floats:
    """Return the same of the frames of our grid."""
    ffmpeg = str(imageio_ffmpeg.get_ffmpeg_exe())
    decoded = decode(file, ffmpeg, MediaOptions(min_duration_s=0.1), True, folder, stretch)
    assert isinstance(decoded, Decoded)
    pictures = [cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR) for image in decoded.images()]
    return np.array([picture.mean() / 255 for picture in pictures])


def table_of(values: Floats, rows: NDArray[np.int64] | None = None) -> Track:
    """Return a track with such a value in the rows of these pictures, all unless said otherwise."""
    kept = np.arange(len(values)) if rows is None else rows
    return Track(kept, values[kept, None].repeat(len(ACTION_UNITS), axis=1), kept)


def imported(track: Track, file: Path, frames: int, stretch: Stretch = WHOLE, of_file: bool = False) -> Floats:
    """Return the first action unit on the frames of a clip."""
    grid = np.arange(frames) / 25
    found = match(track, lambda: pictures_of(file), stretch, len(grid) * frame_s(grid), of_file)
    return resample(found.time_s, found.values, found.step_s, grid, found.lost)[:, 0]


def agreement(found: Floats, truth: Floats) -> float:
    known = np.isfinite(found)
    return float(np.corrcoef(found[known], truth[known])[0, 1])


@pytest.mark.parametrize("name", KINDS)
def test_each_row_is_where_its_picture_is(videos: dict[str, Path], tmp_path: Path, name: str) -> None:
    seen = brightness_by_opencv(videos[name])
    truth = brightness_by_split(videos[name], tmp_path)
    found = imported(table_of(seen), videos[name], len(truth))
    assert agreement(found, truth) > 0.98
    gaps = 12 if name.startswith("late") else 3
    assert np.isnan(found).sum() <= gaps
    assert np.isnan(found[:11]).all() == name.startswith("late")


@pytest.mark.parametrize(
    "name", ["constant.mp4", "varying.mp4", "late.mkv", "clock_from_3.mkv", "hidden.webm", "stream.ts"]
)
def test_a_stretch_takes_the_rows_of_its_pictures(videos: dict[str, Path], tmp_path: Path, name: str) -> None:
    stretch = Stretch(0.8, 3.3)
    seen, truth = brightness_by_opencv(videos[name]), brightness_by_split(videos[name], tmp_path, stretch)
    whole = imported(table_of(seen), videos[name], len(truth), stretch)
    assert agreement(whole, truth) > 0.98
    assert np.isfinite(whole).mean() > 0.95
    pictures = pictures_of(videos[name])
    assert pictures is not None
    inside = (pictures.time_s >= 0.799) & (pictures.time_s < 3.299)
    alone = imported(table_of(seen[inside]), videos[name], len(truth), stretch)
    np.testing.assert_array_equal(alone[1:-1], whole[1:-1])
    lost = table_of(seen, np.flatnonzero(np.arange(len(seen)) < 0.6 * len(seen)))
    named = imported(lost, videos[name], len(truth), stretch, of_file=True)
    assert agreement(named, truth) > 0.98
    assert np.isnan(named[-5:]).all()


@pytest.mark.parametrize("name", ["constant.mp4", "varying.mp4", "late.mkv"])
@pytest.mark.parametrize("lost", ["middle", "end", "every second"])
def test_rows_that_are_lost_are_gaps(videos: dict[str, Path], tmp_path: Path, name: str, lost: str) -> None:
    seen, truth = brightness_by_opencv(videos[name]), brightness_by_split(videos[name], tmp_path)
    number, count = np.arange(len(seen)), len(seen)
    kept = {
        "middle": number[(number < 0.3 * count) | (number > 0.6 * count)],
        "end": number[: int(0.7 * count)],
        "every second": number[::2],
    }[lost]
    found = imported(table_of(seen, kept), videos[name], len(truth))
    assert agreement(found, truth) > 0.97
    whole = np.isfinite(imported(table_of(seen), videos[name], len(truth))).sum()
    missing = whole - np.isfinite(found).sum()
    bridged = lost == "every second" and not name.startswith("varying")  # 0.08 s, there up to 0.16 s
    assert missing <= 2 if bridged else missing > 0.2 * len(truth)
    pictures = pictures_of(videos[name])
    assert match(table_of(seen, kept), lambda: pictures, WHOLE, len(truth) / 25).oddities == [au_match.ROWS_LOST]


STEADY = Pictures(np.arange(50) / 25, (25.0,))


def columns(**given: object) -> dict[str, Floats]:
    """Return a table of OpenFace of 50 rows, 25 per second, with other columns as given."""
    plain = {"frame": np.arange(1, 51), "timestamp": np.arange(50) / 25, "confidence": 1.0, "success": 1.0}
    plain |= {"face_id": 0.0, "AU12_r": np.linspace(0, 5, 50)}
    rows = len(np.asarray(given.get("frame", plain["frame"])))
    return {name: np.resize(np.asarray(value, float), rows) for name, value in (plain | given).items()}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (columns(frame=np.r_[1:31, 1:31]), OUT_OF_ORDER),
        (columns(frame=np.r_[1:51, 50]), OUT_OF_ORDER),
        (columns(frame=np.arange(1, 51) - 0.5), UNCOUNTED),
        (columns(frame=np.arange(301, 351)), UNCOUNTED),  # cut out of a longer table, whose times begin anew
        (columns(frame=np.arange(1, 53), timestamp=np.arange(52) / 25), au_match.TOO_MANY),
        (columns(frame=np.arange(1, 31), timestamp=np.arange(30) / 15), au_match.OTHER_RATE),
    ],
)
def test_a_table_that_is_of_another_video_is_not_used(table: dict[str, Floats], why: str) -> None:
    found = match(openface_track(table), lambda: STEADY, WHOLE, 2.0)
    assert found.oddities == [why]
    assert not len(found.time_s)


@pytest.mark.parametrize(
    "table",
    [
        columns(),
        columns(frame=np.arange(50)),  # copies count from 0
        columns(timestamp=np.arange(50) / 1000),  # OpenFace does not know the frame rate
        columns(timestamp=np.arange(50) / 30),  # or takes it for another, of as many pictures
        columns(frame=np.r_[1:51, 1:51], face_id=np.repeat([0, 1], 50), timestamp=np.tile(np.arange(50) / 25, 2)),
    ],
)
def test_pictures_are_counted_whatever_the_times_of_the_table(table: dict[str, Floats]) -> None:
    found = match(openface_track(table), lambda: STEADY, WHOLE, 2.0)
    np.testing.assert_array_equal(found.time_s, STEADY.time_s)


def test_first_rows_that_are_lost_shift_nothing() -> None:
    for first in (0, 1):
        late = columns(frame=np.arange(20, 50) + first, timestamp=np.round(np.arange(20, 50) / 25, 3))
        found = match(openface_track(late), lambda: STEADY, WHOLE, 2.0)
        np.testing.assert_array_equal(found.time_s, STEADY.time_s[20:])


def pyfeat(frame: NDArray[np.int64], **more: object) -> dict[str, Floats]:
    boxes = {"FaceRectX": np.arange(len(frame)), "FaceRectY": 0, "FaceRectWidth": 9, "FaceRectHeight": 9}
    plain = {"frame": frame, **boxes, "FaceScore": 1.0, **dict.fromkeys(ACTION_UNITS, 0.5), **more}
    return {name: np.resize(np.asarray(value, float), len(frame)) for name, value in plain.items()}


def test_py_feat_counts_the_pictures_that_it_skips() -> None:
    for skip in (2, 5):
        found = match(pyfeat_track(pyfeat(np.arange(0, 50, skip))), lambda: STEADY, WHOLE, 2.0)
        np.testing.assert_array_equal(found.time_s, STEADY.time_s[::skip])
        values = resample(found.time_s, found.values, found.step_s, STEADY.time_s, found.lost)
        known = range(49) if skip == 2 else range(0, 50, 5)
        assert list(np.flatnonzero(np.isfinite(values[:, 0]))) == list(known)


def test_pictures_without_a_face_are_bridged_and_those_without_a_row_are_not() -> None:
    looked_at = columns(success=np.where(np.isin(np.arange(50), [10, 11, 12]), 0, 1))
    keep = ~np.isin(np.arange(50), [10, 11, 12])
    lost = {name: column[keep] for name, column in columns().items()}
    for table, known in ((looked_at, 50), (lost, 47)):
        found = match(openface_track(table), lambda: STEADY, WHOLE, 2.0)
        values = resample(found.time_s, found.values, found.step_s, STEADY.time_s, found.lost)
        assert np.isfinite(values[:, ACTION_UNITS.index("AU12")]).sum() == known


@pytest.mark.parametrize("frame", [np.r_[0:20, 0:20], np.r_[20:40, 0:20]])
def test_two_tables_of_py_feat_in_one_are_not_used(frame: NDArray[np.int64]) -> None:
    assert match(pyfeat_track(pyfeat(frame)), lambda: STEADY, WHOLE, 2.0).oddities == [OUT_OF_ORDER]


def test_a_row_that_is_there_twice_is_told() -> None:
    table = pyfeat(np.r_[0, 1, 1, 2], FaceRectX=np.array([0, 1, 1, 2]))
    assert match(pyfeat_track(table), lambda: STEADY, WHOLE, 2.0).oddities == [OUT_OF_ORDER]


def test_a_clock_of_the_table_itself_is_believed() -> None:
    def unread() -> Pictures | None:
        raise AssertionError

    track = pyfeat_track(pyfeat(np.arange(3), timestamp=np.array([0.5, 0.75, 1.5])))
    assert list(match(track, unread, WHOLE, 2.0).time_s) == [0.5, 0.75, 1.5]
    assert list(match(track, unread, Stretch(0.25, 2.0), 1.75, of_file=True).time_s) == [0.25, 0.5, 1.25]
    for odd in ([0.5, 0.5, 1.5], [0.5, np.nan, 1.5], [1.5, 0.75, 0.5]):
        assert match(pyfeat_track(pyfeat(np.arange(3), timestamp=np.array(odd))), unread, WHOLE, 2.0).oddities == [
            UNTIMED_ROWS
        ]


def joined(folder: Path, videos: dict[str, Path]) -> Iterator[Path]:
    twice = folder / "twice.ts"
    twice.write_bytes(videos["stream.ts"].read_bytes() * 2)
    yield twice
    sound = folder / "sound.wav"
    sound.write_bytes(b"RIFF")
    yield sound
    yield folder / "missing.mp4"


def test_a_file_whose_pictures_cannot_be_timed_is_told(videos: dict[str, Path], tmp_path: Path) -> None:
    for file in joined(tmp_path, videos):
        found = match(table_of(np.ones(100)), lambda file=file: pictures_of(file), WHOLE, 8.0)  # type: ignore[misc]
        assert found.oddities == [au_match.UNTIMED], file
    shorter = match(table_of(np.ones(50)), lambda: STEADY, WHOLE, 8.0)
    assert shorter.oddities == [au_match.UNTIMED]
