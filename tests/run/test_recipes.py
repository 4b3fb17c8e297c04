"""Recipes: an artefact holds what it is made from, and another recipe is noticed wherever the file lies."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from avpretext import shards
from avpretext.config_file import parse
from avpretext.flow.paths import COPIES, Layout
from avpretext.run import dag, digests, recipes, signature
from avpretext.run.digests import Content, Known
from avpretext.run.recipes import RESULTS, Recipe

SCHEMA = pa.schema([("clip_id", pa.string())])


class Files(list[str]):
    """Files of a job as Snakemake gives them."""


def job(rule: str, inputs: list[str], output: list[str], options: str = "{}", **wildcards: Any) -> Any:
    return SimpleNamespace(
        rule=SimpleNamespace(name=rule), params=SimpleNamespace(options=options, stage=rule), input=Files(inputs),
        output=Files(output), wildcards=SimpleNamespace(**wildcards),
    )  # fmt: skip


def flow(results: Path, votes: Path, min_confidence: float = 0.1) -> list[list[Any]]:
    """Return the jobs of a small flow: two shards are indexed, then labelled together, with the user's votes."""
    shard = [str(results / f"mine/index/000{number}.parquet") for number in range(2)]
    labels, table = str(results / "mine/labels_emotion/all.parquet"), str(results / "tables/main.csv")
    options = f'{{"version": 1, "labels.emotion": {{"min_confidence": {min_confidence}, "table": "{votes}"}}}}'
    return [
        [job("index", [], [shard[number]], corpus="mine", shard=f"000{number}") for number in range(2)],
        [job("labels_emotion", [*shard, str(votes)], [labels], options)],
        [job("tables", [labels], [table])],
    ]


def test_a_rule_of_the_users_own_and_another_workflow_in_the_same_run_have_no_recipes(tmp_path: Path) -> None:
    config = parse({"results": str(tmp_path / "results"), "corpora": {"mine": {"path": ".", "use": []}}})
    ours = job("tables", [], [str(tmp_path / "results/tables/main.csv")])
    elsewhere = job("tables", [], [str(tmp_path / "other/results/tables/main.csv")])
    theirs = job("tables", [], [str(tmp_path / "results/mine.txt")])
    del theirs.params.stage
    made = dag.Recipes(config, lambda corpus, shard: Content("")).of([[ours, elsewhere, theirs]])
    assert list(made) == ours.output


def test_a_rule_that_a_module_calls_by_another_name_has_the_recipe_of_its_own(tmp_path: Path) -> None:
    config = parse({"results": str(tmp_path), "corpora": {"mine": {"path": ".", "use": []}}})
    one, other = (
        job(name, [], [str(tmp_path / "mine/split/audio/0000.parquet")]) for name in ("split_audio", "x_split")
    )
    recipes = dag.Recipes(config, lambda corpus, shard: Content(""), names={"x_split": "split_audio"})
    assert recipes.of([[one]]) == recipes.of([[other]])
    assert next(iter(recipes.of([[one]]).values())).stage == "split_audio"


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    file = tmp_path / "votes.csv"
    file.write_text("a,b\n")
    return file


def start(results: Path, votes: Path, clips: str = "as they were", times: str = "then") -> dag.Recipes:
    config = {"results": str(results), "labels": {"emotion": {"table": str(votes)}}}
    corpora = {"mine": {"path": str(results.parent), "use": ["pretrain"]}}
    return dag.Recipes(parse({**config, "corpora": corpora}), lambda corpus, shard: Content(clips, times))


def made(results: Path, votes: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """Make all artefacts, as jobs of the workflow do."""
    wanted = start(results, votes).of(flow(results, votes, **options))
    recipes._entries.cache_clear()
    recipes.write(wanted, results)
    with monkeypatch.context() as job_of_a_run:
        job_of_a_run.setenv(RESULTS, str(results))
        for path in wanted:
            if path.endswith(".parquet"):
                shards.write_table(path, [{"clip_id": "a"}], SCHEMA, {"stage": "any"})
            else:
                with shards.atomic_path(path) as temporary:
                    temporary.write_text("macro_f1\n")


def stale(results: Path, votes: Path, min_confidence: float = 0.1, **clips: str) -> set[str]:
    found = start(results, votes, **clips).compare(flow(results, votes, min_confidence))
    assert len(found.stale | found.fitting) == 4
    return {str(Path(path).relative_to(results)) for path in found.stale}


def test_what_was_just_made_fits_and_so_does_a_copy_elsewhere_with_other_times(
    tmp_path: Path, votes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, copy, link = tmp_path / "results", tmp_path / "elsewhere" / "copy", tmp_path / "link"
    made(results, votes, monkeypatch)
    assert stale(results, votes) == set()
    assert stale(results, votes) == set(), "and again, from what was read before"
    shutil.copytree(results, copy, copy_function=shutil.copy)
    other_votes = shutil.copy(votes, tmp_path / "elsewhere" / "votes.csv")
    assert stale(copy, Path(other_votes)) == set()
    link.symlink_to(results)
    assert stale(link, votes) == set()
    monkeypatch.chdir(tmp_path)
    assert stale(Path("results"), Path("votes.csv")) == set()


def test_another_option_another_table_and_another_clip_change_all_that_follows(
    tmp_path: Path, votes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, after = tmp_path / "results", {"mine/labels_emotion/all.parquet", "tables/main.csv"}
    made(results, votes, monkeypatch)
    assert stale(results, votes, min_confidence=0.2) == after
    assert len(stale(results, votes, clips="one more")) == 4
    assert stale(results, votes, times="now") == {"mine/index/0000.parquet", "mine/index/0001.parquet"}
    status = votes.stat()
    votes.write_text("a,c\n")
    os.utime(votes, ns=(status.st_atime_ns, status.st_mtime_ns - 10**9))
    assert stale(results, votes) == after, "corrected, the same size, an older time"


def test_an_edit_of_ones_own_code_changes_what_is_made_by_it_and_no_index_that_it_does_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def options_of(rule: str, name: str) -> Any:
        one = job(
            rule, [], ["results/any.parquet"], f'{{"corpora.mine": {{"reader": "{name}"}}}}', corpus="mine", shard="0"
        )
        (recipe,) = start(tmp_path / "results", tmp_path / "votes.csv").of([[one]]).values()
        return recipe.options["corpora.mine"]

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module, package = tmp_path / "studio_reader.py", tmp_path / "studio_package"
    package.mkdir()
    module.write_text("READER = 1\n")
    (package / "__init__.py").touch()
    (package / "names.py").write_text("A = 1\n")
    names = ("studio_reader:READER", "studio_package.reader:READER")
    before = [(options_of("targets", name), options_of("index", name)) for name in names]
    module.write_text("READER = 2\n")
    (package / "names.py").write_text("A = 2\n")
    (package / "notes.txt").write_text("not code")
    after = [(options_of("targets", name), options_of("index", name)) for name in names]
    for (targets, index), (later_targets, later_index) in zip(before, after, strict=True):
        assert targets != later_targets
        assert index == later_index


@pytest.mark.parametrize(("stage", "file"), [("action_units", "a.csv"), ("phones", "a.TextGrid")])
def test_an_imported_file_that_changes_is_noticed(tmp_path: Path, stage: str, file: str) -> None:
    folder = tmp_path / "imported"
    folder.mkdir()
    config = parse(
        {stage: {"backend": "import", "imports": str(folder)}, "corpora": {"mine": {"path": ".", "use": []}}}
    )

    def recipe() -> Recipe:
        one = job(stage, [], [str(tmp_path / "0000.parquet")], signature.signature(stage, config, "mine"))
        return dag.Recipes(config, lambda corpus, shard: Content(""), tmp_path).of([[one]]).popitem()[1]

    before = recipe()
    (folder / "notes.md").write_text("nothing of it")
    assert recipe().identity == before.identity
    (folder / file).write_text("measured")
    assert recipe().identity != before.identity


def test_a_file_of_another_run_is_noticed(tmp_path: Path, votes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, other = tmp_path / "results", tmp_path / "other"
    made(results, votes, monkeypatch)
    made(other, votes, monkeypatch, min_confidence=0.3)
    for name in ("mine/labels_emotion/all.parquet", "tables/main.csv"):
        kept = (results / name).read_bytes()
        shutil.copy2(other / name, results / name)
        changed = {name} if name.endswith(".parquet") else set()
        assert stale(results, votes) == changed, "a table of the same bytes is the same table"
        (results / name).write_bytes(kept)
    (results / "tables/main.csv").write_text("macro_f1\n1.0\n")
    assert stale(results, votes) == {"tables/main.csv"}, "edited by hand"
    shutil.copy2(results / "mine/index/0000.parquet", results / "mine/index/0001.parquet")
    (results / "mine/labels_emotion/all.parquet").write_bytes(b"PAR1, damaged")
    assert stale(results, votes) == {"mine/index/0001.parquet", "mine/labels_emotion/all.parquet", "tables/main.csv"}


def test_it_is_said_what_is_different(tmp_path: Path, votes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "results"
    made(results, votes, monkeypatch)
    said = dag.explained(start(results, votes).compare(flow(results, votes, 0.2)))
    assert said.startswith("2 artefacts in the results were made from something else and are made again")
    assert "labels.emotion.min_confidence (1)" in said
    assert "mine/labels_emotion" not in said, "the cause is told, not what follows from it"
    votes.write_text("a,c\n")
    said = dag.explained(start(results, votes).compare(flow(results, votes)))
    assert "votes.csv (1)" in said


def test_what_is_made_by_hand_has_no_recipe(tmp_path: Path, votes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "results"
    made(results, votes, monkeypatch)
    file = results / "mine/labels_emotion/all.parquet"
    shards.write_table(file, [{"clip_id": "a"}], SCHEMA, {"stage": "labels_emotion"})
    assert recipes.recorded(file) is None
    assert stale(results, votes) == {"mine/labels_emotion/all.parquet"}


def test_every_file_of_a_folder_that_is_an_artefact_has_its_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = tmp_path / "results" / "orofacial" / "films"
    recipe = Recipe("orofacial/films", "film", {}, {})
    recipes.write({str(films): recipe}, tmp_path / "results")
    monkeypatch.setenv(RESULTS, str(tmp_path / "results"))
    recipes._entries.cache_clear()
    for name in ("a.mp4", "b.mp4"):
        with shards.atomic_path(films / name) as temporary:
            temporary.write_bytes(name.encode())
    assert recipes.recorded(films) == recipe
    (films / "b.mp4").write_bytes(b"another")
    assert recipes.recorded(films) is None


def test_of_artefacts_in_a_bucket_the_recipes_beside_them_are_enough(
    tmp_path: Path, votes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    monkeypatch.setenv(COPIES, f"{tmp_path}/")
    made(results, votes, monkeypatch)
    stored = {path for level in flow(results, votes) for one in level for path in one.output}
    for path in stored:
        Path(path).unlink()
    assert start(results, votes).compare(flow(results, votes), stored).fitting == stored
    changed = start(results, votes).compare(flow(results, votes, 0.2), stored)
    assert {Path(path).name for path in changed.stale} == {"all.parquet", "main.csv"}
    assert "labels.emotion.min_confidence (1)" in dag.explained(changed)
    assert not start(results, votes).compare(flow(results, votes, 0.2), set()).stale


def test_only_files_that_changed_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, kept = tmp_path / "lists" / "fold.csv", tmp_path / ".avpretext" / "read.json"
    file.parent.mkdir()
    file.write_text("one")
    known = Known(kept)
    before = digests.of(str(file.parent), known)
    known.save()
    monkeypatch.setattr(digests, "_read", lambda path: Content("read again"))
    assert digests.of(str(file.parent), Known(kept)) == before
    os.utime(file, ns=(0, file.stat().st_mtime_ns))
    assert digests.of(str(file.parent), Known(kept)) != before


def test_of_large_files_both_ends_the_size_and_the_time_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "FILE_LIMIT", 10)
    monkeypatch.setattr(digests, "_END", 4)
    file = tmp_path / "large.parquet"
    file.write_bytes(b"abcd....wxyz")
    first = digests.of(str(file))
    os.utime(file, (1, 1))
    later = digests.of(str(file))
    assert first.digest == later.digest
    assert first.times != later.times
    file.write_bytes(b"abcd....wxyy")
    assert digests.of(str(file)).digest != later.digest


def test_a_job_that_opens_another_run_reads_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule of the user's own may compare runs: the results of its own run are not taken for those of others."""
    monkeypatch.setenv(RESULTS, "results/mine")
    assert Layout.of_run("results/other").path("report") == "results/other/report.html"
    monkeypatch.setenv(COPIES, "copies/bucket/")
    assert Layout.of_run("results/other").path("report") == "copies/bucket/results/other/report.html"
    assert Layout.of_run("/elsewhere").path("report") == "/elsewhere/report.html"
