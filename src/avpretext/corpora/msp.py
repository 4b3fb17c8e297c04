"""What the tables of MSP-Podcast and MSP-Face have in common: letters for emotions, attributes, raters, partitions."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora import cells, sheets
from avpretext.corpora.reader import Note, Source, stem
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
"""Means over the raters, from 1 to 7."""

PARTITIONS = {"Train": "train", "Development": "dev", "Validation": "dev", "Test": "test"}
"""Other partitions, such as Test1, keep their names."""

_COLUMNS = ("FileName", "EmoClass", *ATTRIBUTES.values(), "SpkrID", "Split_Set")


def found(options: CorpusOptions, folders: Sequence[str], names: Sequence[str]) -> Path | None:
    """Return the first of these files that is in one of these folders of the corpus, None if there is none."""
    places = (Path(options.path) / folder / name for folder in folders for name in names)
    return next((place for place in places if place.is_file()), None)


def needed(options: CorpusOptions, folders: Sequence[str], names: Sequence[str], fix: str) -> Path:
    """Return what `found` does.

    Raises
    ------
    UserError
        There is no such file; `fix` says what to do.
    """
    file = found(options, folders, names)
    if file is None:
        raise UserError(f"{Path(options.path) / folders[0] / names[0]}: no such file; {fix}")
    return file


def consensus(file: Path) -> pl.DataFrame:
    """Read what raters agreed on, from CSV, or JSON as in older releases.

    Returns
    -------
    pl.DataFrame
        One row per clip, as text: `FileName`, `EmoClass`, `EmoAct`, `EmoVal`, `EmoDom`, `SpkrID`, `Split_Set` (null
        where the file has no such column), and `clip_id`, the name without its extension.

    Raises
    ------
    UserError
        The file is no such table.
    """
    return with_clip_ids(cells.cleaned(_consensus_table(file))[0])


def notes(file: Path | None) -> list[Note]:
    """Return what must be known of the cells of what raters agreed on."""
    return cells.cleaned(_consensus_table(file))[1] if file else []


def _consensus_table(file: Path) -> pl.DataFrame:
    """Return the columns of the consensus as text; see `consensus` for the errors."""
    rows = pl.DataFrame(list(_consensus_rows(_json(file), file)), schema=dict.fromkeys(_COLUMNS, pl.String)) \
        if file.suffix == ".json" else sheets.read_csv(file)  # fmt: skip
    missing = [name for name in _COLUMNS[:2] if name not in rows.columns]
    if missing:
        raise UserError(
            f"{file}: no column {missing[0]!r}; expected {', '.join(_COLUMNS)}: copy the file from the corpus"
        )
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


def _json(file: Path) -> Any:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error}); copy it from the corpus again") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: a list of clips by name is expected; copy the file from the corpus again")
    return content


def with_clip_ids(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with `clip_id`, the name of the file without its extension."""
    return rows.with_columns(clip_id=pl.Series([stem(name) for name in rows["FileName"]], dtype=pl.String))


def speaker() -> pl.Expr:
    """Return the speaker of each row; null where the corpus says Unknown."""
    name = pl.col("SpkrID").str.strip_chars().str.strip_prefix("Speaker_")
    return pl.when(name.str.to_lowercase() != "unknown").then(name)


def labels(rows: pl.DataFrame, file: Path) -> pl.DataFrame:
    """Return `clip_id`, `label` of the rows of `consensus`.

    Raises
    ------
    UserError
        A letter stands for no emotion.
    """
    letters = rows["EmoClass"].str.strip_chars()
    unknown = rows.filter(letters.is_in(list(LETTERS)).not_())
    if not unknown.is_empty():
        name, letter = unknown.select("FileName", "EmoClass").row(0)
        raise UserError(f"{file}: {name}: EmoClass {letter!r}; expected one of {', '.join(LETTERS)}: correct the row")
    return rows.select("clip_id", label=letters.replace_strict(LETTERS, return_dtype=pl.String))


def attribute(rows: pl.DataFrame, name: str, file: Path) -> pl.DataFrame:
    """Return `clip_id`, `value` of the rows of `consensus` for an attribute such as arousal.

    Raises
    ------
    UserError
        A value is no number.
    """
    column = ATTRIBUTES[name]
    values = rows.select("clip_id", "FileName", text=column, value=pl.col(column).cast(pl.Float64, strict=False))
    wrong = values.filter(pl.col("value").is_null() & pl.col("text").is_not_null())
    if not wrong.is_empty():
        raise UserError(f"{file}: {wrong['FileName'][0]}: {column} {wrong['text'][0]!r} is no number: correct the row")
    return values.select("clip_id", pl.col("value").fill_nan(None))


def votes(file: Path) -> pl.DataFrame:
    """Count how many raters chose each emotion as the main one, from CSV or JSON.

    Returns
    -------
    pl.DataFrame
        `clip_id`, and one column of counts per emotion and for `other`.
    """
    ratings = pl.DataFrame(list(_json_ratings(_json(file))), ["FileName", "rating"], orient="row") \
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


def partitions(rows: pl.DataFrame) -> pl.DataFrame:
    """Return `clip_id`, `partition` of the rows of `consensus`, as train, dev and test, or as published."""
    named = rows.select("clip_id", partition=pl.col("Split_Set").str.strip_chars().replace(PARTITIONS))
    return named.drop_nulls("partition")


def sources(agreed: Callable[[CorpusOptions], Path], detailed: Callable[[CorpusOptions], Path]) -> dict[str, Source]:
    """Return what can be learnt: the raters' consensus, three attributes, and the raters' votes.

    Parameters
    ----------
    agreed, detailed
        From the corpus's options to the file of the consensus, and to that of the single ratings.
    """

    def read_labels(options: CorpusOptions) -> pl.DataFrame:
        return labels(consensus(agreed(options)), agreed(options))

    def reading(name: str) -> Callable[[CorpusOptions], pl.DataFrame]:
        return lambda options: attribute(consensus(agreed(options)), name, agreed(options))

    return {
        "emotion": Source("label", read_labels),
        **{name: Source("attribute", reading(name)) for name in ATTRIBUTES},
        "votes": Source("votes", lambda options: votes(detailed(options))),
    }
