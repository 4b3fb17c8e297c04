"""docs/configuration.md and docs/stages.md say what the code says; every column of every artefact is described."""

from pathlib import Path

import config_docs
import pyarrow as pa
import pytest
import stage_docs

from avpretext.cli.base import summaries
from avpretext.flow import columns, schemas
from avpretext.flow.columns import ARTEFACTS, COMMON, Artefact
from avpretext.flow.stages import STAGES
from avpretext.run.plan import TABLES, TRUTH_TABLES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_configuration_md_is_that_of_the_options() -> None:
    fix = "run: python docs/generate/config_docs.py docs/configuration.md"
    assert (DOCS / "configuration.md").read_text("utf-8") == config_docs.document(), fix


def test_stages_md_is_that_of_schemas_columns_and_stages() -> None:
    fix = "run: python docs/generate/stage_docs.py docs/stages.md"
    assert (DOCS / "stages.md").read_text("utf-8") == stage_docs.document(summaries()), fix


def test_every_schema_is_described() -> None:
    made = {name: value for name, value in vars(schemas).items() if isinstance(value, pa.Schema)}
    described = [artefact.schema for artefact in ARTEFACTS]
    missing = [name for name, schema in made.items() if schema not in described]
    assert not missing, f"add these schemas to ARTEFACTS of avpretext.flow.columns: {missing}"


@pytest.mark.parametrize("artefact", ARTEFACTS, ids=lambda artefact: artefact.place)
def test_every_column_has_a_meaning_and_no_meaning_is_left_over(artefact: Artefact) -> None:
    unknown = [column for column in artefact.schema.names if not artefact.meaning(column)]
    assert not unknown, f"say in avpretext.flow.columns what these mean: {unknown}"
    shared = (columns._CHUNKS, columns._CLIPS, columns._REJECTS, columns._AUDIO, columns._TRUTH)
    own = {key for key in artefact.own if not any(key in group for group in shared)}
    assert own <= {artefact.key(column) for column in artefact.schema.names}


def test_no_common_meaning_is_left_over() -> None:
    used = {artefact.key(column) for artefact in ARTEFACTS for column in artefact.schema.names}
    assert set(COMMON) <= used


def test_columns_that_mean_alike_are_told_together() -> None:
    frame = next(artefact for artefact in ARTEFACTS if artefact.place == "CORPUS/motion/SHARD.parquet")
    told = [(names, unit) for names, _, (_, unit) in frame.described()]
    assert told[3] == (
        ["speed_face", "speed_brows", "speed_eyes", "speed_mouth", "speed_jaw"],
        "distances between the outer eye corners per second",
    )


def test_every_stage_has_a_section_with_files() -> None:
    text = stage_docs.document(summaries())
    for stage in STAGES:
        section = text.split(f"\n## {stage}\n")[1].split("\n## ")[0]
        assert "| column |" in section or "Writes " in section, (
            f"describe the files of {stage} in avpretext.flow.columns"
        )


def test_every_table_is_told() -> None:
    assert set(stage_docs.PRINTED) == {*TABLES, *TRUTH_TABLES}, "add them to PRINTED of docs/generate/stage_docs.py"


def test_every_group_of_options_links_to_a_section_of_the_configuration() -> None:
    headings = {
        line.removeprefix("## ").lower().replace(".", "").replace(" ", "-")
        for line in config_docs.document().splitlines()
        if line.startswith("## ")
    }
    for stage in STAGES.values():
        for option in stage.options:
            anchor = stage_docs.option_link(option).rpartition("#")[2].rstrip(")")
            assert anchor in headings, option


def test_a_key_is_told_with_its_values_default_and_meaning() -> None:
    text = config_docs.document()
    section = text.split("\n## split\n")[1].split("\n## ")[0]
    assert "Read by `split`" in section
    assert "| `fps` | number, above 0 | `25.0` | frames per second of the video grid of all sources |" in section
    assert "| `use` | list of `pretrain`, `finetune` | needed |" in text
