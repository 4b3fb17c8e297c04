"""The stage `tables` on a whole results folder."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.report.whole_run import INITIALISATIONS

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.evaluation import formats, printed, published_results, results, tables
from avpretext.evaluation.kinds import SCORINGS
from avpretext.evaluation.open_run import OpenRun
from avpretext.evaluation.published_results import PublishedRow, PublishedSetting
from avpretext.flow.columns import ACTION_UNITS
from avpretext.report import page
from avpretext.systems import ensemble_name


@pytest.fixture(scope="module")
def folder(results: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("tables")
    tables.run(results, output)
    return output


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_main_table_has_scratch_each_set_of_tasks_and_the_baselines(folder: Path) -> None:
    rows = read(folder / "main.csv")
    starts = [*INITIALISATIONS, "svm", "svm_speaker"]
    assert [row["initialisation"] for row in rows] == 3 * starts
    assert list(dict.fromkeys((row["corpus"], row["target"], row["protocol"]) for row in rows)) == [
        ("demo_acted", "acted", "speaker_kfold"),
        ("demo_acted", "voice-distribution", "speaker_kfold"),
        ("demo_rated", "arousal", "partitions"),
    ]
    assert [rows[2][task] for task in ("energy", "activation", "emotion")] == ["0", "0", "1"]
    assert [rows[5][task] for task in ("energy", "activation", "emotion")] == ["0", "0", "0"]


MEASURES = {
    "acted": ("macro_precision", "macro_recall", "macro_f1", "uar", "war"),
    "voice-distribution": ("macro_precision", "macro_recall", "macro_f1", "micro_f1", "hamming_accuracy",
                           "kl_divergence"),
    "arousal": ("ccc", "pearson", "rmse"),
}  # fmt: skip


@pytest.mark.parametrize("target", MEASURES)
def test_main_table_has_every_measure_with_spread_interval_and_comparison(folder: Path, target: str) -> None:
    rows = [row for row in read(folder / "main.csv") if row["target"] == target]
    scratch, energy = rows[:2]
    for measure in MEASURES[target]:
        low, value, high = (float(energy[f"{measure}{part}"]) for part in ("_low", "", "_high"))
        assert low <= value <= high
        assert float(energy[f"{measure}_std"]) > 0
        assert float(energy[f"{measure}_difference"]) == pytest.approx(value - float(scratch[measure]), abs=2e-4)
        assert 0 < float(energy[f"{measure}_p"]) <= 1
        assert scratch[f"{measure}_p"] == ""
    for measure in {name for names in MEASURES.values() for name in names} - set(MEASURES[target]):
        assert energy[measure] == ""


def test_twice_the_same_run_gives_the_same_bytes(results: Config, folder: Path, tmp_path: Path) -> None:
    tables.run(results, tmp_path)
    written = sorted(path.name for path in folder.iterdir())
    assert written == sorted(path.name for path in tmp_path.iterdir())
    for name in written:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name


def with_published(results: Config, monkeypatch: pytest.MonkeyPatch, **other: object) -> Config:
    """Return the configuration of a run that is not synthetic, a setting of which has a published result."""
    row = PublishedRow("Their <system>", "They & others 2020", {"macro_f1": 0.5, "war": 0.625})
    known = {"reader": "crema_d", "target": "acted", "protocol": "speaker_kfold", "clips": 96, "speakers": 8}
    monkeypatch.setattr(published_results, "PUBLISHED", [PublishedSetting(**{**known, **other}, rows=[row])])
    real = results.corpora["demo_acted"].model_copy(update={"synthetic": False})
    return results.model_copy(update={"corpora": results.corpora | {"demo_acted": real}})


def test_published_results_stand_below_the_main_table_of_the_same_setting_alone(
    results: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.run(with_published(results, monkeypatch), tmp_path)
    first, *others = (tmp_path / "main.md").read_text("utf-8").split("\n## ")[1:]
    assert "| Published system | Source" in first
    assert "They & others 2020" in first
    assert "0.625" in first
    assert first.index("Published system") > first.index("| Initialisation")
    assert not any("Published system" in section for section in others)
    tex = (tmp_path / "main.tex").read_text("utf-8")
    assert tex.count("\\label{tab:published-") == 1
    assert "They \\& others 2020" in tex
    tables.run(with_published(results, monkeypatch, protocol="chou"), tmp_path)
    assert "Published system" not in (tmp_path / "main.md").read_text("utf-8")


@pytest.mark.usefixtures("plain_charts")
def test_the_report_shows_published_results_with_their_source(results: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.render(with_published(results, monkeypatch))
    assert text.count('<table class="published sortable">') == 1
    assert "Their &lt;system&gt;" in text
    assert "They &amp; others 2020" in text
    assert '<table class="published' not in page.render(results)


def test_label_balance_counts_every_chunk_and_clip(folder: Path) -> None:
    rows = read(folder / "label_balance.csv")
    for task, target, total in (
        ("energy", "", 5 * 120), ("activation", "", 5 * 120), ("emotion", "", 120), ("target", "acted", 96),
        ("target", "voice-distribution", 95), ("target", "arousal", 71),
    ):  # fmt: skip
        part = [row for row in rows if (row["task"], row["target"]) == (task, target)]
        assert sum(float(row["count"]) for row in part) == pytest.approx(total, abs=1e-3)
        assert sum(float(row["share"]) for row in part) == pytest.approx(1, abs=1e-3)
    assert {"none", "ambiguous", "unmeasured"} <= {row["label"] for row in rows if row["task"] == "emotion"}


def test_refused_clips_are_counted_by_reason_and_listed(folder: Path) -> None:
    counted, listed = read(folder / "rejects.csv"), read(folder / "rejects_clips.csv")
    assert [(row["stage"], row["reason"], row["clips"]) for row in counted if row["corpus"] == "demo_talk"] == [
        ("landmarks", "no_face", "1"), ("split", "no_audio", "2"),
    ]  # fmt: skip
    assert len(listed) == 9
    corpora = {row["corpus"]: row for row in read(folder / "corpora.csv")}
    assert (corpora["demo_talk"]["clips"], corpora["demo_talk"]["refused"]) == ("120", "3")
    assert (corpora["demo_acted"]["speakers"], corpora["demo_acted"]["labelled"]) == ("8", "96")


def test_corpora_table_names_the_targets_counts_segments_and_duplicates(folder: Path) -> None:
    corpora = {row["corpus"]: row for row in read(folder / "corpora.csv")}
    assert [corpora[name]["target"] for name in ("demo_talk", "demo_acted", "demo_rated")] == [
        "", "acted, voice-distribution", "arousal",
    ]  # fmt: skip
    assert (corpora["demo_rated"]["clips"], corpora["demo_rated"]["labelled"]) == ("72", "71")
    assert [corpora[name]["duplicates"] for name in ("demo_talk", "demo_acted", "demo_rated")] == ["0", "2", "0"]


def test_action_units_have_a_row_for_each_label_and_unit(folder: Path) -> None:
    rows = [row for row in read(folder / "action_units.csv") if row["corpus"] == "demo_talk"]
    labels = ["all", *sorted({row["label"] for row in rows} - {"all", "none"}), "none"]
    assert [(row["label"], row["action_unit"]) for row in rows] == [
        (label, unit) for label in labels for unit in ACTION_UNITS
    ]
    clips = {row["label"]: int(row["clips"]) for row in rows}
    assert clips["all"] == 120 == sum(clips.values()) - 120
    together = read(folder / "au_combinations.csv")
    assert {row["corpus"] for row in together} == {"demo_talk"}, "the others have no pseudo-labels"
    assert all(sum(int(part.split()[-1]) for part in row["labels"].split(";")) == int(row["clips"]) for row in together)


def test_folds_are_listed_with_their_speakers(folder: Path) -> None:
    rows = [row for row in read(folder / "folds.csv") if row["target"] == "voice-distribution" and row["fold"] == "0"]
    assert [(row["name"], row["part"], row["clips_of"], row["speakers"], row["clips"]) for row in rows] == [
        ("group 1", "train", "demo_acted", "4", "48"), ("group 1", "dev", "demo_acted", "2", "23"),
        ("group 1", "test", "demo_acted", "2", "24"), ("group 1", "dropped", "demo_acted", "1", "1"),
    ]  # fmt: skip
    assert rows[2]["speaker_names"] == "1100; 1104"


def test_what_makes_figures_wrong_stands_in_the_tables(folder: Path) -> None:
    said = {(row["corpus"], row["target"]): row["warnings"] for row in read(folder / "main.csv")}
    assert said["demo_acted", "acted"] == ""
    assert said["demo_rated", "arousal"].startswith("NOT speaker-independent: ")
    corpora = {row["corpus"]: row for row in read(folder / "corpora.csv")}
    assert {(row["unknown_speakers"], row["alike_speakers"]) for row in corpora.values()} == {("0", "")}
    assert {row["altered"] for row in corpora.values()} == {""}  # no checksums are published of the demo


def test_significance_corrects_pretext_tasks_and_baselines_apart(folder: Path) -> None:
    rows = read(folder / "significance.csv")
    assert len(rows) == 5 * (5 + 6 + 3)
    assert all(float(row["p_holm"]) >= float(row["p_value"]) for row in rows)
    assert {(row["family"], row["initialisation"].startswith("svm")) for row in rows} == {
        ("pretext", False), ("baseline", True),
    }  # fmt: skip


def test_per_class_table_has_a_row_for_each_class_and_none_for_a_number(folder: Path) -> None:
    rows = read(folder / "per_class.csv")
    assert len(rows) == 2 * 6 * 6
    assert {row["clips"] for row in rows if row["target"] == "acted"} == {"16"}
    assert {row["target"] for row in rows} == {"acted", "voice-distribution"}


def test_trust_tables_have_every_system_and_name_what_is_not_known(folder: Path) -> None:
    calibration, sexes = read(folder / "calibration.csv"), read(folder / "by_sex.csv")
    systems = [*INITIALISATIONS, "svm", "svm_speaker"]
    assert [row["initialisation"] for row in calibration if row["measure"] == "ece"] == 2 * systems
    assert {row["target"] for row in calibration} == {"acted", "voice-distribution"}
    assert {row["sex"] for row in sexes if row["corpus"] == "demo_acted"} == {"female", "male", "female - male"}
    assert {row["sex"] for row in sexes if row["corpus"] == "demo_rated"} == {"not known"}
    speakers = read(folder / "by_speaker.csv")
    assert len(speakers) == len(systems) * 2 * (8 + 8 + 6)
    assert len(read(folder / "speaker_spread.csv")) == len(systems) * 2 * 3
    raters = read(folder / "raters.csv")
    assert {(row["target"], row["against"]) for row in raters} == {("voice-distribution", "other raters")}
    assert len(raters) == 2 * (1 + len(systems))
    conditions = read(folder / "conditions.csv")
    assert [row["condition"] for row in conditions if row["measure"] == "uar"] == 2 * [
        "clean", "noise10", "noise0", "telephone"
    ]  # fmt: skip
    assert all((row["difference"] == "") == (row["condition"] == "clean") for row in conditions)


def test_provenance_repeats_versions_options_and_model_checksums(folder: Path) -> None:
    rows = json.loads((folder / "provenance.json").read_text("utf-8"))
    landmarks = next(row for row in rows if row["stage"] == "landmarks")
    assert landmarks["models"] == {"face_landmarker.task": "64184e22"}
    assert landmarks["options"] == {"landmarks": {"option": 1}}
    assert landmarks["files"] == 6, "two shards, each with landmarks, preview and thumbnails"
    stages = [row["stage"] for row in rows]
    others = {"speech", "landmarks", "motion", "action_units", "rejects", "labels_energy", "labels_activation"}
    assert {"index", "segment", "split", "labels_emotion", "pretrain", "targets", "folds", "finetune", "baseline",
            "evaluate", "trust"} == {*stages} - others  # fmt: skip
    assert len(read(folder / "provenance.csv")) == len(rows)


def test_printed_tables_say_that_the_corpus_is_synthetic(folder: Path) -> None:
    for name in ("main.md", "main.tex"):
        text = " ".join((folder / name).read_text("utf-8").split())
        assert "Synthetic demo corpus" in text
        assert "energy + activation + emotion" in text
    tex = (folder / "main.tex").read_text("utf-8")
    assert r"\toprule" in tex
    assert r"demo\_acted" in tex


def test_printed_sections_name_corpus_target_and_protocol_and_have_the_kinds_measures(folder: Path) -> None:
    text = (folder / "main.md").read_text("utf-8")
    sections = {part.partition("\n")[0]: part for part in text.split("\n## ")[1:]}
    assert list(sections) == [
        "demo_acted, target acted, protocol speaker_kfold",
        "demo_acted, target voice-distribution, protocol speaker_kfold",
        "demo_rated, target arousal, protocol partitions",
        "Notes",
    ]
    columns = [
        [cell.strip() for line in part.splitlines() if line.startswith("| Init") for cell in line.split("|")[2:-1]]
        for part in list(sections.values())[:3]
    ]
    common = ["difference to scratch", "p (Holm)", "mean ± std", "± trainings"]
    assert columns == [
        ["macro-F1", *common, "UAR", "WAR", "macro-precision"],
        ["macro-F1", *common, "micro-F1", "macro-precision", "macro-recall"],
        ["CCC", *common, "Pearson", "RMSE"],
    ]
    assert max(map(len, text.splitlines())) <= formats.WIDEST
    assert text.count("| ComParE + SVM, speaker z-norm ") == 7, "once in each piece of a table"
    for note in ("UAR is macro recall", "a share of 1/K", "Lin, 1989", "a family of their own"):
        assert note in " ".join(sections["Notes"].split())


def test_printed_tables_say_loudly_that_speakers_leak_and_what_was_left_out(folder: Path) -> None:
    warning = "NOT speaker-independent: 6 speakers are both in training and in test."
    for name in ("main.md", "main.tex"):
        text = " ".join((folder / name).read_text("utf-8").split())
        assert text.count(warning) == 1
        assert text.index("arousal") < text.index(warning)
        assert text.count("1 copies of test or dev audio left out.") == 3


def test_printed_tables_are_set_by_latex_within_a_page_of_two_columns(folder: Path, tmp_path: Path) -> None:
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("no pdflatex on this machine: apt-get install texlive-latex-recommended")
    awkward = [["a_b", "5 % & more"], ["{#$~^\\}", "±1 − 2"]]
    (tmp_path / "awkward.tex").write_text(formats.latex(["<x|y>", "é"], awkward, 1, "50 % of a_b", "a b"), "utf-8")
    page = ["\\documentclass[twocolumn]{article}", "\\usepackage[margin=17mm]{geometry}", formats.PREAMBLE]
    inputs = [f"\\input{{{file}}}" for file in (folder / "main.tex", "awkward.tex")]
    (tmp_path / "paper.tex").write_text("\n".join([*page, "\\begin{document}", *inputs, "\\end{document}"]), "utf-8")
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
    assert "Overfull" not in (tmp_path / "paper.log").read_text("utf-8", "replace")


def test_baselines_bear_the_feature_set_of_the_configuration() -> None:
    config = parse({"corpora": {"mine": {"path": ".", "use": []}}, "functionals": {"feature_set": "eGeMAPSv02"}})
    assert printed.start_name("svm", config) == "eGeMAPS + SVM"
    assert printed.start_name("svm_statistics_rbf_speaker", config) == "frame statistics + RBF SVM, speaker z-norm"
    assert printed.start_name("together:energy-emotion+svm", config) == ("together: energy + emotion; eGeMAPS + SVM")
    many = ensemble_name(["scratch", "svm_speaker", "svm_rbf_speaker", "svm_statistics_speaker"])
    assert printed.start_name(many, config) == "together: scratch; 3 SVMs, speaker z-norm"
    assert printed.start_name("energy-emotion", config) == "energy + emotion"


def test_negative_scores_and_missing_ones_are_printed_as_such() -> None:
    config = parse({"corpora": {"mine": {"path": ".", "use": []}}})
    row = {"initialisation": "scratch", "ccc": -0.1, "ccc_mean": -0.1, "pearson": None, "rmse": 1.5}
    cells = printed.printed(row, SCORINGS["attribute"], config)
    assert cells == ["scratch", "−0.100", "", "", "−0.100", "", "", "1.500"]


def test_empty_results_give_empty_tables_with_their_columns(tmp_path: Path) -> None:
    corpora = {"mine": {"path": ".", "reader": "folder", "use": ["pretrain"]}}
    config = parse({"results": str(tmp_path / "none"), "corpora": corpora})
    tables.run(config, tmp_path)
    assert read(tmp_path / "main.csv") == []
    assert (tmp_path / "rejects.csv").read_text("utf-8") == "corpus,stage,reason,clips,meaning\n"


def test_columns_of_several_attributes_are_there_only_where_they_are_learnt(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("path,speaker,arousal,valence\na.wav,ann,1,2\n")

    def columns(target: str) -> dict[str, list[str]]:
        corpus = {"path": str(tmp_path), "reader": "folder", "table": "clips.csv", "use": ["finetune"]}
        return tables.columns_of(OpenRun(parse({"corpora": {"mine": {**corpus, "targets": [target]}}})))

    alone, together = columns("arousal"), columns("arousal+valence")
    assert alone == tables.COLUMNS
    assert "rmse" in alone["main"]
    assert [name for name in together["main"] if name not in alone["main"]] == [
        f"mae{part}" for part in (*results.SCORE, *results.DIFFERENCE)
    ]
    assert {"f1", "ccc", "ccc_low", "mae_seed_std"} <= set(together["per_class"])
    assert "ccc" not in alone["per_class"]
