"""What the tables of MSP-Podcast and MSP-Face have in common: letters for emotions, attributes, raters, partitions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora import sheets
from avpretext.corpora.findings import Finding
from avpretext.corpora.reader import Person, Source, stem
from avpretext.corpora.who import people_in
from avpretext.errors import UserError

LETTERS: Mapping[str, str | None] = {
    "A": "angry",
    "C": "contempt",
    "D": "disgust",
    "F": "fear",
    "H": "happy",
    "N": "neutral",
    "S": "sad",
    "U": "surprise",
    "O": None,
    "X": None,
}
"""Consensus of the raters. O, something else, and X, no agreement, name no emotion, so such a clip has no label."""

EMOTIONS = tuple(sorted(label for label in LETTERS.values() if label))
OTHER = "other"
"""What raters chose who chose none of these, most with a word of their own."""

ATTRIBUTES = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
"""Means over the raters, within `RANGE`."""

RANGE = (1.0, 7.0)
"""Least and largest value of an attribute: the raters' scale."""

PARTITIONS = {"Train": "train", "Development": "dev", "Validation": "dev", "Test": "test"}
"""Other partitions, such as Test1, keep their names."""

_COLUMNS = ("FileName", "EmoClass", *ATTRIBUTES.values(), "SpkrID", "Gender", "Split_Set")


@dataclass(frozen=True)
class LabelFiles:
    """The files of labels of a corpus, and what is read from them.

    `folders` may hold them; `consensus` and `detailed` are the names that the file of what raters agreed on, and that
    of the single ratings, may have; `fix` and `fix_votes` say what to do where one is missing.
    """

    folders: Sequence[str]
    consensus: Sequence[str]
    detailed: Sequence[str]
    fix: str
    fix_votes: str

    def rows(self, options: CorpusOptions) -> pl.DataFrame:
        """Read what raters agreed on, from CSV, or JSON as in older releases.

        A row per clip, as text: `FileName`, `EmoClass`, `EmoAct`, `EmoVal`, `EmoDom`, `SpkrID`, `Gender`, `Split_Set`
        (null where the file has no such column), and `clip_id`, the name without its extension. A missing or other file
        is an error.
        """
        return with_clip_ids(sheets.cleaned(_consensus_table(self._agreed(options)))[0])

    def _agreed(self, options: CorpusOptions) -> Path:
        return sheets.needed(options, self.folders, self.consensus, self.fix)

    def sources(self, options: CorpusOptions) -> dict[str, Source]:
        """Return the raters' consensus on emotion, on three attributes, and their votes."""

        def attribute(name: str) -> Source:
            return Source("attribute", lambda options: _attribute(self.rows(options), name, self._agreed(options)))

        def read_votes(options: CorpusOptions) -> pl.DataFrame:
            return _votes(sheets.needed(options, self.folders, self.detailed, self.fix_votes))

        return {
            "emotion": Source("label", lambda options: _labels(self.rows(options), self._agreed(options))),
            **{name: attribute(name) for name in ATTRIBUTES},
            "votes": Source("votes", read_votes),
        }

    def partitions(self, options: CorpusOptions) -> pl.DataFrame:
        """Return `clip_id`, `partition`: train, dev and test, or as published."""
        partition = pl.col("Split_Set").str.strip_chars().replace(PARTITIONS)
        return self.rows(options).select("clip_id", partition=partition).drop_nulls("partition")

    def people(self, options: CorpusOptions) -> dict[str, Person]:
        """Return the sex of the speakers."""
        return people_in(self.rows(options).select(speaker=speaker(), sex="Gender"))

    def tables(self, options: CorpusOptions) -> list[str]:
        """Return the path of the consensus file; nothing where the corpus lacks it."""
        return sheets.present(options, self.folders, self.consensus)

    def annotations(self, options: CorpusOptions) -> list[str]:
        """Return the files of the consensus and of the single ratings, where they are."""
        return self.tables(options) + sheets.present(options, self.folders, self.detailed)

    def findings(self, options: CorpusOptions) -> list[Finding]:
        """Return what must be known of the cells of the consensus, see `sheets.cleaned`."""
        return [found for file in self.tables(options) for found in sheets.cleaned(_consensus_table(Path(file)))[1]]


def _consensus_table(file: Path) -> pl.DataFrame:
    if file.suffix == ".json":
        found = list(_consensus_rows(sheets.read_json(file), file))
        rows = pl.DataFrame(found, schema=dict.fromkeys(_COLUMNS, pl.String))
    else:
        rows = sheets.read_csv(file)
    sheets.need(rows.columns, _COLUMNS[:2], file, f"expected {', '.join(_COLUMNS)}: copy the file from the corpus")
    given = [name if name in rows.columns else pl.lit(None, pl.String).alias(name) for name in _COLUMNS]
    return rows.select(given)


def _consensus_rows(content: Any, file: Path) -> Iterator[dict[str, str | None]]:
    """Yield the rows of `{name: {...}}` or `{name: [{...}]}`; MSP-Face has `EmoClass_Major` for `EmoClass`."""
    for name, value in content.items():
        row = value[0] if isinstance(value, list) and value else value
        if not isinstance(row, dict):
            raise UserError(
                f"{file}: {name!r}: {value!r:.40}; expected EmoClass, EmoAct and so on: copy the file again"
            )
        texts = {key: None if cell is None else str(cell) for key, cell in row.items()}
        texts["EmoClass"] = texts.get("EmoClass", texts.get("EmoClass_Major"))
        yield {"FileName": name, **{column: texts.get(column) for column in _COLUMNS[1:]}}


def with_clip_ids(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with a column `clip_id`: `FileName` without folders and ending."""
    return rows.with_columns(clip_id=pl.Series([stem(name) for name in rows["FileName"]], dtype=pl.String))


def speaker() -> pl.Expr:
    """Return the speaker of each row; null where it is Unknown."""
    name = pl.col("SpkrID").str.strip_chars().str.strip_prefix("Speaker_")
    return pl.when(name.str.to_lowercase() != "unknown").then(name)


def _labels(rows: pl.DataFrame, file: Path) -> pl.DataFrame:
    """Return `clip_id`, `label` of the rows of the consensus; a letter that stands for no emotion is an error."""
    letters = rows["EmoClass"].str.strip_chars()
    unknown = rows.filter(letters.is_in(list(LETTERS)).not_())
    if not unknown.is_empty():
        name, letter = unknown.select("FileName", "EmoClass").row(0)
        raise UserError(f"{file}: {name}: EmoClass {letter!r}; expected one of {', '.join(LETTERS)}: correct the row")
    return rows.select("clip_id", label=letters.replace_strict(LETTERS, return_dtype=pl.String))


def _attribute(rows: pl.DataFrame, name: str, file: Path) -> pl.DataFrame:
    """Return `clip_id`, `value` of the rows of the consensus; what is no number of `RANGE` is an error."""
    column = ATTRIBUTES[name]
    values = rows.select("clip_id", "FileName", text=column, value=pl.col(column).cast(pl.Float64, strict=False))
    wrong = values.filter(pl.col("value").is_null() & pl.col("text").is_not_null())
    if not wrong.is_empty():
        raise UserError(f"{file}: {wrong['FileName'][0]}: {column} {wrong['text'][0]!r} is no number: correct the row")
    known = values.with_columns(pl.col("value").fill_nan(None))
    outside = known.filter(pl.col("value").is_between(*RANGE).not_())
    if not outside.is_empty():
        raise UserError(
            f"{file}: {outside['FileName'][0]}: {column} {outside['text'][0]!r}; expected {RANGE[0]:g} to {RANGE[1]:g}:"
            " correct the row, or leave the cell empty"
        )
    return known.select("clip_id", "value")


def _votes(file: Path) -> pl.DataFrame:
    """Return `clip_id`, and how many raters chose each emotion, or something else, as the main one; CSV or JSON."""
    ratings = pl.DataFrame(list(_json_ratings(sheets.read_json(file))), ["FileName", "rating"], orient="row") \
        if file.suffix == ".json" else _csv_ratings(file)  # fmt: skip
    word = pl.col("rating").str.strip_chars().str.to_lowercase()
    chosen = with_clip_ids(ratings).select(
        "clip_id", label=pl.when(word.is_in(EMOTIONS)).then(word).otherwise(pl.lit(OTHER))
    )
    counts = [(pl.col("label") == name).sum().alias(name) for name in (*EMOTIONS, OTHER)]
    return chosen.group_by("clip_id", maintain_order=True).agg(counts)


def _csv_ratings(file: Path) -> pl.DataFrame:
    """Return `FileName`, `rating`; some releases have a column for it, others one text per rater.

    Such a text is `WORKER00000065; Neutral; Neutral,Concerned; A:3; V:4; D:5;`.
    """
    rows = sheets.read_csv(file)
    names = {"FileName", "EmoClass_Major"}
    if names <= set(rows.columns):
        return rows.select("FileName", rating="EmoClass_Major")
    if "FileName" not in rows.columns or len(rows.columns) < 2:
        raise UserError(f"{file}: no columns FileName and EmoClass_Major, or EmoDetail: copy the file from the corpus")
    detail = pl.col(next(name for name in rows.columns if name != "FileName")).str.split(";")
    return rows.select("FileName", rating=detail.list.get(1, null_on_oob=True)).drop_nulls()


def _json_ratings(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name of a clip and a rating of it, from `{name: {"Workers": [{...}]}}` or `{name: {worker: {...}}}`."""
    for name, raters in content.items():
        for rating in raters["Workers"] if "Workers" in raters else raters.values():
            yield name, rating["EmoClass_Major"]
