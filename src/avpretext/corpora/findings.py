"""Findings: what is wrong with a corpus, or worth knowing, and what to do about it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avpretext import yaml_files
from avpretext.programs import command

EXAMPLES = 3
"""Examples that a finding keeps."""

_TEXTS = yaml_files.of_package("avpretext.corpora", "findings.yaml")
FIXES: Mapping[str, str] = _TEXTS["fixes"]
"""Reason of a finding: what to do about it."""

MEANINGS: Mapping[str, str] = _TEXTS["meanings"]
"""Reason of a finding about the sound or the pictures of clips: what it means."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a corpus, or worth knowing.

    `reason` is one of `FIXES`; `count` is of clips, cells or names, 0 where there is nothing to count; `wrong` is False
    for what a sound copy has too.
    """

    reason: str
    meaning: str
    count: int = 0
    examples: tuple[str, ...] = ()
    wrong: bool = False

    @property
    def fix(self) -> str:
        """What to do about it, with the command line of this installation in its commands."""
        return re.sub("(?<=`)avpretext [^`]+", lambda found: command(found[0]), FIXES[self.reason])

    @property
    def sentence(self) -> str:
        """The count and the meaning, as a sentence without its full stop."""
        return f"{self.count:,} {self.meaning}" if self.count else f"{self.meaning[:1].upper()}{self.meaning[1:]}"


def counted(reason: str, meaning: str, seen: Sequence[str], wrong: bool = False) -> list[Finding]:
    """Return the finding of these clips or names, some of them its examples; nothing where there are none."""
    return [Finding(reason, meaning, len(seen), tuple(seen[:EXAMPLES]), wrong)] if seen else []
