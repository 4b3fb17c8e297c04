"""docs/configuration.md and docs/stages.md say what the code says; every column of every artefact is described."""

from pathlib import Path

import config_docs
import pytest
import stage_docs

from avpretext.flow.artefacts import ARTEFACTS, STAGES, TRUTH
from avpretext.flow.columns import COMMON

DOCS = Path(__file__).resolve().parents[2] / "docs"
ALL = {name: artefact for name, artefact in {**ARTEFACTS, **TRUTH}.items() if artefact.columns}


def test_configuration_md_is_that_of_the_options() -> None:
    fix = "run: python docs/generate/config_docs.py docs/configuration.md"
    assert (DOCS / "configuration.md").read_text("utf-8") == config_docs.document(), fix


def test_stages_md_is_that_of_the_registry() -> None:
    fix = "run: python docs/generate/stage_docs.py docs/stages.md"
    assert (DOCS / "stages.md").read_text("utf-8") == stage_docs.document(), fix


@pytest.mark.parametrize("name", ALL)
def test_every_column_has_a_meaning(name: str) -> None:
    artefact = ALL[name]
    unknown = [column for column in artefact.columns.split() if not artefact.column(column)]
    assert not unknown, f"say in avpretext.flow.artefacts what these mean: {unknown}"


def test_no_common_meaning_is_left_over() -> None:
    used = {artefact.key(column) for artefact in ALL.values() for column in artefact.schema().names}
    assert set(COMMON) <= used


def test_columns_that_mean_alike_are_told_together() -> None:
    told = [(names, column.unit) for names, column in ARTEFACTS["motion"].described()]
    assert told[3] == (
        ["speed_face", "speed_brows", "speed_eyes", "speed_mouth", "speed_jaw"],
        "distances between the outer eye corners per second",
    )


def test_every_stage_has_a_section_with_files() -> None:
    text = stage_docs.document()
    for stage in STAGES:
        section = text.split(f"\n## {stage}\n")[1].split("\n## ")[0]
        written = [stage_docs.place_text(artefact) for artefact in STAGES[stage].writes.values()]
        assert all(f"`{place}`" in section for place in written), stage
        assert written or "Writes the files of" in section


def test_every_group_of_options_links_to_a_section_of_the_configuration() -> None:
    headings = {
        line.removeprefix("## ").lower().replace(".", "").replace(" ", "-")
        for line in config_docs.document().splitlines()
        if line.startswith("## ")
    }
    for stage in STAGES.values():
        for option in (*stage.options, *stage.unless_default):
            anchor = stage_docs.option_link(option).rpartition("#")[2].rstrip(")")
            assert anchor in headings, option


def test_a_key_is_told_with_its_values_default_and_meaning() -> None:
    text = config_docs.document()
    section = text.split("\n## split\n")[1].split("\n## ")[0]
    assert "Read by `split`" in section
    assert (
        "| `fps` | number, above 0, at most 1000 | `25.0` | frames per second of the video grid of all sources |"
        in section
    )
    assert "| `use` | list of `pretrain`, `finetune` | needed |" in text
