"""The stage `upstreams`: predictions by hand, whose gains are known, and statistics by the formula."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from avpretext import shards
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.evaluation import compare_upstreams, intervals
from avpretext.evaluation.ablated import UPSTREAM_COLUMNS
from avpretext.flow.artefacts import schema_of
from avpretext.flow.paths import Layout
from avpretext.flow.provenance import provenance

SETTING, CLIPS = "acted.speaker_kfold", 10
BASE = np.array([[4, 5], [5, 5], [3, 4], [6, 5], [5, 4], [4, 4]])
"""Right clips of each speaker and seed, of ten, for an upstream alone."""

LITTLE = np.array([[1, -1], [0, 1], [-1, 0], [0, 0], [1, -1], [-1, 1]])
LESS = LITTLE[::-1]
BETTER = BASE + 3 + np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]])
Rights = Mapping[tuple[str, str], np.ndarray]

TEACHING: Rights = {
    ("lld", "scratch"): BASE, ("lld", "energy"): BASE + 3 + LESS, ("lld", "clusters"): BASE + LITTLE,
    ("wavlm", "scratch"): BETTER, ("wavlm", "energy"): BETTER + LITTLE, ("wavlm", "clusters"): BETTER - 3 + LESS,
}  # fmt: skip
"""Energy adds .3 to lld and nothing to wavlm, which is .35 better alone and loses .3 by clusters."""


def configuration(folder: Path, **more: Any) -> Config:
    """Return a corpus that is heard by descriptors and by an encoder, of which the encoder is the main table's."""
    own = {"path": ".", "reader": "crema_d", "use": ["pretrain", "finetune"], "video": False}
    return parse(
        {
            "results": str(folder), "corpora": {"crema": own}, "encoders": {"wavlm": {}},
            "model": {"features": ["wavlm"]}, "pretrain": {"task_sets": [["energy"], ["clusters"]]},
            "upstreams": {"lld": {"model": {"features": ["speech"]}}, "wavlm": {}}, "finetune": {"seeds": 2},
            "ablation": {"measure": "war"}, "evaluate": {"bootstrap": 300}, **more,
        }
    )  # fmt: skip


def write(config: Config, rights: Rights, left_out: Mapping[str, str] | None = None) -> dict[str, str]:
    """Write the predictions of systems; `left_out` has a clip that an upstream has no features of. Return the files."""
    folders = {"lld": "base.mean.lld", "wavlm": "base.mean", "more": "base.mean.more"}
    files = {}
    for (upstream, start), right in rights.items():
        rows = [
            {"initialisation": start, "fold": speaker % 2, "seed": seed, "split": "test", "label": "anger",
             "clip_id": f"s{speaker}-{clip}", "speaker": f"s{speaker}",
             "predicted": "anger" if clip < right[speaker, seed] else "fear", "truth": [1.0, 0.0],
             "probabilities": [1.0, 0.0] if clip < right[speaker, seed] else [0.0, 1.0]}
            for speaker, seed in np.ndindex(right.shape)
            for clip in range(CLIPS)
            if f"s{speaker}-{clip}" != (left_out or {}).get(upstream)
        ]  # fmt: skip
        path = Layout(config.results).path(
            "finetune.predictions", corpus="crema", setting=SETTING, variant=folders[upstream], initialisation=start
        )
        made_by = provenance("finetune", kind="hard", classes=["anger", "fear"], target="acted", setting=SETTING)
        shards.write_table(path, rows, schema_of("finetune.predictions"), made_by)
        files[f"{upstream}, {start}"] = path
    return files


def run(config: Config, folder: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    compare_upstreams.run(config, folder)
    tables = []
    for name in UPSTREAM_COLUMNS:
        with (folder / f"{name}.csv").open(newline="") as file:
            tables.append(list(csv.DictReader(file)))
    return tables[0], tables[1]


def told(folder: Path) -> str:
    return " ".join((folder / "upstreams.md").read_text("utf-8").split())


def estimated(difference: np.ndarray, config: Config) -> intervals.Estimate:
    """Return by the formula what is known of a difference in right clips, (speakers, seeds)."""
    weights = intervals.draw_resamples(len(difference), config.evaluate.bootstrap, [config.seed, 1])
    total = CLIPS * len(difference)
    return intervals.estimate(difference.sum(axis=0) / total, weights @ difference / total, len(difference), 2)


def numbers(row: Mapping[str, str], *names: str) -> list[float]:
    return [float(row[name]) for name in names]


def test_gain_is_the_paired_difference_to_the_upstream_alone(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write(config, TEACHING)
    systems, _ = run(config, tmp_path / "tables")
    assert [(row["upstream"], row["initialisation"]) for row in systems] == list(TEACHING)
    assert [row["role"] for row in systems] == ["reference", *["system"] * 5]
    gains = {}
    for row in systems:
        upstream, start = row["upstream"], row["initialisation"]
        found = estimated(TEACHING[upstream, start] - TEACHING[upstream, "scratch"], config)
        if start == "scratch":
            assert row["gain"] == row["gain_p"] == ""
            continue
        low, high = found.interval(0.95)
        gains[upstream, start] = found.p_value
        assert numbers(row, "gain", "gain_low", "gain_high") == pytest.approx([found.value, low, high], abs=1e-6)
    tested = [row for row in systems if row["initialisation"] != "scratch"]
    assert [float(row["gain_p"]) for row in tested] == pytest.approx(list(gains.values()), abs=1e-6)
    corrected = intervals.holm(list(gains.values()))
    assert [float(row["gain_p_holm"]) for row in tested] == pytest.approx(corrected, abs=1e-5)


def test_other_upstreams_are_compared_with_the_first_alone_as_a_family_of_their_own(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write(config, TEACHING)
    systems, _ = run(config, tmp_path / "tables")
    assert {row["difference"] for row in systems[:3]} == {""}, "on the first upstream the difference is the gain"
    for row in systems[3:]:
        found = estimated(TEACHING["wavlm", row["initialisation"]] - BASE, config)
        assert numbers(row, "difference", "p") == pytest.approx([found.value, found.p_value], abs=1e-6)
    corrected = intervals.holm([float(row["p"]) for row in systems[3:]])
    assert [float(row["p_holm"]) for row in systems[3:]] == pytest.approx(corrected, abs=1e-5)


def test_gains_of_an_upstream_are_compared_with_those_of_the_first(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write(config, TEACHING)
    _, effects = run(config, tmp_path / "tables")
    factors = [(row["factor"], row["initialisation"], row["level"]) for row in effects]
    assert factors[:5] == [
        ("upstream", "", "lld"), ("upstream", "", "wavlm"),
        ("initialisation", "", "scratch"), ("initialisation", "", "energy"), ("initialisation", "", "clusters"),
    ]  # fmt: skip
    assert factors[5:] == [("gain", start, name) for start in ("energy", "clusters") for name in ("lld", "wavlm")]
    for row in effects[6::2]:
        start = row["initialisation"]
        gaps = [TEACHING[name, start] - TEACHING[name, "scratch"] for name in ("wavlm", "lld")]
        found, alone = estimated(gaps[0] - gaps[1], config), estimated(gaps[0], config)
        low, high = found.interval(0.95)
        assert numbers(row, "value", "difference", "difference_low", "difference_high", "p") == pytest.approx(
            [alone.value, found.value, low, high, found.p_value], abs=1e-6
        )
    corrected = intervals.holm([float(row["p"]) for row in effects[6::2]])
    assert [float(row["p_holm"]) for row in effects[6::2]] == pytest.approx(corrected, abs=1e-5)


def test_an_upstream_that_is_another_from_scratch_is_compared_once(tmp_path: Path) -> None:
    named = {"lld": {"model": {"features": ["speech"]}}, "wavlm": {}, "more": {"pretrain": {"clusters": {"count": 3}}}}
    config = configuration(tmp_path, upstreams=named)
    more = {("more", start): TEACHING["wavlm", start] + 1 for start in ("energy", "clusters")}
    write(config, {**TEACHING, **more})
    systems, _ = run(config, tmp_path / "tables")
    by_name = {(row["upstream"], row["initialisation"]): row for row in systems}
    again = by_name["more", "scratch"]
    assert again["war"] == by_name["wavlm", "scratch"]["war"]
    assert {again[name] for name in ("difference", "p", "p_holm")} == {""}
    tested = [row for row in systems if row["p"]]
    assert len(tested) == 5
    corrected = intervals.holm([float(row["p"]) for row in tested])
    assert [float(row["p_holm"]) for row in tested] == pytest.approx(corrected, abs=1e-5)
    gain = (more["more", "clusters"] - BETTER).mean() / CLIPS
    assert float(by_name["more", "clusters"]["gain"]) == pytest.approx(gain, abs=1e-6)
    assert "more alone is trained as an upstream before it." in told(tmp_path / "tables")


def test_sentences_name_what_is_significant(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write(config, TEACHING)
    run(config, tmp_path / "tables")
    said = told(tmp_path / "tables")
    assert "Significant changes of WAR, corrected for 4 comparisons (Holm): lld gains from energy, +0.300 [" in said
    assert "wavlm loses by clusters, −0.300 [" in said
    assert "Beside the same gain on lld, these gains differ significantly, corrected for 2 comparisons" in said
    assert "energy on wavlm −0.300 [" in said


def test_where_nothing_is_significant_the_sentences_say_so(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    worse = BASE + LITTLE
    worse[0, 0] -= 1
    rights = {key: BASE if key[1] == "scratch" else worse for key in TEACHING}
    write(config, {**rights, ("wavlm", "scratch"): BASE + LESS})
    run(config, tmp_path / "tables")
    said = told(tmp_path / "tables")
    assert "No set of pretext tasks changes the WAR of an upstream significantly, corrected for 4 comparisons" in said
    assert "lld: none of 2 sets of tasks is better than lld alone." in said
    assert "No gain differs significantly from the same gain on lld" in said
    assert "wavlm alone: 0.450 [" in said
    assert said.count("not significant (Holm") == 1


def test_a_clip_without_the_features_of_every_upstream_counts_for_none(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    made = write(config, TEACHING, {"wavlm": "s0-9"})
    svm = shards.read(made["lld, scratch"]).with_columns(initialisation=pl.lit("svm"))
    layout = Layout(config.results)
    below = layout.path("baseline.predictions", corpus="crema", setting=SETTING)
    made_by = provenance("baseline", kind="hard", classes=["anger", "fear"], target="acted", setting=SETTING)
    shards.write_table(below, svm.to_dicts(), schema_of("baseline.predictions"), made_by)
    systems, _ = run(config, tmp_path / "tables")
    assert [row["initialisation"] for row in systems if row["role"] == "baseline"] == ["svm"]
    assert {row["clips"] for row in systems} == {"59"}
    assert float(systems[0]["war"]) == pytest.approx(BASE.sum() / 2 / 59, abs=1e-6), "the clip was wrong everywhere"
    assert "1 test clip without the features of every upstream left out." in told(tmp_path / "tables")


def test_an_upstream_with_fewer_sets_of_tasks_is_compared_by_those_it_has(tmp_path: Path) -> None:
    fewer = {"lld": {"model": {"features": ["speech"]}}, "wavlm": {"pretrain": {"task_sets": [["clusters"]]}}}
    config = configuration(tmp_path, upstreams=fewer)
    write(config, {key: right for key, right in TEACHING.items() if key != ("wavlm", "energy")})
    systems, effects = run(config, tmp_path / "tables")
    assert len(systems) == 5
    assert "Not on wavlm: energy." in told(tmp_path / "tables")
    by_level = {(row["factor"], row["initialisation"], row["level"]): row for row in effects}
    assert ("gain", "energy", "lld") not in by_level
    assert by_level["initialisation", "", "energy"]["systems"] == "1"
    assert float(by_level["upstream", "", "wavlm"]["difference"]) == pytest.approx((0.35 + 0.05) / 2, abs=1e-6)


def test_what_is_missing_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    files = write(config, TEACHING)
    Path(files["wavlm, energy"]).unlink()
    with pytest.raises(
        UserError, match=r"base\.mean/energy/.*no predictions of wavlm, energy; run `\S*snakemake --cores all upstreams"
    ):
        run(config, tmp_path / "tables")
    nothing = configuration(tmp_path, encoders={}, model={}, upstreams={})
    with pytest.raises(UserError, match=r"nothing to compare: name a pre-trained encoder in `encoders`"):
        run(nothing, tmp_path / "tables")


def test_one_test_speaker_gives_no_test_and_the_sentences_say_so(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write(config, {key: right[:1] for key, right in TEACHING.items()})
    run(config, tmp_path / "tables")
    said = told(tmp_path / "tables")
    assert "No gain can be tested. lld: the best of 2 sets of tasks is energy, +0.300: not tested." in said
    assert "wavlm alone: 0.800, a difference of +0.350: not tested." in said
    assert "significant" not in said.partition("| Upstream |")[0]


def test_names_of_upstreams_are_printed_as_they_are(tmp_path: Path) -> None:
    named = {"lld": {"model": {"features": ["speech"]}}, "wavlm-base": {}}
    config = configuration(tmp_path, upstreams=named, pretrain={"task_sets": [["energy", "clusters"]]})
    starts = {"energy": "energy-clusters", "scratch": "scratch"}
    write(config, {(name, starts[start]): right for (name, start), right in TEACHING.items() if start in starts})
    run(config, tmp_path / "tables")
    assert "| wavlm-base | energy + clusters |" in told(tmp_path / "tables")
