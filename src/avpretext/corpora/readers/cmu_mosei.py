"""CMU-MOSEI: sentences of online videos in which one person talks to the camera, labelled by raters.

Read is the list `CMU_MOSEI_Labels.csv`: file (the name of the video), index, start, end in seconds, label2a, label2b,
label6, label7, split. A clip such as `--qXJuDtHPw_0` is its own file, wherever it lies
(`Audio/Segmented_Audio/dev/--qXJuDtHPw_0.wav`), if it has been cut; else the stretch of the file `--qXJuDtHPw` that the
list names. Published stretches that overlap are kept. Nothing tells who speaks: the clips of a video stay together.

The targets are `emotion`, one of six without neutral (label6), and `sentiment`, -3 to 3 (label7). The partitions are
train, dev and test (split 0, 1, 2); clips of split 3 are in none.

Sources: Bagher Zadeh et al., ACL 2018, https://aclanthology.org/P18-1208; the list and its meaning in
github.com/felixbur/nkululeko, data/cmu-mosei: its 23,259 rows are read. The published labels are numbers per emotion in
`.csd` files, which are not read; how the list got one emotion of them is not told there. Not checked on the videos:
none were at hand.
"""

from collections.abc import Sequence

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora import sheets
from avpretext.corpora.reader import Entry, Reader, Source, by_kind, stem
from avpretext.corpora.readers import clip_table
from avpretext.errors import UserError

LIST = "CMU_MOSEI_Labels.csv"
EMOTIONS = {"0": "happy", "1": "sad", "2": "angry", "3": "surprise", "4": "disgust", "5": "fear"}
PARTITIONS = {"0": "train", "1": "dev", "2": "test"}
_COLUMNS = ("file", "index", "start", "end", "label6", "label7", "split")
_FIX = "copy it from https://github.com/felixbur/nkululeko, folder data/cmu-mosei, into the corpus folder"


def entries(options: CorpusOptions, files: Sequence[str]) -> list[Entry]:
    """Return the listed clips; one of which there is neither file nor video is refused."""
    chosen = by_kind(files, options.video)
    if not chosen:
        return []
    places = {stem(path): path for path in reversed(chosen)}
    rows = listed(options)
    names = rows.select("clip_id", "file").iter_rows()
    pairs = [(places.get(name), places.get(video, f"{video}.mp4")) for name, video in names]
    cut = pl.Series([own is not None for own, _ in pairs], dtype=pl.Boolean)
    clips = rows.select(
        "clip_id",
        path=pl.Series([own or video for own, video in pairs], dtype=pl.String),
        start_s=pl.when(~cut).then("start"),
        end_s=pl.when(~cut).then("end"),
    )
    return clip_table.entries(clip_table.clips_of(clips, overlaps=True), chosen, options.video)


def listed(options: CorpusOptions) -> pl.DataFrame:
    """Return the list as text, with `clip_id`."""
    file = sheets.needed(options, ("",), (LIST,), _FIX)
    rows = sheets.read_csv(file, separator=",", fix=_FIX)
    sheets.need(rows.columns, _COLUMNS, file, _FIX)
    unknown = rows.filter(pl.col("label6").is_in(list(EMOTIONS)).not_())
    if not unknown.is_empty():
        raise UserError(f"{file}: label6 {unknown['label6'][0]!r}; expected one of {', '.join(EMOTIONS)}: {_FIX}")
    numbers = rows.select(pl.col("start", "end", "label7").cast(pl.Float64, strict=False).is_null()).sum()
    if bad := [name for name, count in numbers.row(0, named=True).items() if count]:
        raise UserError(f"{file}: cells of the column {bad[0]!r} are no numbers: {_FIX}")
    start = pl.col("start").cast(pl.Float64).clip(0.0)  # some begin half a second before their video
    return rows.with_columns(clip_id=pl.format("{}_{}", "file", "index"), start=start)


def _partitions(options: CorpusOptions) -> pl.DataFrame:
    split = pl.col("split").replace_strict(PARTITIONS, default=None, return_dtype=pl.String)
    return listed(options).select("clip_id", partition=split).drop_nulls("partition")


SOURCES = {
    "emotion": Source(
        "label", lambda options: listed(options).select("clip_id", label=pl.col("label6").replace_strict(EMOTIONS))
    ),
    "sentiment": Source(
        "attribute", lambda options: listed(options).select("clip_id", value=pl.col("label7").cast(pl.Float64))
    ),
}

READER = Reader(
    entries=entries,
    sources=lambda options: SOURCES,
    annotations=lambda options: sheets.present(options, ("",), (LIST,)),
    tables=lambda options: sheets.present(options, ("",), (LIST,)),
    partitions=_partitions,
)
