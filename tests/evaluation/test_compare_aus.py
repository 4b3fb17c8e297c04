"""Agreement of two sets of action units, on numbers worked by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from avpretext import shards
from avpretext.errors import UserError
from avpretext.evaluation import compare_aus
from avpretext.evaluation.truth import pearson
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.paths import expand

Series = Sequence[float | None]
Clips = Mapping[str, Mapping[str, Series]]


def shard(path: Path, clips: Clips, fps: float = 25, start_s: float = 0.0) -> Path:
    """Write a shard of action units: clip to AU to a value per frame; AUs that are not named are null."""
    rows = [
        {"clip_id": clip, "frame": k, "time_s": start_s + k / fps, **dict.fromkeys(ACTION_UNITS)}
        | {unit: values[k] for unit, values in units.items()}
        for clip, units in clips.items()
        for k in range(len(next(iter(units.values()))))
    ]
    shards.write_table(path, rows, schema_of("action_units"), {})
    return path


def agreement(first: Path, second: Path, unit: str = "AU12") -> dict[str, Any]:
    table = compare_aus.compare([first], [second])
    return table.filter(pl.col("action_unit") == unit).row(0, named=True)


def ramp(frames: int, by: float = 1.0, offset: float = 0.0) -> list[float]:
    return [offset + by * k / 100 for k in range(frames)]


def test_correlation_f1_and_means_are_those_of_the_frames_that_both_measured(tmp_path: Path) -> None:
    first = shard(tmp_path / "a.parquet", {"c": {"AU12": [0.1, 0.2, 0.3, 0.4, None, 0.9]}})
    second = shard(tmp_path / "b.parquet", {"c": {"AU12": [0.1, 0.3, 0.2, 0.4, 0.7, None]}})
    found = agreement(first, second)
    assert found["pearson_r"] == pytest.approx(0.8)
    # Present (.3 and more): frames 3, 4 and frames 2, 4; one of them in both.
    assert found["f1"] == pytest.approx(2 * 1 / (2 + 2))
    assert (found["mean_first"], found["mean_second"]) == (pytest.approx(0.25), pytest.approx(0.25))
    assert (found["frames"], found["clips"]) == (4, 1)
    assert found["clip_r"] is None  # four frames say nothing


def test_what_differs_between_clips_counts_over_all_but_not_within_clips(tmp_path: Path) -> None:
    # Within each clip the two run against each other; clip d is stronger in both.
    first = shard(tmp_path / "a.parquet", {"c": {"AU12": ramp(10)}, "d": {"AU12": ramp(10, offset=0.8)}})
    second = shard(tmp_path / "b.parquet", {"c": {"AU12": ramp(10, -1, 0.1)}, "d": {"AU12": ramp(10, -1, 0.9)}})
    found = agreement(first, second)
    assert found["clip_r"] == pytest.approx(-1)
    assert found["pearson_r"] > 0.9
    assert found["clips"] == 2


def test_a_clip_in_which_one_does_not_move_has_no_correlation_of_its_own(tmp_path: Path) -> None:
    first = shard(tmp_path / "a.parquet", {"c": {"AU12": ramp(10)}, "d": {"AU12": ramp(10)}})
    second = shard(tmp_path / "b.parquet", {"c": {"AU12": ramp(10)}, "d": {"AU12": [0.1] * 10}})
    assert agreement(first, second)["clip_r"] == pytest.approx(1)


def test_correlations_within_clips_are_those_of_each_clip_alone() -> None:
    random = np.random.default_rng(1)
    lengths = np.array([12, 9, 40, 10])
    x, y = random.random((2, lengths.sum()))
    cuts = np.cumsum(lengths)[:-1]
    alone = [pearson(*clip) for clip in zip(np.split(x, cuts), np.split(y, cuts), strict=True)]
    clips = pl.DataFrame({"clip_id": np.repeat(list("abcd"), lengths), "x": x, "y": y})
    np.testing.assert_allclose(
        compare_aus.clip_correlations(clips), np.delete(alone, 1)
    )  # that of nine frames has none


def test_action_units_without_correlation_say_why(tmp_path: Path) -> None:
    flat, moving = [0.5] * 3, [0.1, 0.2, 0.3]
    first = shard(tmp_path / "a.parquet", {"c": {
        "AU01": flat, "AU02": moving, "AU04": flat, "AU05": moving, "AU06": [0.1, None, None], "AU12": moving,
    }})  # fmt: skip
    second = shard(tmp_path / "b.parquet", {"c": {
        "AU01": moving, "AU02": flat, "AU04": flat, "AU06": [None, 0.1, 0.2], "AU07": moving, "AU12": moving,
    }})  # fmt: skip
    table = compare_aus.compare([first], [second])
    notes = dict(table.select("action_unit", "note").iter_rows())
    assert notes["AU01"] == "constant in 1st"
    assert notes["AU02"] == "constant in 2nd"
    assert notes["AU04"] == "constant in both"
    assert notes["AU05"] == "not measured in 2nd"
    assert notes["AU06"] == "never in both at once"
    assert notes["AU07"] == "not measured in 1st"
    assert notes["AU28"] == "not measured in both"
    assert notes["AU12"] is None
    assert table.filter(pl.col("note").is_not_null() & (pl.col("action_unit") != "mean"))["pearson_r"].is_null().all()
    mean = table.row(-1, named=True)
    assert (mean["action_unit"], mean["pearson_r"], mean["note"]) == ("mean", pytest.approx(1), "of 1 AUs")


def test_the_mean_is_over_the_action_units_that_have_a_value(tmp_path: Path) -> None:
    first = shard(tmp_path / "a.parquet", {"c": {"AU01": [0.1, 0.2, 0.3], "AU02": [0.1, 0.2, 0.3]}})
    second = shard(tmp_path / "b.parquet", {"c": {"AU01": [0.1, 0.2, 0.3], "AU02": [0.3, 0.2, 0.1]}})
    assert compare_aus.compare([first], [second])["pearson_r"][-1] == pytest.approx(0)


def test_frames_are_matched_by_time_not_by_number(tmp_path: Path) -> None:
    # 50 and 25 frames per second: every second frame of the first has one of the second at the same instant.
    values = list(np.sin(np.arange(20)) / 2 + 0.5)
    first = shard(tmp_path / "a.parquet", {"c": {"AU12": values}}, fps=50)
    second = shard(tmp_path / "b.parquet", {"c": {"AU12": values[::2]}}, fps=25)
    found = agreement(first, second)
    assert found["frames"] == 10
    assert found["pearson_r"] == pytest.approx(1)
    assert agreement(second, first)["frames"] == 10


def test_half_a_frame_apart_is_the_same_frame_and_more_is_not(tmp_path: Path) -> None:
    clips = {"c": {"AU12": ramp(5)}}
    first = shard(tmp_path / "a.parquet", clips)
    assert agreement(first, shard(tmp_path / "b.parquet", clips, start_s=0.019))["frames"] == 5
    late = shard(tmp_path / "c.parquet", clips, start_s=0.181)  # after the last frame, by more than half a frame
    with pytest.raises(UserError, match=r"within 0\.020 s"):
        compare_aus.compare([first], [late])


def test_it_does_not_matter_how_the_clips_are_cut_into_shards(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    clips = {name: {"AU12": list(random.random(12))} for name in "abcd"}
    other = {name: {"AU12": list(random.random(12))} for name in "abcd"}
    whole = [shard(tmp_path / "whole.parquet", clips)]
    parts = [
        shard(tmp_path / f"{k}.parquet", {name: other[name] for name in names}) for k, names in enumerate(("db", "ca"))
    ]
    assert compare_aus.compare(whole, parts).equals(compare_aus.compare(whole, parts[::-1]))


def test_clips_of_one_set_alone_do_not_count(tmp_path: Path) -> None:
    first = shard(tmp_path / "a.parquet", {"c": {"AU12": ramp(5)}, "only": {"AU12": ramp(5)}})
    second = shard(tmp_path / "b.parquet", {"c": {"AU12": ramp(5)}, "other": {"AU12": ramp(5)}})
    assert agreement(first, second)["clips"] == 1


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    first = shard(tmp_path / "a.parquet", {"c": {"AU12": ramp(5)}})
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no clip in common.*'c'.*'x'"):
        compare_aus.compare([first], [shard(tmp_path / "b.parquet", {"x": {"AU12": ramp(5)}})])
    with pytest.raises(UserError, match="'c' is in several shards"):
        compare_aus.compare([first, shard(tmp_path / "d.parquet", {"c": {"AU12": ramp(5)}})], [first])
    with pytest.raises(UserError, match="folder without shards"):
        compare_aus.compare([first], expand(tmp_path / "empty"))
    with pytest.raises(UserError, match="no frames"):
        compare_aus.compare([first], [shard(tmp_path / "e.parquet", {})])
    other = tmp_path / "motion.parquet"
    shards.write_table(other, [], schema_of("motion"), {})
    with pytest.raises(UserError, match="expected a shard of action_units"):
        compare_aus.compare([first], [other])
    with pytest.raises(UserError, match="no such file"):
        compare_aus.compare([first], [tmp_path / "missing.parquet"])


def test_the_table_is_printed_and_written_the_same_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = shard(tmp_path / "a.parquet", {"c": {"AU12": ramp(12), "AU01": ramp(12, -1, 0.5)}})
    second = shard(tmp_path / "b.parquet", {"c": {"AU12": ramp(12), "AU01": ramp(12)}})
    output = tmp_path / "out" / "agreement.csv"
    compare_aus.run([first], [second], output)
    printed, written = capsys.readouterr().out, output.read_text()
    compare_aus.run([first], [second], output)
    assert (capsys.readouterr().out, output.read_text()) == (printed, written)
    lines = written.splitlines()
    assert lines[0] == "action_unit,pearson_r,clip_r,f1,mean_first,mean_second,frames,clips,note"
    assert lines[1] == "AU01,-1.0000,-1.0000,0.0000,0.4450,0.0550,12,1,"
    assert lines[-1].startswith("mean,0.0000,0.0000")
    assert "not measured in both" in printed


def test_the_table_fits_a_terminal_of_80_columns(tmp_path: Path) -> None:
    first = shard(tmp_path / "a.parquet", {"c": {"AU12": ramp(12)}})
    console = Console(width=80, record=True, file=(tmp_path / "printed").open("w"))
    console.print(compare_aus.render(compare_aus.compare([first], [first])))
    text = console.export_text()
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    row = next(line for line in text.splitlines() if "AU12" in line)
    assert row.split() == ["AU12", "1.000", "1.000", "0.055", "0.055", "12", "1"]  # never present: no F1
