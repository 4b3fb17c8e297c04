"""The stage `ablate`: grids of made-up systems whose differences are known, and statistics by brute force."""

import csv
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from avpretext import shards
from avpretext.config import Config, Variant
from avpretext.config_file import parse
from avpretext.corpora.settings import Setting
from avpretext.errors import UserError
from avpretext.evaluation import ablate, ablated, evaluate, intervals
from avpretext.evaluation.ablate import Grid, Levels
from avpretext.evaluation.open_run import Evaluated
from avpretext.evaluation.scores import Scored, Task
from avpretext.flow.artefacts import schema_of
from avpretext.flow.paths import Layout
from avpretext.flow.provenance import provenance

CLASSES = ["anger", "fear", "neutral"]
SETTING = "voice.speaker_kfold"

Skill = Callable[[Levels], float]


def configuration(folder: Path, target: str = "voice", **ablation: Any) -> Config:
    """Return a corpus with votes, fine-tuned from scratch and after energy, by two losses and two aggregators."""
    chosen = {"losses": ["base", "penalty"], "aggregators": ["mean", "gated"], **ablation}
    corpus = {"path": ".", "reader": "crema_d", "use": ["pretrain", "finetune"], "targets": [target], "video": False}
    return parse(
        {
            "results": str(folder),
            "corpora": {"crema": corpus},
            "pretrain": {"task_sets": [["energy"]]},
            "ablation": chosen,
            "evaluate": {"bootstrap": 300, "permutations": 300},
        }
    )


def write_system(
    config: Config, levels: Levels, skill: float, target: str = "voice", speakers: int = 7, runs: int = 2, seed: int = 0
) -> Path:
    """Write predictions that are right with the given probability; return the file."""
    setting = f"{target}.speaker_kfold"
    variant = f"{levels.loss}.{levels.aggregator}"
    path = Path(
        Layout(config.results).path(
            "finetune.predictions",
            corpus="crema",
            setting=setting,
            variant=variant,
            initialisation=levels.initialisation,
        )
    )
    rng = np.random.default_rng([seed, *levels.name.encode()])
    kind = ablated.settings_compared(config)[0].setting.kind
    rows = []
    for speaker, run, number in itertools.product(range(speakers), range(runs), range(9)):
        truth, found = np.eye(3)[number % 3], np.eye(3)[rng.integers(3)]
        found = truth if rng.random() < skill else found
        values = (0.8 * truth + 0.1, 0.8 * found + 0.1) if kind == "distribution" else (truth, found)
        name = {"clip_id": f"s{speaker}-{number}", "speaker": f"s{speaker}"}
        rows.append(
            {"initialisation": levels.initialisation, "fold": speaker % 2, "seed": run, "split": "test", **name,
             "label": CLASSES[int(truth.argmax())], "predicted": CLASSES[int(found.argmax())],
             "truth": values[0].tolist(), "probabilities": values[1].tolist()}
        )  # fmt: skip
    made_by = provenance("finetune", kind=kind, classes=CLASSES, target=target, setting=setting)
    shards.write_table(path, rows, schema_of("finetune.predictions"), made_by)
    return path


def write_grid(config: Config, skill: Skill, target: str = "voice") -> list[Levels]:
    grid = ablate.levels_of(ablated.settings_compared(config)[0], config)
    for levels in grid:
        write_system(config, levels, skill(levels), target)
    return grid


def run(config: Config, folder: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    ablate.run(config, folder)
    tables = []
    for name in ablated.COLUMNS:
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            tables.append(list(csv.DictReader(file)))
    return tables[0], tables[1]


def plain(levels: Levels) -> float:
    return 0.5


def penalty_helps(levels: Levels) -> float:
    return 0.8 if levels.loss == "penalty" else 0.4


def grid_of(sums: Mapping[Levels, np.ndarray]) -> Grid:
    """Return a grid of confusion matrices, shape (speakers, seeds, classes, classes) each."""
    task = Task("hard", ["a", "b"], "voice", SETTING)
    scored = {
        levels: Scored(levels.name, values, [f"s{k}" for k in range(len(values))], list(range(values.shape[1])), {}, 1)
        for levels, values in sums.items()
    }
    one = Evaluated("crema", Setting("voice", "hard", "voice", "speaker_kfold", True))
    return Grid(one, task, "war", scored, next(iter(scored)), [])


def matrices(rights: np.ndarray, clips: int = 10) -> np.ndarray:
    """Return a confusion matrix for each number of clips that are right, shape (..., 2, 2)."""
    wrong = clips - rights
    return np.stack([np.stack([rights / 2, wrong / 2], -1), np.stack([wrong / 2, rights / 2], -1)], -2)


def test_table_has_a_row_for_each_system_in_reading_order_and_the_reference_is_scratch(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    grid = write_grid(config, plain)
    systems, _ = run(config, tmp_path / "tables")
    named = [(row["initialisation"], row["loss"], row["aggregator"]) for row in systems]
    starts, losses, aggregators = ["scratch", "energy"], ["base", "penalty"], ["mean", "gated"]
    assert named == [tuple(levels[:3]) for levels in grid] == list(itertools.product(starts, losses, aggregators))
    assert [row["role"] for row in systems] == ["reference", *["system"] * 7]
    assert {(row["speakers"], row["clips"], row["runs"]) for row in systems} == {("7", "63", "4")}
    assert systems[0]["p"] == systems[0]["difference"] == ""


def test_scores_are_those_of_scikit_learn_and_of_the_main_table(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write_grid(config, plain)
    path = write_system(config, Levels("energy", "penalty", "gated"), 0.7)
    row = run(config, tmp_path / "tables")[0][-1]
    rows = shards.read(path)
    by_seed = [f1_score(part["label"], part["predicted"], average="macro") for _, part in rows.group_by("seed")]
    assert float(row["macro_f1"]) == pytest.approx(np.mean(by_seed), abs=1e-6)
    evaluate.run([path], config.evaluate, config.seed, tmp_path / "main")
    main = shards.read(tmp_path / "main" / "metrics.parquet").filter(measure="uar").row(0, named=True)
    found = [float(row[f"uar{part}"]) for part in ("", "_low", "_high", "_mean", "_std")]
    wanted = [main[name] for name in ("value", "ci_low", "ci_high", "mean", "std")]
    assert found == pytest.approx(wanted, abs=1e-6)


def test_known_truth_is_found_and_the_equal_factor_is_not(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write_grid(config, penalty_helps)
    systems, effects = run(config, tmp_path / "tables")
    by_level = {(row["factor"], row["level"]): row for row in effects}
    assert list(by_level) == [
        ("initialisation", "scratch"), ("initialisation", "energy"), ("loss", "base"), ("loss", "penalty"),
        ("aggregator", "mean"), ("aggregator", "gated"),
    ]  # fmt: skip
    penalty = by_level["loss", "penalty"]
    assert float(penalty["difference"]) > 0.2
    assert float(penalty["difference_low"]) > 0
    assert float(penalty["p_holm"]) == pytest.approx(3 * float(penalty["p"]), abs=3e-6)
    assert float(penalty["p_holm"]) < 0.01
    for level in (("initialisation", "energy"), ("aggregator", "gated")):
        assert abs(float(by_level[level]["difference"])) < 0.08
        assert float(by_level[level]["p_holm"]) > 0.05
    assert by_level["loss", "base"]["p"] == ""
    better = {row["loss"] for row in systems if float(row["difference"] or 0) > 0.15}
    assert better == {"penalty"}


def test_effect_is_the_mean_difference_of_partners_that_differ_in_nothing_else(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write_grid(config, penalty_helps)
    systems, effects = run(config, tmp_path / "tables")
    score = {tuple(row[factor] for factor in ablated.FACTORS): float(row["macro_f1"]) for row in systems}
    pairs = [
        (score[start, "penalty", aggregator], score[start, "base", aggregator])
        for start in ("scratch", "energy") for aggregator in ("mean", "gated")
    ]  # fmt: skip
    row = next(row for row in effects if row["level"] == "penalty")
    assert row["systems"] == "4"
    assert float(row["value"]) == pytest.approx(np.mean([first for first, _ in pairs]), abs=1e-5)
    assert float(row["difference"]) == pytest.approx(np.mean([first - second for first, second in pairs]), abs=1e-5)


def test_effect_is_estimated_from_the_mean_over_its_systems_of_each_seed(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rights = {
        Levels("scratch", loss, aggregator): rng.integers(3, 10, (5, 2)).astype(float)
        for loss in ("base", "penalty")
        for aggregator in ("mean", "gated")
    }
    grid = grid_of({levels: matrices(values) for levels, values in rights.items()})
    config = configuration(tmp_path)
    row = next(row for row in ablate.effect_rows(grid, config) if row["level"] == "gated")
    gains = np.mean(
        [
            rights[Levels("scratch", loss, "gated")] - rights[Levels("scratch", loss, "mean")]
            for loss in ("base", "penalty")
        ],
        axis=0,
    )
    weights = intervals.draw_resamples(5, config.evaluate.bootstrap, [config.seed, 1])
    found = intervals.estimate(gains.mean(axis=0) / 10, weights @ gains / 50, 5, 2)
    low, high = found.interval(0.95)
    assert [row["difference"], row["difference_low"], row["difference_high"], row["p"], row["df"]] == pytest.approx(
        [found.value, low, high, found.p_value, found.df]
    )
    assert (row["seeds"], row["pretrainings"]) == (2, None)


def test_interval_of_an_effect_resamples_the_same_speakers_in_all_systems(tmp_path: Path) -> None:
    """A penalty that adds one right clip in every speaker has the same effect in every resample."""
    rng = np.random.default_rng(5)
    base = rng.integers(2, 8, (6, 2)).astype(float)
    grid = grid_of(
        {Levels("scratch", loss, "mean"): matrices(base + gain) for loss, gain in (("base", 0), ("penalty", 1))}
    )
    row = ablate.effect_rows(grid, configuration(tmp_path))[1]
    assert [row["difference"], row["difference_low"], row["difference_high"]] == pytest.approx([0.1, 0.1, 0.1])
    assert row["value_high"] - row["value_low"] > 0.1


def test_holm_is_over_all_systems_of_a_setting_and_over_the_levels_of_all_factors(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write_grid(config, penalty_helps)
    systems, effects = run(config, tmp_path / "tables")
    for rows in (systems[1:], [row for row in effects if row["level"] != row["against"]]):
        corrected = intervals.holm([float(row["p"]) for row in rows])
        assert [float(row["p_holm"]) for row in rows] == pytest.approx(corrected, abs=1e-5)


def test_reference_is_the_main_tables_variant_from_scratch_else_the_first() -> None:
    grid = [Levels("scratch", "base", "gated"), Levels("scratch", "base", "mean"), Levels("energy", "base", "mean")]
    assert ablate.reference_of(grid, Variant("base", "mean")) == grid[1]
    assert ablate.reference_of(grid, Variant("penalty", "mean")) == grid[0]
    assert ablate.reference_of(grid[2:], Variant("base", "mean")) == grid[2]


def test_baselines_stand_below_and_are_a_family_of_their_own(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write_grid(config, plain)
    alone, _ = run(config, tmp_path / "alone")
    path = write_system(config, Levels("svm", "base", "mean"), 0.9, runs=1)
    below = Path(Layout(config.results).path("baseline.predictions", corpus="crema", setting=SETTING))
    below.parent.mkdir(parents=True)
    path.rename(below)
    systems, _ = run(config, tmp_path / "both")
    assert systems[:-1] == alone
    last = systems[-1]
    assert (last["initialisation"], last["loss"], last["aggregator"], last["role"]) == ("svm", "", "", "baseline")
    assert float(last["difference"]) > 0.2
    assert last["p"] == last["p_holm"]


@pytest.mark.parametrize(
    ("target", "measure"),
    [("voice", "macro_f1"), ("voice-multi_label", "macro_f1"), ("voice-distribution", "macro_f1")],
)
def test_every_kind_of_votes_has_all_its_measures_and_is_tested_by_its_main_one(
    tmp_path: Path, target: str, measure: str
) -> None:
    config = configuration(tmp_path, target)
    write_grid(config, penalty_helps, target)
    systems, effects = run(config, tmp_path / "tables")
    one = ablated.settings_compared(config)[0]
    for name in one.scoring.measures:
        assert all(row[name] and row[f"{name}_low"] for row in systems), name
    assert {row["measure"] for row in [*systems, *effects]} == {measure}
    assert next(row for row in effects if row["level"] == "penalty")["p_holm"] < "0.05"


def test_chosen_measure_is_tested_where_the_kind_has_it_and_a_misspelt_one_is_refused(tmp_path: Path) -> None:
    config = configuration(tmp_path, "voice-distribution", measure="kl_divergence")
    write_grid(config, penalty_helps, "voice-distribution")
    systems, effects = run(config, tmp_path / "tables")
    assert {row["measure"] for row in [*systems, *effects]} == {"kl_divergence"}
    assert float(next(row for row in effects if row["level"] == "penalty")["difference"]) < 0
    assert "less is better" in (tmp_path / "tables" / "ablation.md").read_text("utf-8").lower()
    hard = configuration(tmp_path, "voice", targets=["voice", "voice-distribution"], measure="kl_divergence")
    assert [ablated.measure_of(one, hard) for one in ablated.settings_compared(hard)] == ["macro_f1", "kl_divergence"]
    wrong = configuration(tmp_path, measure="ccc")
    with pytest.raises(UserError, match=r"ablation.measure: 'ccc' is none of .*macro_f1"):
        ablated.measure_of(ablated.settings_compared(wrong)[0], wrong)
    with pytest.raises(UserError, match=r"ablation\.measure = 'macro_f2': Input should be .*'macro_f1'"):
        configuration(tmp_path, measure="macro_f2")


def test_labels_without_votes_are_compared_without_the_penalty(tmp_path: Path) -> None:
    config = configuration(tmp_path, "acted")
    one = ablated.settings_compared(config)[0]
    assert {levels.loss for levels in ablate.levels_of(one, config)} == {"base"}
    alone = configuration(tmp_path, "acted", losses=["penalty"])
    with pytest.raises(UserError, match=r"ablation.losses: \[penalty\] .* no votes"):
        ablate.levels_of(one, alone)


def test_missing_system_is_named_with_its_file_and_the_command_that_makes_it(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    grid = write_grid(config, plain)
    write_system(config, grid[5], 0.5).unlink()
    with pytest.raises(UserError, match=r"predictions.parquet: .*energy, base, gated.*snakemake --cores all abl"):
        ablate.run(config, tmp_path / "tables")


def test_system_of_other_speakers_or_runs_is_refused(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    grid = write_grid(config, plain)
    write_system(config, grid[3], 0.5, runs=3)
    with pytest.raises(UserError, match="scratch, penalty, gated: 6 runs on 63 clips of 7 speakers, but 4 runs"):
        ablate.run(config, tmp_path / "tables")


def test_one_system_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    config = configuration(tmp_path, initialisations=["scratch"], losses=["base"], aggregators=["mean"])
    write_grid(config, plain)
    systems, effects = run(config, tmp_path / "tables")
    assert (len(systems), effects) == (1, [])
    assert "no other system" in (tmp_path / "tables" / "ablation.md").read_text("utf-8")


def test_same_predictions_give_the_same_bytes(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write_grid(config, plain)
    for name in ("a", "b"):
        ablate.run(config, tmp_path / name)
    written = sorted(path.name for path in (tmp_path / "a").iterdir())
    tables = ["ablation.csv", "ablation.md", "ablation.tex", "ablation_co_occurrence.csv", "ablation_effects.csv"]
    assert written == tables
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in written)


def test_without_a_corpus_to_fine_tune_the_tables_are_empty_and_say_why(tmp_path: Path) -> None:
    config = parse({"results": str(tmp_path), "corpora": {"mine": {"path": ".", "use": ["pretrain"]}}})
    systems, effects = run(config, tmp_path / "tables")
    assert systems == effects == []
    assert "use: [finetune]" in (tmp_path / "tables" / "ablation.md").read_text("utf-8")
