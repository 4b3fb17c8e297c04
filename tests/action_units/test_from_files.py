"""Action units of OpenFace and py-feat, from their own published files and from files written here the same way."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units import from_files
from avpretext.action_units.au_csv import OPENFACE, PYFEAT, Track, read_track, tool_of
from avpretext.config import EmotionLabelOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import landmarks_schema, schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.labels import emotion
from avpretext.media.container import Pictures

DATA = Path(__file__).parent / "data"
INTENSITIES = [f"AU{number:02d}_r" for number in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)]
PRESENCES = [*(name.replace("_r", "_c") for name in INTENSITIES[:-1]), "AU28_c", "AU45_c"]
UNKNOWN_TO_OPENFACE = ["AU11", "AU24"]


def unit(values: NDArray[np.floating], name: str) -> list[float]:
    return [float(value) for value in values[:, ACTION_UNITS.index(name)].round(6)]


def openface(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write a CSV as OpenFace 2.2 does: a space after each comma of the header and of the rows."""
    plain = {"face_id": 0, "confidence": 0.98, "success": 1, **dict.fromkeys((*INTENSITIES, *PRESENCES), 0)}
    head = ["frame", "face_id", "timestamp", "confidence", "success", *INTENSITIES, *PRESENCES]
    full = [{"timestamp": (row["frame"] - 1) / 25, **plain, **row} for row in rows]
    lines = [", ".join(str(row[name]) for name in head) for row in full]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([", ".join(head), *lines]) + "\n")
    return path


def smile(frame: int, intensity: float, **more: Any) -> dict[str, Any]:
    return {"frame": frame, "AU12_r": intensity, **more}


def track(path: Path) -> Track:
    found = read_track(path)
    assert found is not None
    return found


def test_openfaces_published_file_is_read_as_it_stands() -> None:
    path = DATA / "openface.csv"
    assert tool_of(path) == OPENFACE
    found = track(path)
    assert list(found.frame) == list(range(12))
    assert unit(found.values, "AU01")[:2] == pytest.approx([0.6773 / 5, 0.5958 / 5])
    assert unit(found.values, "AU43")[:2] == pytest.approx([0.02348 / 5, 0.1258 / 5])  # from AU45
    assert set(unit(found.values, "AU28")) == {0.0}  # from AU28_c
    unknown = [name for k, name in enumerate(ACTION_UNITS) if np.isnan(found.values[:, k]).all()]
    assert unknown == UNKNOWN_TO_OPENFACE
    assert found.rate_hz is None, "a thousand frames a second are no clock"
    assert found.frames == 12


def test_pyfeats_published_file_is_read_as_it_stands() -> None:
    path = DATA / "pyfeat.csv"
    assert tool_of(path) == PYFEAT
    found = track(path)
    assert list(found.frame) == list(range(12))
    assert unit(found.values, "AU12")[:2] == pytest.approx([0.610553, 0.533842], abs=1e-6)
    assert np.isfinite(found.values).all()
    assert found.time_s is None
    assert found.frames == 12


def test_intensities_are_a_fifth_and_presence_stays_zero_or_one(tmp_path: Path) -> None:
    path = openface(tmp_path / "a.csv", [smile(1, 2.5, AU28_c=1, AU45_r=5.0, AU12_c=0), smile(2, 7)])
    values = track(path).values
    assert unit(values, "AU12") == [0.5, 1]
    assert unit(values, "AU28") == [1, 0]
    assert unit(values, "AU43") == [1, 0]


def test_failures_and_what_is_no_number_are_gaps(tmp_path: Path) -> None:
    rows = [
        smile(1, 1), smile(2, 5, success=0), smile(3, 5, confidence=0.4), smile(4, "-nan(ind)"), smile(5, 2),
    ]  # fmt: skip
    found = track(openface(tmp_path / "a.csv", rows))
    assert list(found.frame) == [0, 4]
    assert found.frames == 5


def test_half_a_row_of_a_killed_run_is_a_gap(tmp_path: Path) -> None:
    path = openface(tmp_path / "a.csv", [smile(1, 1), smile(2, 2)])
    path.write_text(path.read_text() + "3, 0, 0.080, 0.98, 1, 0.3")
    assert list(track(path).frame) == [0, 1]


def test_of_several_faces_the_one_seen_most_is_taken_and_of_equals_the_surest(tmp_path: Path) -> None:
    often = [smile(k, 1, face_id=1) for k in (1, 2, 3)] + [smile(k, 4, face_id=0, confidence=1) for k in (1, 2)]
    assert unit(track(openface(tmp_path / "a.csv", often)).values, "AU12") == [0.2] * 3
    sure = [smile(k, 1 + face, face_id=face, confidence=0.9 + face / 20) for k in (1, 2) for face in (0, 1)]
    found = track(openface(tmp_path / "b.csv", [*sure, smile(3, 5, face_id=0, success=0)]))
    assert unit(found.values, "AU12") == [0.4] * 2
    assert found.faces == 2


def test_a_face_lost_and_found_under_another_number_is_one_face(tmp_path: Path) -> None:
    found = track(openface(tmp_path / "a.csv", [smile(1, 1), smile(2, 2, face_id=3)]))
    assert unit(found.values, "AU12") == [0.2, 0.4]
    assert found.faces == 1


def test_pyfeat_rows_without_a_face_are_gaps_and_a_timestamp_is_used(tmp_path: Path) -> None:
    lines = (DATA / "pyfeat.csv").read_text().splitlines()
    header = lines[0].split(",")
    empty = [value if header[k] in ("frame", "input") else "" for k, value in enumerate(lines[2].split(","))]
    rows = [lines[0], lines[1], ",".join(empty), lines[3]]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(rows))
    assert list(track(path).frame) == [0, 2]
    path.write_text("\n".join(f"{row},{extra}" for row, extra in zip(rows, ("timestamp", 0, 0.5, 1), strict=True)))
    found = track(path)
    assert found.time_s is not None
    assert list(found.time_s) == [0, 1]
    assert found.step_s == 0.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,age\nx,3\n", "begin with 'name,age'"),
        ("face, confidence, AU01_r\n0, 1, 2\n", "on a video"),
        ("frame, face_id, timestamp, confidence, success, gaze_0_x\n1, 0, 0, 1, 1, 0\n", "-aus"),
        ("frame,FaceScore,AU01\n0,0.9,1\n", "lacks the columns FaceRectX"),
    ],
)
def test_a_file_of_neither_tool_is_named_with_what_is_expected(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"odd\.csv") as error:
        read_track(path)
    assert says in str(error.value)


@pytest.mark.parametrize("text", ["", "\n", "frame, face_id, timestamp, confidence, success, AU01_r\n"])
def test_a_file_without_rows_holds_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert read_track(path) is None


def test_values_between_two_instants_are_interpolated() -> None:
    time_s, values = np.array([0.0, 0.1, 0.3]), np.array([[0.0, np.nan], [1.0, np.nan], [0.0, np.nan]])
    got = from_files.resample(time_s, values, 0.1, np.array([0.0, 0.025, 0.1, 0.25, 0.3]))
    np.testing.assert_allclose(got[:, 0], [0, 0.25, 1, 0.25, 0])
    assert np.isnan(got[:, 1]).all()


def test_frames_further_apart_than_a_fifth_of_a_second_leave_a_gap() -> None:
    time_s = np.array([0.0, 0.04, 0.28, 0.32])
    got = from_files.resample(time_s, np.array([[0.0], [0.5], [0.5], [0.0]]), 0.04, np.arange(10) * 0.04)
    np.testing.assert_allclose(got[:, 0], [0, 0.5, *[np.nan] * 5, 0.5, 0, np.nan])


def test_the_last_frame_lasts_for_half_its_step() -> None:
    # 24 frames per second on a grid of 25: the last frame of the grid is 2 ms after the last of the source.
    time_s = np.arange(24) / 24
    got = from_files.resample(time_s, np.ones((24, 1)), 1 / 24, np.arange(25) / 25)
    assert np.isfinite(got).all()
    assert np.isnan(from_files.resample(time_s, np.ones((24, 1)), 1 / 24, np.array([1.0]))).all()


def test_a_face_found_nowhere_is_all_gap() -> None:
    assert np.isnan(from_files.resample(np.array([]), np.empty((0, 20)), 0.04, np.arange(3) / 25)).all()


Corpus = Callable[[dict[str, int]], Path]


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """Write shards of `landmarks`, nothing but a grid, and of `index`: clip to number of frames, 25 per second."""

    def write(clips: dict[str, int]) -> Path:
        rows = [
            {"clip_id": clip, "frame": k, "time_s": k / 25, **dict.fromkeys(landmarks_schema(1).names[3:])}
            for clip, frames in clips.items()
            for k in range(frames)
        ]
        path = tmp_path / "results" / "corpus" / "landmarks" / "0000.parquet"
        shards.write_table(path, rows, landmarks_schema(1), {})
        index = [dict.fromkeys(schema_of("index").names) | {"clip_id": clip, "path": f"{clip}.mp4"} for clip in clips]
        shards.write_table(path.parents[1] / "index" / path.name, index, schema_of("index"), {})
        # The files of the clips have a picture for each frame.
        lengths = {f"{clip}.mp4": frames for clip, frames in clips.items()}
        read = lambda file: Pictures(np.arange(lengths[file.relative_to(tmp_path).as_posix()]) / 25, (25.0,))  # noqa: E731
        monkeypatch.setattr(from_files, "pictures_of", read)
        return path

    return write


def options(folder: Path | None) -> Any:
    plain = {"backend": "import", "imports": folder and str(folder)}
    return SimpleNamespace(imports=plain["imports"], model_dump=lambda mode: plain)


def imported(landmarks: Path, folder: Path) -> dict[str, NDArray[np.float64]]:
    output = landmarks.parents[1] / "action_units" / "0000.parquet"
    index = landmarks.parents[1] / "index" / landmarks.name
    from_files.run(landmarks, index, landmarks.parents[3], options(folder), output)
    table = shards.read(output)
    return {
        str(clip): rows.select(ACTION_UNITS).cast(float).fill_null(np.nan).to_numpy()
        for (clip,), rows in table.partition_by("clip_id", as_dict=True, maintain_order=True).items()
    }


def test_each_clip_gets_its_own_file_wherever_it_lies(
    grid: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "csv"
    openface(folder / "s1" / "a.csv", [smile(k + 1, 1) for k in range(3)])
    openface(folder / "s2" / "a.csv", [smile(k + 1, 2) for k in range(3)])
    openface(folder / "deep" / "down" / "b.csv", [smile(k + 1, 3) for k in range(3)])
    got = imported(grid({"s1/a": 3, "s2/a": 3, "b": 3, "s3/a": 3, "c": 3}), folder)
    assert unit(got["s1/a"], "AU12") == pytest.approx([0.2] * 3)
    assert unit(got["s2/a"], "AU12") == pytest.approx([0.4] * 3)
    assert unit(got["b"], "AU12") == pytest.approx([0.6] * 3)
    assert np.isnan(got["s3/a"]).all()  # s1/a or s2/a: which?
    assert np.isnan(got["c"]).all()
    told = capsys.readouterr().err
    assert "1 clips have no CSV" in told
    assert "1 clips could each mean several CSV files" in told
    assert "60.0% of the frames measured" in told


def test_the_shard_has_the_rows_of_landmarks_and_says_what_it_is_made_of(grid: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "csv"
    openface(folder / "a.csv", [smile(1, 1), smile(2, 2)])
    (folder / "b.csv").write_text((DATA / "pyfeat.csv").read_text())
    (folder / "c.csv").write_text("")
    landmarks = grid({"a": 2, "b": 12, "c": 4, "d": 1})
    imported(landmarks, folder)
    output = landmarks.parents[1] / "action_units" / "0000.parquet"
    assert shards.columns_of(output) == schema_of("action_units").names
    columns = ["clip_id", "frame", "time_s"]
    assert shards.read(output, columns).equals(shards.read(landmarks, columns))
    counts = {"missing": 1, "ambiguous": 0, "OpenFace": 1, "py-feat": 1, "empty": 1}
    assert shards.read_provenance(output)["imported"] == counts
    before = output.read_bytes()
    imported(landmarks, folder)
    assert output.read_bytes() == before


def test_a_file_with_too_many_rows_is_not_used_and_too_few_leave_gaps(
    grid: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for clip in "abc":
        openface(tmp_path / "csv" / f"{clip}.csv", [smile(k + 1, 1) for k in range(75)])
    got = imported(grid({"a": 50, "b": 75, "c": 100}), tmp_path / "csv")
    told = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert [line[-1] for line in told] == ["a", "c"]
    assert "more rows than" in told[0]
    assert "without a row for some" in told[1]
    assert [np.isfinite(got[clip]).any(axis=1).sum() for clip in "abc"] == [0, 75, 75]


def test_stretches_of_a_file_share_its_table(grid: Corpus, tmp_path: Path) -> None:
    openface(tmp_path / "csv" / "deep" / "talk.csv", [smile(k + 1, k / 20) for k in range(100)])
    landmarks = grid({"talk": 100, "talk_00001000": 25, "talk_00003000": 50})
    rows = [
        dict.fromkeys(schema_of("index").names)
        | {"clip_id": clip, "path": "talk.mp4", "start_s": start, "end_s": start + 1}
        for clip, start in (("talk", 0.0), ("talk_00001000", 1.0), ("talk_00003000", 3.0))
    ]
    shards.write_table(landmarks.parents[1] / "index" / landmarks.name, rows, schema_of("index"), {})
    got = imported(landmarks, tmp_path / "csv")
    assert unit(got["talk_00001000"], "AU12") == pytest.approx(np.arange(25, 50) / 100)
    assert unit(got["talk_00003000"], "AU12")[:25] == pytest.approx(np.arange(75, 100) / 100)


@pytest.mark.parametrize("there", [[], ["z.csv"]])
def test_no_file_for_any_clip_stops_the_run(grid: Corpus, tmp_path: Path, there: list[str]) -> None:
    folder = tmp_path / "csv"
    folder.mkdir()
    for name in there:
        openface(folder / name, [smile(1, 1)])
    with pytest.raises(UserError, match=r"expected 'a.csv'") as error:
        imported(grid({"a": 2, "b": 2}), folder)
    assert (there or ["no CSV file"])[0] in str(error.value)


def test_a_folder_that_is_not_named_or_not_there_is_said_so(grid: Corpus, tmp_path: Path) -> None:
    landmarks, output = grid({"a": 1}), tmp_path / "out.parquet"
    with pytest.raises(UserError, match="imports = null"):
        from_files.run(landmarks, landmarks, tmp_path, options(None), output)
    with pytest.raises(UserError, match="no such folder"):
        from_files.run(landmarks, landmarks, tmp_path, options(tmp_path / "nowhere"), output)
    assert not output.exists()


def test_action_units_that_openface_lacks_leave_a_clip_its_emotion(grid: Corpus, tmp_path: Path) -> None:
    openface(tmp_path / "csv" / "a.csv", [smile(k + 1, 4, AU06_r=3, AU25_r=2) for k in range(25)])
    landmarks = grid({"a": 25})
    imported(landmarks, tmp_path / "csv")
    output = tmp_path / "labels.parquet"
    emotion.run([landmarks.parents[1] / "action_units" / "0000.parquet"], EmotionLabelOptions(), output)
    assert shards.read(output).select("outcome", "label").row(0) == ("labelled", "HAP")
