"""Features of several kinds side by side on the 10 ms clock."""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
import torch

from avpretext import shards
from avpretext.errors import UserError
from avpretext.flow import schemas
from avpretext.models.chunking import ChunkGrid
from avpretext.training import data
from avpretext.training.data import cut_clips, load_chunks
from avpretext.training.frames import FrameStore, choose_channels, read_frames
from avpretext.training.sources import extent, nearest_rows

Table = Mapping[str, Any]


def speech(folder: Path, **clips: int) -> list[Path]:
    """Write shards of a stage in which `energy` of a clip is 0, 1, 2, ... and `pitch` a hundred times that."""
    files = []
    for number, (clip_id, count) in enumerate(clips.items()):
        rows = [
            {"clip_id": clip_id, "frame": frame, "time_s": frame * 0.01, "energy": frame, "loudness": 0.0}
            | {"pitch": 100.0 * frame}
            for frame in range(count)
        ]
        files.append(folder / "speech" / f"{number}.parquet")
        shards.write_table(files[-1], rows, schemas.speech(["pitch"]), {})
    return files


def own(folder: Path, **files: Table) -> list[Path]:
    """Write features of one's own; a clip_id that is one for all rows may be given once."""
    (folder / "own").mkdir(exist_ok=True)
    for name, columns in files.items():
        pl.DataFrame(columns).write_parquet(folder / "own" / f"{name}.parquet")
    return [folder / "own"]


def every_20_ms(rows: int, **columns: Any) -> Table:
    return {"clip_id": "a", "time_s": np.arange(rows) * 0.02, **columns}


def test_rows_at_20_ms_stand_beside_the_frames_nearest_in_time(tmp_path: Path) -> None:
    features = {"speech": speech(tmp_path, a=6), "mine": own(tmp_path, all=every_20_ms(3, x=[1.0, 2.0, 3.0]))}
    store = read_frames(features, ["a"], ["energy", "x"])
    assert store.channels == ["energy", "x"]
    # Frames at 0, 10, ..., 50 ms; rows at 0, 20, 40 ms; those at 10, 30 ms are as near to both: the earlier row
    assert store.clip(0).tolist() == [[0, 1], [1, 1], [2, 2], [3, 2], [4, 3], [5, 3]]


@pytest.mark.parametrize("step_ms", [2, 10, 12.5, 20, 40, 100])
def test_each_frame_takes_the_row_nearest_in_time_at_any_rate(step_ms: float) -> None:
    times = 0.003 + np.arange(50) * step_ms / 1000
    rows = nearest_rows(times, 60)
    distance = np.abs(times[rows] - np.arange(60) * 0.01)
    np.testing.assert_allclose(distance, np.abs(times[:, None] - np.arange(60) * 0.01).min(0), atol=2e-6)


def test_lists_of_values_are_channels_by_number(tmp_path: Path) -> None:
    values = [[1.0, 2.0, None], [3.0, 4.0, 5.0]]
    features = {"speech": speech(tmp_path, a=4), "mine": own(tmp_path, all=every_20_ms(2, values=values))}
    store = read_frames(features, ["a"], ["mine[*", "pitch"])
    assert store.channels == ["pitch", "mine[0]", "mine[1]", "mine[2]"]
    np.testing.assert_array_equal(store.clip(0)[[0, 3]], [[0, 1, 2, np.nan], [300, 3, 4, 5]])
    only = read_frames(features, ["a"], ["mine[1]"])
    assert only.frames[:, 0].tolist() == [2, 2, 4, 4]


def test_features_of_ones_own_alone_say_how_long_a_clip_is(tmp_path: Path) -> None:
    features = {"mine": own(tmp_path, all=every_20_ms(30, x=np.arange(30), y=np.arange(30) ** 2))}
    store = read_frames(features, ["a"], ["*"])
    assert store.lengths.tolist() == [60]
    assert store.frames[:, 0].tolist() == [row for row in range(30) for _ in range(2)]


def test_speech_sets_the_clock_wherever_it_is_named(tmp_path: Path) -> None:
    features = {"mine": own(tmp_path, all=every_20_ms(10, x=np.arange(10.0))), "speech": speech(tmp_path, a=24)}
    store = read_frames(features, ["a"], ["x", "energy"])
    assert store.channels == ["x", "energy"]
    assert store.clip(0)[-5:].tolist() == [[9, 19], [9, 20], [9, 21], [9, 22], [9, 23]]  # 40 ms short: its last row


def test_clips_lie_end_to_end_by_name_and_are_cut_as_each_alone(tmp_path: Path) -> None:
    features = {"speech": speech(tmp_path, b=30, a=7, c=90)}
    store = read_frames(features, ["a", "b", "c"], ["*"])
    assert store.clip_ids == ["a", "b", "c"]
    assert store.offsets.tolist() == [0, 7, 37, 127]
    assert store.frames[:, 0].tolist() == [*range(7), *range(30), *range(90)]
    chunks = load_chunks(features, dict.fromkeys("abc", "s"), ["*"], ChunkGrid(20, 3, step_frames=3))
    for row, clip_id in enumerate("abc"):
        alone = cut_clips({clip_id: store.clip(row)}, {clip_id: "s"}, store.channels, ChunkGrid(20, 3, step_frames=3))
        assert torch.equal(chunks.steps[row], alone.steps[0])
        np.testing.assert_array_equal(chunks.moments[:, row], alone.moments[:, 0])


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    clips = {f"{number:02d}": rng.normal(size=(5 + 7 * number, 2)).astype(np.float32) for number in range(12)}
    speakers = dict.fromkeys(clips, "s")
    whole = cut_clips(clips, speakers, ["x", "y"], ChunkGrid(20, 3))
    monkeypatch.setattr(data, "BLOCK_FRAMES", 50)
    blocks = [(rows.start, rows.stop) for rows in FrameStore.of(clips, ["x", "y"]).blocks(50)]
    assert blocks[:2] == [
        (0, 3),
        (3, 4),
    ]  # 5 + 12 + 19 frames, 26, then 33, ...: clips over 50 are blocks by themselves
    assert blocks[-1] == (11, 12)
    parts = cut_clips(clips, speakers, ["x", "y"], ChunkGrid(20, 3))
    assert torch.equal(whole.steps, parts.steps)
    assert torch.equal(whole.mask, parts.mask)
    np.testing.assert_array_equal(whole.moments, parts.moments)


def test_moments_count_the_frames_that_have_a_value() -> None:
    clips = {"a": np.array([[1.0, np.nan], [3.0, np.nan]], np.float32), "b": np.array([[5.0, 2.0]], np.float32)}
    chunks = cut_clips(clips, {"a": "s", "b": "s"}, ["x", "y"], ChunkGrid(2, 1))
    assert chunks.moments.tolist() == [[[2, 0], [1, 1]], [[4, 0], [5, 2]], [[10, 0], [25, 4]]]


def test_clips_that_one_of_the_features_lacks_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features = {"speech": speech(tmp_path, a=6, b=6), "mine": own(tmp_path, all=every_20_ms(3, x=[1, 2, 3]))}
    assert read_frames(features, ["a", "b"], ["*"]).clip_ids == ["a"]
    assert "1 of 2 clips have no speech and mine features" in capsys.readouterr().err


def test_a_row_that_has_no_value_is_a_value_to_be_normalised_to_zero(tmp_path: Path) -> None:
    features = {"speech": speech(tmp_path, a=4), "mine": own(tmp_path, all=every_20_ms(2, x=[None, 3.0]))}
    assert np.isnan(read_frames(features, ["a"], ["x"]).frames[:, 0]).tolist() == [True, True, False, False]


def test_brackets_in_channel_names_stand_for_themselves() -> None:
    columns = ["mfcc_sma[1]", "mfcc_sma[12]", "pcm_RMSenergy_sma"]
    assert choose_channels(columns, ["mfcc_sma[1]"]) == ["mfcc_sma[1]"]
    assert choose_channels(columns, ["*"]) == columns
    with pytest.raises(UserError, match=r"mfc_sma.*did you mean"):
        choose_channels(columns, ["mfc_sma"])


WRONG: dict[str, tuple[dict[str, Table], str]] = {
    "no time": ({"all": {"clip_id": ["a"], "x": [1.0]}}, "no column time_s"),
    "no clip": ({"all": {"time_s": [0.0], "x": [1.0]}}, "no column clip_id"),
    "numbered clips": ({"all": {"clip_id": [1], "time_s": [0.0], "x": [1.0]}}, "clip_id is of type int64"),
    "no numbers": ({"all": every_20_ms(3)}, "no column of numbers"),
    "text": ({"all": every_20_ms(3, x=[1, 2, 3], word="yes")}, "column word is of type .*leave it out"),
    "lists and numbers": ({"all": every_20_ms(1, x=[1], values=[[1.0]])}, "column values is of type .*list"),
    "lists of several lengths": ({"all": every_20_ms(3, values=[[1.0, 2.0], [1.0], [1.0, 2.0]])}, "of 1 numbers"),
    "other columns": ({"p": every_20_ms(3, x=[1, 2, 3]), "q": every_20_ms(3, y=[1, 2, 3])}, "other columns than"),
    "a name of speech": ({"all": every_20_ms(3, energy=[1, 2, 3])}, "speech and mine both have a column 'energy'"),
    "not sorted": ({"all": {"clip_id": "a", "time_s": [0.0, 0.04, 0.02], "x": [1, 2, 3]}}, "from 0.04 to 0.02; sort"),
    "twice": ({"p": every_20_ms(3, x=[1, 2, 3]), "q": every_20_ms(3, x=[1, 2, 3])}, "several places"),
    "milliseconds": ({"all": {"clip_id": "a", "time_s": [0, 20, 40], "x": [1, 2, 3]}}, "rows 20 s apart.*seconds"),
    "gap": ({"all": {"clip_id": "a", "time_s": [0.0, 0.01, 0.02, 0.06], "x": [1, 2, 3, 4]}}, "gap of 0.04 s"),
    "time of a file": ({"all": {"clip_id": "a", "time_s": [9.0, 9.02, 9.04], "x": [1, 2, 3]}}, "begins at 9 s"),
    "null time": ({"all": {"clip_id": "a", "time_s": [0.0, None, 0.04], "x": [1, 2, 3]}}, "rows without time_s"),
    "too long": ({"all": every_20_ms(100, x=np.arange(100))}, "2.00 s of rows, 0.06 s by speech"),
    "infinite": ({"all": every_20_ms(3, x=[1.0, np.inf, 2.0])}, "infinite values"),
    "never a number": ({"all": every_20_ms(3, x=[np.nan] * 3, y=[1, 2, 3])}, "column 'x' has no number"),
    "other clips": ({"all": {**every_20_ms(3, x=[1, 2, 3]), "clip_id": "a.wav"}}, "such as 'a.wav'.*such as 'a'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_features_of_ones_own_that_cannot_be_right_are_refused(case: str, tmp_path: Path) -> None:
    files, message = WRONG[case]
    features = {"speech": speech(tmp_path, a=6), "mine": own(tmp_path, **files)}
    with pytest.raises(UserError, match=message) as caught:
        read_frames(features, ["a"], ["*"])
    assert "\n" not in str(caught.value)


def test_no_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "missing"):
        with pytest.raises(UserError, match="features mine: no Parquet file"):
            read_frames({"mine": [tmp_path / folder]}, ["a"], ["*"])


def test_stages_that_disagree_about_a_clip_are_refused(tmp_path: Path) -> None:
    rows = [{"clip_id": "a", "frame": frame, "time_s": 0.01 * frame, "mel[0]": 0.0} for frame in range(7)]
    shards.write_table(tmp_path / "mel.parquet", rows, schemas.log_mel(1), {})
    features = {"speech": speech(tmp_path, a=6), "log_mel": [tmp_path / "mel.parquet"]}
    with pytest.raises(UserError, match=re.escape("clip a: 7 frames in log_mel, 6 in speech")):
        read_frames(features, ["a"], ["*"])


@pytest.mark.parametrize(
    ("times", "frames"), [([0.0], 1), ([0.0, 0.02], 4), ([0.0125, 0.0325, 0.0525], 6), ([0, 0.012, 0.025, 0.037], 5)]
)
def test_rows_last_from_one_to_the_next(times: list[float], frames: int) -> None:
    assert extent(np.array(times), "").frames == frames


def test_the_documents_example_is_heard_beside_speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = (Path(__file__).parents[2] / "docs" / "features.md").read_text("utf-8")
    signal = 0.5 * np.sin(
        2 * np.pi * 1000 * np.arange(3200) / 16_000 + 0.1
    )  # 0.2 s; RMS 0.354, 2000 crossings a second
    encoded = io.BytesIO()
    soundfile.write(encoded, signal, 16_000, "PCM_16", format="FLAC")
    row = {**dict.fromkeys(schemas.AUDIO.names), "clip_id": "a", "audio": {"bytes": encoded.getvalue(), "path": "a"}}
    monkeypatch.chdir(tmp_path)
    shards.write_table("results/demo_labelled/split/audio/0000.parquet", [row], schemas.AUDIO, {})
    exec(re.search(r"```python\n(.*?)```", document, re.DOTALL)[1], {})  # type: ignore[index]
    store = read_frames({"speech": speech(tmp_path, a=20), "rough": [Path("own")]}, ["a"], ["energy", "rough*"])
    assert store.channels == ["energy", "rough[0]", "rough[1]"]
    assert store.frames[:, 0].tolist() == list(range(20))
    np.testing.assert_allclose(store.frames[:, 1], 0.5 / np.sqrt(2), rtol=1e-3)
    np.testing.assert_allclose(store.frames[:, 2], 2000 / 16_000, rtol=0.1)
