"""Published results beside those of a run: only where corpus, label target and protocol are the same.

They are rows of `published_results.yaml`, shown where all this holds:

- Reader, parts, target, protocol and test partitions are those published.
- The corpus is not synthetic. No label map, chosen speakers, cutting into clips, lists of test clips or rule for ties
  changes who or what is tested.
- As many speakers are tested as published, and at least 99 % of the clips: copies of a corpus hold a few broken files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avpretext import yaml_files
from avpretext.config import CorpusOptions
from avpretext.corpora.reader import parts_of
from avpretext.corpora.readers import reader_of
from avpretext.evaluation.formats import Table, decimal
from avpretext.evaluation.kinds import MEASURE_NAMES, Scoring
from avpretext.evaluation.open_run import Evaluated, OpenRun, Rows

LACKING = 0.01
"""Share of the published test clips that a copy may lack."""

INTRO = "Published, not run here: other systems on the same corpus, label target and protocol."
NOTE = (
    "Their scores are as printed in the source, which may average over folds, as mean ± std does here, while the first"
    " column scores all test clips together; dev sets may differ where the protocol leaves them open."
)


@dataclass(frozen=True)
class PublishedRow:
    """A system: its name, where its scores are published, the scores by measure, such as `macro_f1`, and a caveat."""

    system: str
    source: str
    scores: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class PublishedSetting:
    """A setting with published results; see `published_results.yaml`.

    `clips` and `speakers` are those tested, `speakers` None where it is not told; `parts` and `test_partitions` are
    empty where there is no choice.
    """

    reader: str
    target: str
    protocol: str
    clips: int
    rows: Sequence[PublishedRow]
    parts: Sequence[str] = ()
    test_partitions: Sequence[str] = ()
    speakers: int | None = None

    def is_of(self, options: CorpusOptions, one: Evaluated) -> bool:
        """Tell whether a setting of a corpus is this one, going by its options."""
        named = (options.reader, one.setting.target_name, one.setting.protocol)
        return (
            named == (self.reader, self.target, self.protocol)
            and _parts(options) == set(self.parts)
            and set(options.protocol.test_partitions or ()) == set(self.test_partitions)
            and not (options.synthetic or options.segment or options.protocol.lists)
            and options.speakers is None
            and (options.ties == "drop" or not one.setting.votes)
        )

    def is_tested(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row of the main table, `clips` and `speakers`, is of the published test clips."""
        whole = (1 - LACKING) * self.clips <= row["clips"] <= self.clips
        return whole and self.speakers in (None, row["speakers"])


def _parts(options: CorpusOptions) -> set[str]:
    """Return the parts of a corpus that are read; none where it is not divided."""
    known = reader_of(options).parts
    return set(parts_of(options, known)) if known else set()


def _setting(entry: dict[str, Any]) -> PublishedSetting:
    note = entry.pop("note", "")
    rows = [
        PublishedRow(row.pop("system"), row.pop("source"), scores=row, note=note) for row in map(dict, entry["rows"])
    ]
    return PublishedSetting(**{**entry, "rows": rows})


_ENTRIES = yaml_files.of_package("avpretext.evaluation", "published_results.yaml")
PUBLISHED: Sequence[PublishedSetting] = [_setting(entry) for entry in _ENTRIES]


def rows_beside(run: OpenRun, one: Evaluated, rows: Rows) -> list[PublishedRow]:
    """Return the published results that may stand below the `rows` of the main table of a setting; most often none."""
    options = run.config.corpora[one.corpus]
    fitting = [known for known in PUBLISHED if rows and known.is_of(options, one) and all(map(known.is_tested, rows))]
    return [row for known in fitting for row in known.rows]


def sentences(found: Sequence[PublishedRow]) -> str:
    """Return what must be known of published rows."""
    return " ".join([INTRO, NOTE, *dict.fromkeys(row.note for row in found if row.note)])


def header(found: Sequence[PublishedRow], scoring: Scoring) -> list[str]:
    """Return the header of published rows: system, source, and each measure of the main table that one of them has."""
    return ["Published system", "Source", *(MEASURE_NAMES[name] for name in _measures(found, scoring))]


def cells(found: Sequence[PublishedRow], scoring: Scoring) -> list[list[str]]:
    """Return the cells of `header` for each row."""
    measures = _measures(found, scoring)
    return [[row.system, row.source, *(decimal(row.scores.get(name), 3) for name in measures)] for row in found]


def _measures(found: Sequence[PublishedRow], scoring: Scoring) -> list[str]:
    printed = dict.fromkeys([scoring.main, *scoring.shown])
    return [name for name in printed if any(name in row.scores for row in found)]


def table(run: OpenRun, one: Evaluated, rows: Rows) -> list[Table]:
    """Return the published results of a setting as a table to print, or no table."""
    if not (found := rows_beside(run, one, rows)):
        return []
    label, said = f"published-{one.corpus}-{one.setting.name}", sentences(found)
    return [Table(header(found, one.scoring), cells(found, one.scoring), 2, label, said, said)]
