"""The stage `trust`, from prediction files to its artefacts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from avpretext import shards
from avpretext.config import CorpusOptions, EvaluateOptions
from avpretext.evaluation import trust
from avpretext.flow.artefacts import STAGES, schema_of

OPTIONS = EvaluateOptions(bootstrap=100, permutations=500)
IN_CONDITIONS = EvaluateOptions(bootstrap=100, permutations=500, conditions=["room600", "noise10", "telephone"])
EMOTIONS = ["ANG", "HAP", "SAD"]
CLIPS = {f"{1001 + actor}_{sentence}_{emotion}_XX": emotion
         for actor in range(4) for sentence in ("DFA", "IEO", "TSI") for emotion in EMOTIONS}  # fmt: skip
VOTES = {clip: [4 * (emotion == name) + 1 for name in EMOTIONS] for clip, emotion in CLIPS.items()}


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusOptions:
    """A corpus in CREMA-D's layout with four actors, and seven raters of each clip, five for the acted emotion."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    people = [f"{1001 + actor},{20 + actor},{'Male' if actor % 2 else 'Female'}" for actor in range(4)]
    (folder / "VideoDemographics.csv").write_text("\n".join(["ActorID,Age,Sex", *people]))
    rows = [f'"1{number:05d}",{anger},0,0,{happy},0,{sad},"{clip}"'
            for number, (clip, (anger, happy, sad)) in enumerate(VOTES.items())]  # fmt: skip
    (folder / "tabulatedVotes.csv").write_text("\n".join(['"",A,D,F,H,N,S,fileName', *rows]))
    return CorpusOptions(path=str(folder), reader="crema_d", use=["finetune"])


def write(folder: Path, kind: str = "hard", votes: bool = False) -> tuple[list[Path], Path]:
    """Write predictions of scratch and of energy, and the table of targets."""
    rng = np.random.default_rng(2)
    classes = EMOTIONS if kind == "hard" else ["arousal"]
    told = {"kind": kind, "classes": classes, "target": "acted", "setting": "acted.speaker_kfold"}
    files = []
    for name, skill in (("scratch", 0.4), ("energy", 0.8)):
        rows: list[dict[str, Any]] = []
        for seed in range(2):
            for clip, label in CLIPS.items():
                truth = np.array([float(label == one) for one in EMOTIONS]) if kind == "hard" else rng.normal(3, 1, 1)
                said = skill * truth + (1 - skill) * (rng.dirichlet(np.ones(3)) if kind == "hard" else 1.0)
                rows.append(
                    {"initialisation": name, "fold": 0, "seed": seed, "split": "test", "clip_id": clip,
                     "speaker": clip[:4], "label": label if kind == "hard" else None,
                     "predicted": EMOTIONS[int(said.argmax())] if kind == "hard" else None,
                     "truth": truth.tolist(), "probabilities": said.tolist()}
                )  # fmt: skip
        files.append(folder / f"{name}.parquet")
        shards.write_table(files[-1], rows, schema_of("finetune.predictions"), told)
    targets = [{"clip_id": clip, "votes": VOTES[clip] if votes else None} for clip in CLIPS]
    shards.write_table(folder / "targets.parquet", targets, schema_of("targets"), told)
    return files, folder / "targets.parquet"


def read(folder: Path, name: str, **chosen: object) -> pl.DataFrame:
    return shards.read(folder / f"{name}.parquet").filter(**chosen)


def degrade(file: Path, condition: str, *changes: pl.Expr, lacking: Sequence[str] = ()) -> None:
    """Add predictions of the test clips in a condition to a file: those of the clean clips, changed."""
    rows = shards.read(file)
    more = rows.filter(pl.col("split") == "test", ~pl.col("clip_id").is_in(lacking))
    more = more.with_columns(pl.lit(f"test@{condition}").alias("split"), *changes)
    made_by = shards.read_provenance(file)
    shards.write_table(file, pl.concat([rows, more]), schema_of("finetune.predictions"), made_by)


def test_every_table_is_written_and_twice_the_same(tmp_path: Path, corpus: CorpusOptions) -> None:
    files, targets = write(tmp_path)
    degrade(files[0], "noise10")
    for name in ("a", "b"):
        trust.run(files, targets, corpus, IN_CONDITIONS, 1, tmp_path / name)
    for name in STAGES["trust"].writes:
        first, second = (tmp_path / run / f"{name}.parquet" for run in ("a", "b"))
        assert shards.count_rows(first), name
        assert first.read_bytes() == second.read_bytes()
    sexes = read(tmp_path / "a", "sexes", initialisation="energy", measure="uar")
    assert sexes.select("sex", "speakers").rows() == [("female", 2), ("male", 2), ("female - male", 4)]
    assert shards.read_provenance(tmp_path / "a" / "raters.parquet")["setting"] == "acted.speaker_kfold"


def test_raters_of_the_corpus_stand_beside_systems_that_learn_acted_emotions(
    tmp_path: Path, corpus: CorpusOptions
) -> None:
    files, targets = write(tmp_path)
    trust.run(files, targets, corpus, OPTIONS, 1, tmp_path)
    found = read(tmp_path, "raters", initialisation="raters", measure="uar")
    # Five of seven raters name the acted emotion, which the others' majority is whoever is left out.
    assert found.select("against", "clips").rows() == [("other raters", 36), ("label", 36)]
    assert found["value"].to_list() == pytest.approx([5 / 7, 5 / 7])
    energy = read(tmp_path, "raters", initialisation="energy", measure="uar")
    uar = read(tmp_path, "spread", initialisation="energy", measure="uar")["mean"].item()
    assert energy["value"].to_list() == pytest.approx([uar, uar])
    assert energy["difference"].to_list() == pytest.approx([uar - 5 / 7] * 2)


def test_what_a_machine_predicts_counts_not_its_highest_probability(tmp_path: Path, corpus: CorpusOptions) -> None:
    files, targets = write(tmp_path)
    rows = shards.read(files[0]).with_columns(predicted=pl.col("label"), probabilities=pl.lit([0.2, 0.2, 0.6]))
    shards.write_table(files[0], rows, schema_of("finetune.predictions"), shards.read_provenance(files[0]))
    trust.run(files[:1], targets, corpus, OPTIONS, 1, tmp_path)
    found = read(tmp_path, "raters", initialisation="scratch", measure="uar", against="other raters")
    assert found["value"].item() == 1, "the majority names the acted emotion"


def test_labels_that_come_of_votes_are_held_against_the_other_raters_alone(
    tmp_path: Path, corpus: CorpusOptions
) -> None:
    files, targets = write(tmp_path, votes=True)
    trust.run(files, targets, corpus, OPTIONS, 1, tmp_path)
    assert set(read(tmp_path, "raters")["against"]) == {"other raters"}


def test_without_tables_of_the_corpus_nothing_is_known_of_sexes_and_raters(tmp_path: Path) -> None:
    files, targets = write(tmp_path)
    bare = CorpusOptions(path=str(tmp_path), reader="crema_d", use=["finetune"])
    trust.run(files, targets, bare, OPTIONS, 1, tmp_path)
    assert set(read(tmp_path, "sexes")["sex"]) == {None}
    assert read(tmp_path, "raters").is_empty()
    assert read(tmp_path, "calibration").height == 8


def test_a_table_of_votes_that_cannot_be_read_is_told_and_stops_nothing(
    tmp_path: Path, corpus: CorpusOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(corpus.path, "tabulatedVotes.csv").write_text("what,ever\n1,2\n")
    files, targets = write(tmp_path)
    trust.run(files, targets, corpus, OPTIONS, 1, tmp_path)
    assert "trust: warning: raters are left out: " in capsys.readouterr().err
    assert read(tmp_path, "raters").is_empty()


def test_numbers_have_speakers_and_sexes_and_no_calibration(tmp_path: Path, corpus: CorpusOptions) -> None:
    files, targets = write(tmp_path, kind="attribute")
    trust.run(files, targets, corpus, OPTIONS, 1, tmp_path)
    assert read(tmp_path, "calibration").is_empty()
    assert read(tmp_path, "raters").is_empty()
    assert set(read(tmp_path, "speakers")["measure"]) == {"ccc", "pearson"}
    assert read(tmp_path, "sexes", sex="female - male").height == 4


def test_files_that_stand_for_speakers_are_none(tmp_path: Path, corpus: CorpusOptions) -> None:
    files, targets = write(tmp_path)
    rows = shards.read(files[0]).with_columns(speaker=pl.format("a/{}.wav", "clip_id"))
    shards.write_table(files[0], rows, schema_of("finetune.predictions"), shards.read_provenance(files[0]))
    trust.run(files[:1], targets, corpus, OPTIONS, 1, tmp_path)
    assert read(tmp_path, "speakers").is_empty()
    assert read(tmp_path, "calibration").height == 4


def test_scores_in_a_condition_are_held_against_the_same_clips_clean(tmp_path: Path, corpus: CorpusOptions) -> None:
    files, targets = write(tmp_path)
    left_out = sorted(CLIPS)[:4]
    degrade(files[0], "room600", pl.col("label").alias("predicted"), lacking=left_out)
    for file in files:
        degrade(file, "telephone")
    trust.run(files, targets, corpus, IN_CONDITIONS, 1, tmp_path)
    found = read(tmp_path, "conditions", measure="uar")
    known = [("scratch", "clean"), ("scratch", "room600"), ("scratch", "telephone"), ("energy", "clean"),
             ("energy", "telephone")]  # fmt: skip
    assert found.select("initialisation", "condition").rows() == known
    rows = shards.read(files[0]).filter(split="test").with_columns(right=pl.col("label") == pl.col("predicted"))

    def uar(rows: pl.DataFrame) -> float:
        return float(rows.group_by("seed", "label").agg(pl.col("right").mean())["right"].mean())  # type: ignore[arg-type]

    clean, room, telephone = found.filter(initialisation="scratch").to_dicts()
    assert clean["value"] == pytest.approx(uar(rows))
    assert (clean["difference"], clean["clips"], room["clips"]) == (None, 36, 32)
    assert room["value"] == 1
    assert room["difference"] == pytest.approx(1 - uar(rows.filter(~pl.col("clip_id").is_in(left_out))))
    assert room["difference_low"] < room["difference"] < room["difference_high"]
    assert telephone["value"] == clean["value"]
    apart = ("difference", "difference_low", "difference_high")
    assert [telephone[name] for name in apart] == pytest.approx([0, 0, 0]), "speakers are in pairs"


def test_without_conditions_nothing_else_changes(tmp_path: Path, corpus: CorpusOptions) -> None:
    files, targets = write(tmp_path)
    trust.run(files, targets, corpus, OPTIONS, 1, tmp_path / "before")
    degrade(files[0], "noise10", pl.col("label").alias("predicted"))
    trust.run(files, targets, corpus, OPTIONS, 1, tmp_path / "after")
    for name in STAGES["trust"].writes:
        before, after = (tmp_path / when / f"{name}.parquet" for when in ("before", "after"))
        assert before.read_bytes() == after.read_bytes()
    assert read(tmp_path / "after", "conditions").is_empty()
