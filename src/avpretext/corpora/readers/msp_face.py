"""MSP-Face: people who talk to their camera, from video-sharing sites, a part of them rated for emotion.

The corpus is a list: https://github.com/3loi/MSP_Face has the links, the folders `Doc` and `Labels`, and a program that
fetches the videos and cuts the clips. Keep `Doc` and `Labels` in the corpus folder, beside the videos. Read are
`Doc/segments_data.txt` (start, end, name of the clip, between tabs), `Doc/speaker_id_segments.txt`,
`Labels/label_consensus.json` and, if you have it, `Labels/labels_detailed.json`.

A clip such as `MSP-FACE_0001_0002` is its own file, wherever it lies, if it has been cut; else the stretch of the video
`MSP-FACE_0001` that the list names. Videos vanish from their sites: a clip of which there is neither is refused as
missing. Stretches of a video may overlap, as a few of the published ones do.

The parts are `labelled`, the clips in the consensus, and `unlabelled`, the others of the list.

Sources: Vidal, Salman, Lin & Busso, ICMI 2020, https://doi.org/10.1145/3382507.3418872; the repository above, whose
lists the tests imitate. Not checked on the videos: none were at hand; nor on `labels_detailed.json`, which the
repository describes and does not hold.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora import sheets
from avpretext.corpora.reader import Entry, Reader, extension, parts_of, stem
from avpretext.corpora.readers import clip_table, msp
from avpretext.errors import UserError
from avpretext.media.extensions import VIDEO_EXTENSIONS

PARTS = ("labelled", "unlabelled")
DOCUMENTS = ("Doc", "doc", "MSP_Face/Doc", "")
SEGMENTS = ("segments_data.txt",)
SPEAKERS = ("speaker_id_segments.txt",)
_FIX = "copy Doc and Labels of https://github.com/3loi/MSP_Face into the corpus folder"
LABELS = msp.LabelFiles(
    folders=("Labels", "labels", "MSP_Face/Labels", ""),
    consensus=("label_consensus.json", "labels_consensus.json", "labels_concensus.json"),
    detailed=("labels_detailed.json", "label_detailed.json"),
    fix=_FIX,
    fix_votes="the target 'votes' is read from it: ask the lab, or choose others",
)


def entries(options: CorpusOptions, files: Sequence[str]) -> list[Entry]:
    """Return the clips of the chosen parts; see the module's description."""
    parts = parts_of(options, PARTS)
    places = _places(options, files)
    if not places:
        return []
    listed = _segments(options)
    labelled = set(LABELS.rows(options)["clip_id"])
    part = ["labelled" if name in labelled else "unlabelled" for name in listed["clip_id"]]
    chosen = listed.filter(pl.Series(part, dtype=pl.String).is_in(parts))
    clips = clip_table.clips_of(_placed(chosen, places), overlaps=True)
    return clip_table.entries(clips, list(places.values()))


def _places(options: CorpusOptions, files: Sequence[str]) -> dict[str, str]:
    """Return the file of each name; for audio a sound file goes before a video of the same name."""
    videos = [path for path in files if extension(path) in VIDEO_EXTENSIONS]
    others = [] if options.video else [path for path in files if extension(path) not in VIDEO_EXTENSIONS]
    return {stem(path): path for path in [*reversed(videos), *reversed(others)]}


def _segments(options: CorpusOptions) -> pl.DataFrame:
    """Return `clip_id`, `speaker`, `start_s`, `end_s` of every clip of the list."""
    listed = _list(options, SEGMENTS, "\t", ("start_s", "end_s", "FileName"))
    speakers = _list(options, SPEAKERS, ",", ("FileName", "SpkrID"))
    known = msp.with_clip_ids(speakers).select("clip_id", speaker=msp.speaker()).unique("clip_id", keep="first")
    return msp.with_clip_ids(listed).drop("FileName").join(known, on="clip_id", how="left", maintain_order="left")


def _list(options: CorpusOptions, names: Sequence[str], separator: str, columns: Sequence[str]) -> pl.DataFrame:
    """Read a list without header, every column as text."""
    file = sheets.needed(options, DOCUMENTS, names, _FIX)
    rows = sheets.read_csv(file, header=False, separator=separator, fix=_FIX)
    if len(rows.columns) != len(columns) or rows["column_1"].is_null().any():
        raise UserError(f"{file}: {len(rows.columns)} columns; expected {', '.join(columns)} in every row; {_FIX}")
    return rows.rename(dict(zip(rows.columns, columns, strict=True)))


def _placed(listed: pl.DataFrame, places: Mapping[str, str]) -> pl.DataFrame:
    """Return the rows with `path`: of the clip that is cut, else of its video, where start and end count."""
    names = listed["clip_id"].to_list()
    videos = [name.rpartition("_")[0] for name in names]
    paths = [
        places.get(name) or places.get(video) or f"{video}/{video}.mp4"
        for name, video in zip(names, videos, strict=True)
    ]
    uncut = pl.Series([name not in places for name in names], dtype=pl.Boolean)
    times = [pl.when(uncut).then(pl.col(name)).alias(name) for name in ("start_s", "end_s")]
    return listed.with_columns(*times, path=pl.Series(paths, dtype=pl.String))


def tables(options: CorpusOptions) -> list[str]:
    """Return the lists of clips and speakers and the file of the consensus, where they are."""
    lists = [file for names in (SEGMENTS, SPEAKERS) for file in sheets.present(options, DOCUMENTS, names)]
    return lists + LABELS.tables(options)


READER = Reader(
    entries=entries,
    parts=PARTS,
    sources=LABELS.sources,
    annotations=LABELS.annotations,
    tables=tables,
    partitions=LABELS.partitions,
    findings=LABELS.findings,
)
