"""What no fold may do: hear a test speaker, or a test recording, while it trains or chooses the epoch.

Tables of folds here have one row per fold and clip: `fold`, `name`, `part`, `corpus`, `clip_id`, `speaker` (what folds
go by), `known` (whether that is known, or the clip's file stands for it), `content` (equal where the audio is; null:
not known).
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from avpretext.corpora.caveats import ALIKE
from avpretext.corpora.protocols import PARTS
from avpretext.corpora.readers import ANY_CORPUS
from avpretext.errors import UserError
from avpretext.names import key

DROPPED = "dropped"
"""The part of clips that are left out since their audio is in a part that comes first."""

_EXAMPLES = 3
_FIRST = ("test", "dev", "train")
"""Which part keeps a recording that is in several."""


def speaker_leaks(rows: pl.DataFrame, allowed: bool) -> list[str]:
    """Return a warning for each fold with a speaker, or a file of unknown speakers, in more than one part.

    Names that differ only in what `names.key` leaves out are of one speaker. Without `allowed`
    (`protocol.allow_speaker_leaks`) such a speaker is an error.
    """
    used = rows.filter(pl.col("part").is_in(PARTS))
    people = {name: key(name) for name in used.filter("known")["speaker"].unique()}
    person = pl.when("known").then(pl.col("speaker").replace(people)).otherwise("speaker").alias("person")
    parts = used.with_columns(person).group_by("fold", "name", "known", "person")
    counted = parts.agg(pl.col("part").unique(), pl.col("speaker").unique().sort(), pl.col("clip_id").n_unique())
    # One clip of unknown speaker that lists name twice is no other recording of his, but a duplicate.
    is_leak = (pl.col("part").list.len() > 1) & (pl.col("known") | (pl.col("clip_id") > 1))
    leaks = counted.filter(is_leak).sort("fold", "known", "person", descending=[False, True, False])
    warnings = []
    for (fold, name), speakers in leaks.group_by("fold", "name", maintain_order=True):
        found = f"fold {fold} ({name}): {_of_leak(speakers.row(0, named=True))}"
        found += f" ({len(speakers)} speakers are in several parts)" if len(speakers) > 1 else ""
        if not allowed:
            raise UserError(
                f"{found}; speakers must be apart: choose a protocol that holds them apart, such as speaker_kfold, or,"
                " only to compare with published figures of such a split, set protocol.allow_speaker_leaks to true"
            )
        warnings.append(f"{found}; figures of it are not of new speakers")
    return warnings


def _of_leak(leak: dict[str, Any]) -> str:
    parts, names = " and ".join(part for part in PARTS if part in leak["part"]), leak["speaker"]
    if not leak["known"]:
        return f"clips of the file {names[0]!r}, of unknown speaker, are in {parts}"
    if len(names) > 1:
        alike = " and ".join(map(repr, names))
        return f"the speakers {alike}, whose names {ALIKE}, are in {parts}: give one person one name in the table"
    return f"the speaker {names[0]!r} is in {parts}"


def equal_names(clips: pl.DataFrame, tested: str, readers: Mapping[str, str | None]) -> list[str]:
    """Return a warning for each corpus that is trained on and may have speakers of the tested one.

    `clips` has `corpus`, `speaker`, `known`; `readers` has the reader of each corpus, None where it is not known. Names
    that published corpora give their speakers, such as 01, mean nothing in another published corpus.
    """
    named = clips.filter("known").group_by("corpus").agg(pl.col("speaker").unique())
    people = {corpus: {key(name): name for name in names} for corpus, names in named.iter_rows()}
    warnings = []
    for other in sorted(people.keys() - {tested}):
        shared = [name for same, name in sorted(people.get(tested, {}).items()) if same in people[other]]
        apart = {readers.get(tested), readers.get(other)}
        if shared and (len(apart) == 1 or apart & {None, *ANY_CORPUS}):
            warnings.append(
                f"{len(shared)} {'speaker' if len(shared) == 1 else 'speakers'} of {tested} and {other} have the same"
                f" name, such as {shared[0]!r}: if they are the same people, figures are not of new speakers; leave"
                " them out of one corpus by corpora.NAME.speakers"
            )
    return warnings


def of_several(clips: pl.DataFrame, readers: Mapping[str, str | None]) -> pl.DataFrame:
    """Return the clips of several corpora with the corpus before each `speaker`, and before each `person`.

    A person of a published corpus is the same in all copies of it: there the reader stands in place of the corpus.
    """
    published = {name: reader for name, reader in readers.items() if reader not in (None, *ANY_CORPUS)}
    known_as = pl.when("known").then(pl.col("corpus").replace(published)).otherwise("corpus")
    return clips.with_columns(
        pl.format("{}/{}", "corpus", "speaker").alias("speaker"), pl.format("{}/{}", known_as, "person").alias("person")
    )


def without_contradictions(
    clips: pl.DataFrame, labels: pl.DataFrame, duplicates: str
) -> tuple[pl.DataFrame, list[str]]:
    """Return the clips without those of equal audio and different labels, and a sentence that says so.

    All of them are left out, from test too: nothing tells which label is right. Re-encoded copies do not count.

    Parameters
    ----------
    clips
        `corpus`, `clip_id`, `content`.
    labels
        `corpus`, `clip_id`, `class`: a row for each class of a clip.
    duplicates
        `error`: such clips are an error; both are named.
    """
    named = labels.group_by("corpus", "clip_id").agg(pl.col("class").sort().str.join("+"))
    known = clips.drop_nulls("content").join(named, on=["corpus", "clip_id"], maintain_order="left")
    wrong = known.filter(pl.col("class").n_unique().over("content") > 1).sort("content", "corpus", "clip_id")
    if wrong.is_empty():
        return clips, []
    groups = [rows.select("clip_id", "class").rows() for _, rows in wrong.group_by("content", maintain_order=True)]
    shown = "; ".join(
        " = ".join(f"{name!r} ({label})" for name, label in group) for group in sorted(groups)[:_EXAMPLES]
    )
    told = f"clips of equal audio with different labels: {len(wrong)}, such as {shown}"
    if duplicates == "error":
        raise UserError(f"{told}; take them out of the corpus, or set protocol.duplicates to drop")
    return clips.join(wrong, on=["corpus", "clip_id"], how="anti", maintain_order="left"), [f"{told}: all are left out"]


def without_duplicates(rows: pl.DataFrame, duplicates: str) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows, copies of test audio in train or dev, and of dev audio in train, being `dropped`; and warnings.

    The column `copy_of` names the original of each copy, as `corpus/clip_id`; it is null for all else. With
    `duplicates: error` a copy is an error.
    """
    rank = pl.col("part").replace_strict({part: place for place, part in enumerate(_FIRST)}, return_dtype=pl.Int8)
    audio = pl.coalesce("content", pl.format("{}/{}", "corpus", "clip_id"))
    ranked = rows.with_columns(rank.alias("rank"), audio.alias("audio"))
    first = ranked.sort("rank", "corpus", "clip_id").group_by("fold", "audio", maintain_order=True)
    kept = first.agg(
        pl.col("rank").first().alias("first_rank"), pl.col("clip_id").first().alias("original"),
        pl.format("{}/{}", "corpus", "clip_id").first().alias("copy_of"), pl.col("part").first().alias("original_part"),
    )  # fmt: skip
    joined = ranked.join(kept, on=["fold", "audio"], how="left", maintain_order="left")
    copies = joined.filter(pl.col("rank") > pl.col("first_rank"))
    if copies.is_empty():
        return rows.with_columns(pl.lit(None, pl.String).alias("copy_of")), []
    warning = _of_copies(copies)
    if duplicates == "error":
        raise UserError(f"{warning}; take one of each pair out of the corpus, or set protocol.duplicates to drop")
    is_copy = pl.col("rank") > pl.col("first_rank")
    part = pl.when(is_copy).then(pl.lit(DROPPED)).otherwise("part").alias("part")
    told = joined.with_columns(part, pl.when(is_copy).then("copy_of").alias("copy_of"))
    return told.select(*rows.columns, "copy_of"), [f"{warning}: left out"]


def _of_copies(copies: pl.DataFrame) -> str:
    pairs = copies.unique(["corpus", "clip_id"], maintain_order=True)
    shown = [
        f"{row['clip_id']!r} of {row['part']} is {row['original']!r} of {row['original_part']} (fold {row['fold']})"
        for row in pairs.head(_EXAMPLES).iter_rows(named=True)
    ]
    what = "clips with the audio, the same or re-encoded, of another part of their fold"
    return f"{what}: {len(pairs)}, such as {'; '.join(shown)}"


def check_parts(rows: pl.DataFrame, needs_dev: bool) -> None:
    """Raise UserError where a part of a fold is empty; dev may be, unless `needs_dev`."""
    needed = PARTS if needs_dev else ("train", "test")
    for (fold, name), clips in rows.group_by("fold", "name", maintain_order=True):
        counts = {part: int((clips["part"] == part).sum()) for part in PARTS}
        empty = [part for part in needed if not counts[part]]
        if empty:
            raise UserError(
                f"fold {fold} ({name}): no clip with label and audio is in {' or '.join(empty)} (train, dev and test"
                f" have {', '.join(str(counts[part]) for part in PARTS)}); choose another protocol, or see the rejects"
                " of the corpus for clips that were refused"
            )
