"""Several attributes as one target: all of a corpus, or some by name; clips that lack one are left out, and told of."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.corpora.made import corpus as options_of
from tests.corpora.made import touch
from tests.corpora.test_msp import HEADER, ROWS, write

from avpretext import shards
from avpretext.config import CorpusOptions
from avpretext.corpora import targets
from avpretext.corpora.checks.check import check
from avpretext.corpora.readers import folder, msp_podcast
from avpretext.corpora.settings import kind_of, settings_of, source_of
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of

TABLE = """path,speaker,emotion,valence,arousal,age
a.wav,ann,happy,1,7,20
b.wav,ben,sad,2,,30
c.wav,cat,happy,,,40
d.wav,dan,sad,4,5.5,50
"""
INDEX = pl.DataFrame({"clip_id": list("abcd"), "speaker": ["ann", "ben", "cat", "dan"]}).with_columns(
    label=pl.lit(None, pl.String), recording=pl.lit(None, pl.String)
)


@pytest.fixture
def mine(tmp_path: Path) -> CorpusOptions:
    (tmp_path / "clips.csv").write_text(TABLE)
    return options_of(tmp_path, table="clips.csv", targets=["arousal+valence"])


def found_in(options: CorpusOptions, target: str) -> targets.Targets:
    return targets.read_targets(options, target, INDEX)


def test_names_joined_by_plus_are_learnt_together_in_the_order_of_their_names(mine: CorpusOptions) -> None:
    (setting,) = settings_of(mine)
    assert (setting.kind, setting.name) == ("attributes", "arousal+valence.speaker_kfold")
    found = found_in(mine, "valence+arousal")
    assert (found.kind, found.classes, found.labels) == ("attributes", ["arousal", "valence"], [None] * 4)
    assert found.values[[0, 3]].tolist() == [[7, 1], [5.5, 4]]


def test_a_clip_that_lacks_one_is_left_out_and_told_of(mine: CorpusOptions) -> None:
    found = found_in(mine, "arousal+valence")
    assert np.isnan(found.values[[1, 2]]).all()
    assert list(found.notes) == [
        "clips with some of the attributes and not all, which are left out: 1; missing: arousal 1"
    ]
    assert found_in(mine, "age+valence").notes[0].endswith("missing: valence 1")


def test_attributes_are_all_columns_of_numbers(mine: CorpusOptions) -> None:
    assert kind_of(mine, "attributes") == "attributes"
    assert found_in(mine, "attributes").classes == ["age", "arousal", "valence"]
    assert list(folder.READER.sources(mine)) == ["emotion", "valence", "arousal", "age"], "no target changes the reader"


def test_an_empty_column_is_no_attribute_and_the_check_tells(mine: CorpusOptions, tmp_path: Path) -> None:
    header, *rows = TABLE.splitlines()
    (tmp_path / "clips.csv").write_text("\n".join([f"{header},dominance", *(f"{row}," for row in rows)]))
    touch(tmp_path, "a.wav", "b.wav", "c.wav", "d.wav")
    assert found_in(mine, "attributes").classes == ["age", "arousal", "valence"]
    (told,) = [one for one in folder.READER.findings(mine) if one.reason == "empty_column"]
    assert told.sentence == "Empty columns of the table, which give no target: 'dominance'"
    plain = mine.model_copy(update={"video": False, "targets": []})
    assert told in check(plain, "none", "none").findings


def test_a_column_called_attributes_stays_itself(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("path,attributes,arousal\na.wav,1,2\nb.wav,2,3\n")
    assert kind_of(options_of(tmp_path, table="clips.csv"), "attributes") == "attribute"


def test_the_table_of_targets_has_a_number_for_each(mine: CorpusOptions, tmp_path: Path) -> None:
    rows = [
        {**row, "path": f"{row['clip_id']}.wav", "sentence": None, "level": None, "start_s": None, "end_s": None,
         "size_bytes": 1}
        for row in INDEX.iter_rows(named=True)
    ]  # fmt: skip
    shards.write_table(tmp_path / "index.parquet", rows, schema_of("index"), {})
    targets.run(mine, "arousal+valence", [tmp_path / "index.parquet"], tmp_path / "targets.parquet")
    made_by = shards.read_provenance(tmp_path / "targets.parquet")
    assert (made_by["kind"], made_by["classes"], made_by["labelled"]) == ("attributes", ["arousal", "valence"], 2)
    assert made_by["notes"]
    table = shards.read(tmp_path / "targets.parquet")
    assert table["values"].to_list() == [[7.0, 1.0], None, None, [5.5, 4.0]]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("arousal+valance", r"'valance' is no attribute; did you mean 'valence'\?; expected names of valence, arousal"),
        ("arousal+emotion", "'emotion' is no attribute"),
        ("arousal+arousal", "'arousal' stands there twice"),
        ("arousal+", "'' is no attribute"),
        ("attributes-distribution", "distribution needs votes"),
    ],
)
def test_a_wrong_name_is_told(mine: CorpusOptions, target: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        source_of(mine, target)


def test_one_attribute_is_no_joint_target(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("path,arousal\na.wav,1\n")
    with pytest.raises(UserError, match="'attributes' of the reader 'folder'; expected one of arousal"):
        source_of(options_of(tmp_path, table="clips.csv"), "attributes")


def test_a_constant_attribute_is_named(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("path,arousal,valence\na.wav,1,3\nb.wav,2,3\n")
    found = found_in(options_of(tmp_path, table="clips.csv"), "attributes")
    with pytest.raises(UserError, match=r"'valence' of 'attributes' is 3 for every clip; .* joined by \+"):
        targets.check_learnable(found, "attributes")


def test_without_a_clip_that_has_all_it_is_told_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("path,arousal,valence\na.wav,1,\nb.wav,2,\nc.wav,,3\n")
    found = found_in(options_of(tmp_path, table="clips.csv"), "attributes")
    with pytest.raises(UserError, match=r"none of the 4 clips .* missing: arousal 1, valence 2"):
        targets.check_learnable(found, "attributes")


def test_the_check_of_a_corpus_lists_them(mine: CorpusOptions, tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "b.wav", "c.wav", "d.wav")
    plain = mine.model_copy(update={"video": False, "targets": []})
    *others, entry = check(plain, "none", "none").targets
    assert [other.name for other in others] == ["emotion", "valence", "arousal", "age"]
    assert (entry.name, entry.kind, entry.clips) == ("attributes", "attributes", 2)
    assert entry.of == ("age", "arousal", "valence")


def test_podcast_has_the_three_of_its_challenges(tmp_path: Path) -> None:
    write(tmp_path, **{"Labels__labels_consensus.csv": HEADER + ROWS + "hidden.wav,,,,,,,Test3\n"})
    given = options_of(tmp_path, "msp_podcast", video=False)
    table = source_of(given, "attributes").read(given).sort("clip_id")
    assert table.columns == ["clip_id", "arousal", "dominance", "valence"]
    assert table.row(0) == ("MSP-PODCAST_0001_0008", 2.2, 2.6, 4.0)
    assert table.row(-1) == ("hidden", None, None, None)


@pytest.mark.parametrize("value", ["0.9", "7.01", "-3", "70"])
def test_a_rating_off_the_scale_of_podcast_is_named(tmp_path: Path, value: str) -> None:
    write(tmp_path, **{"Labels__labels_consensus.csv": HEADER + ROWS.replace(",6,7,", f",{value},7,")})
    given = options_of(tmp_path, "msp_podcast", video=False)
    said = rf"MSP-PODCAST_0002_0002.wav: EmoVal '{re.escape(value)}'; expected 1 to 7: correct the row"
    with pytest.raises(UserError, match=said):
        source_of(given, "attributes").read(given)
    assert msp_podcast.READER.sources(given)["arousal"].read(given)["value"].len() == 4
