"""Every rule hands its command options that it has: those named in the rule's inputs and outputs."""

import importlib
import re
from itertools import pairwise

import pytest

from avpretext.cli import stages
from avpretext.flow.artefacts import STAGES
from tests.workflow.project import REPOSITORY

RULE = re.compile(r"^(?:use rule \w+ as |rule )(\w+)", re.MULTILINE)
SECTION = re.compile(r"^    (input|output):\n((?:^ {8}.*\n|^\n)+)", re.MULTILINE)
NAMED = re.compile(r"^ {8}(\w+)=", re.MULTILINE)
STAGE = re.compile(r'\*\*stage\(\s*"(\w+)"(.*?)\n {8}\),|\*\*stage\("(\w+)"([^\n]*)\)', re.DOTALL)


def rules() -> dict[str, str]:
    """Return the text of each rule that runs a stage."""
    found = {}
    for file in sorted((REPOSITORY / "workflow/rules").glob("*.smk")):
        starts = [*RULE.finditer(text := file.read_text("utf-8"))]
        places = [*(match.start() for match in starts), len(text)]
        found |= {one[1]: text[slice(*place)] for one, place in zip(starts, pairwise(places), strict=True)}
    return {name: text for name, text in found.items() if STAGE.search(text)}


@pytest.mark.parametrize("rule", rules())
def test_the_command_of_a_rule_knows_its_options(rule: str) -> None:
    text = rules()[rule]
    match = STAGE.search(text)
    assert match is not None
    stage, words = (match[1], match[2]) if match[1] else (match[3], match[4])
    run = importlib.import_module(STAGES[stage].module).run
    known = {one.name for one in stages._parameters(run)}
    told = {section: NAMED.findall(body) for section, body in SECTION.findall(text)}
    asked = [*told.get("input", []), *(["output"] if "folder=True" in words else told.get("output", []))]
    assert [name for name in asked if name not in known] == []


def test_rules_are_found() -> None:
    assert {"landmarks", "watch", "finetune", "folds", "evaluate"} <= set(rules())
