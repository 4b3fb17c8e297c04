"""MELD: utterances of the TV series Friends, each labelled with an emotion and a sentiment, in three published parts.

Files are `train_splits/dia0_utt0.mp4`, `dev_splits_complete/...` and `output_repeated_splits_test/...`, wherever these
folders lie; `train_sent_emo.csv` and so on, beside them or a folder above, list the utterances: Utterance, Speaker,
Emotion, Sentiment, Dialogue_ID, Utterance_ID. A clip is a row: `train_dia0_utt0`. Files without a row, such as the
test set's `final_videos_test...`, are left out.

The six friends speak in all three parts, so the published division is not speaker-independent: `protocol: {name:
partitions, allow_speaker_leaks: true}`, only to compare. Several people may be in the picture.

Sources: Poria et al., ACL 2019, https://aclanthology.org/P19-1050; https://github.com/declare-lab/MELD; the corpus's
readers in EmoBox (EmoBox/preprocess/scripts/meld.py) and github.com/Strong-AI-Lab/emotion, datasets/MELD: the video of
train_dia125_utt3 is broken there and that of dev_dia110_utt7 missing. All 13,706 names of EmoBox's list are read. Not
checked on the corpus itself: no copy was at hand.
"""

from collections.abc import Sequence

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora import sheets
from avpretext.corpora.reader import Entry, Reader, Source, by_kind, without_extension
from avpretext.corpora.readers import clip_table

FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
"""Partition to the folder of its files."""

TARGETS = {"emotion": "Emotion", "sentiment": "Sentiment"}
_PLACES = ("", "MELD.Raw", "train", "dev", "test", "MELD.Raw/train", "MELD.Raw/dev", "MELD.Raw/test")
_COLUMNS = ("Utterance", "Speaker", *TARGETS.values(), "Dialogue_ID", "Utterance_ID")
_FIX = "copy it from https://github.com/declare-lab/MELD, folder data/MELD, into the corpus folder"


def entries(options: CorpusOptions, files: Sequence[str]) -> list[Entry]:
    """Return the listed utterances; one without its file is refused."""
    chosen = by_kind(files, options.video)
    if not any(name in f"/{path}" for path in chosen for name in ("/dia", *FOLDERS.values())):
        return []
    places = {_key(path): path for path in reversed(chosen)}
    rows = utterances(options)
    paths = [
        places.get((part, name), f"{FOLDERS[part]}/{name}.mp4")
        for part, name in rows.select("part", "name").iter_rows()
    ]
    clips = rows.select("clip_id", "speaker", path=pl.Series(paths, dtype=pl.String))
    return clip_table.entries(clip_table.clips_of(clips), chosen, options.video)


def _key(path: str) -> tuple[str, str]:
    """Return partition and name of a file; the partition is empty where no folder tells it."""
    *folders, name = without_extension(path).split("/")
    told = [part for part, folder in FOLDERS.items() if folder in folders or part in folders[-1:]]
    return (told[0] if told else "", name)


def utterances(options: CorpusOptions) -> pl.DataFrame:
    """Return `clip_id`, `part`, `name`, `speaker`, and the columns of the lists; a missing list is an error."""
    listed = []
    for part in FOLDERS:
        file = sheets.needed(options, _PLACES, (f"{part}_sent_emo.csv",), _FIX)
        rows = sheets.read_csv(file, separator=",", fix=_FIX)
        sheets.need(rows.columns, _COLUMNS, file, _FIX)
        listed.append(rows.select(*_COLUMNS, part=pl.lit(part)))
    name = pl.format("dia{}_utt{}", "Dialogue_ID", "Utterance_ID")
    rows = pl.concat(listed).with_columns(name=name, speaker=pl.col("Speaker").str.strip_chars())
    return rows.with_columns(clip_id=pl.format("{}_{}", "part", "name"))


def _source(column: str) -> Source:
    return Source(
        "label", lambda options: utterances(options).select("clip_id", label=pl.col(column).str.strip_chars())
    )


def tables(options: CorpusOptions) -> list[str]:
    """Return the lists, where they are."""
    return [file for part in FOLDERS for file in sheets.present(options, _PLACES, (f"{part}_sent_emo.csv",))]


READER = Reader(
    entries=entries,
    sources=lambda options: {name: _source(column) for name, column in TARGETS.items()},
    annotations=tables,
    tables=tables,
    partitions=lambda options: utterances(options).select("clip_id", partition="part"),
    transcripts=lambda options: utterances(options).select("clip_id", text="Utterance").drop_nulls("text"),
)
