"""MSP-Podcast: speaking turns from podcasts, rated by listeners for emotion and for arousal, valence and dominance.

The folder of a release holds `Audios` with the files, such as `MSP-PODCAST_0001_0008.wav`, and `Labels` with
`labels_consensus.csv` (FileName, EmoClass, EmoAct, EmoVal, EmoDom, SpkrID, Gender, Split_Set) and
`labels_detailed.csv`, one row per rater. Older releases spell it `labels_concensus.csv`, have JSON, and name the folder
`label` or `labels`: these are read too. What lies in `Previous_releases_information` is left out.

The parts are `labelled`, the clips that the consensus lists, and `unlabelled`, all other files: audio
that the lab shares without labels, and the test set 3, whose labels it keeps.

Sources: Busso et al., The MSP-Podcast Corpus, 2025, https://arxiv.org/abs/2509.09791; Lotfian & Busso, IEEE
Transactions on Affective Computing 2019; the readme of release 1.12; public code that reads releases 1.6 to 2.0. Not
checked on the corpus itself: no copy was at hand. No description of how the lab hands out unlabelled audio was found.
"""

from collections.abc import Sequence

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora.reader import Clip, Entry, Reader, by_kind, parts_of, stem, within
from avpretext.corpora.readers import clip_table, msp

PARTS = ("labelled", "unlabelled")
AUDIO = "Audios"
EARLIER = "Previous_releases_information"
_FIX = "copy the folder Labels of the release into the corpus folder"
EMO_SUPERB = ("Test1", "Test2")
"""Partitions that test together in EMO-SUPERB; Train and Development are the release's own (Wu et al., SLT 2024,
supplement, A.5)."""

LABELS = msp.LabelFiles(
    folders=("Labels", "labels", "label", "Labels/Labels", ""),
    consensus=("labels_consensus.csv", "labels_concensus.csv", "labels_consensus.json", "labels_concensus.json"),
    detailed=("labels_detailed.csv", "labels_detailed.json"),
    fix=_FIX,
    fix_votes=f"the target 'votes' is read from it: {_FIX}, or choose other targets",
)


def entries(options: CorpusOptions, files: Sequence[str]) -> list[Entry]:
    """Return the clips of the chosen parts; a row of the consensus without its file is refused."""
    parts = parts_of(options, PARTS)
    earlier = set(within(files, EARLIER))
    chosen = [path for path in by_kind(files, options.video) if path not in earlier]
    if not chosen:
        return []
    rows = LABELS.rows(options)
    # Should a name be there twice, the one in Audios counts.
    places = {stem(path): path for path in [*reversed(chosen), *reversed(within(chosen, AUDIO))]}
    labelled = _labelled(rows, places) if "labelled" in parts else []
    if "unlabelled" not in parts:
        return labelled
    listed = set(rows["clip_id"])
    return labelled + [Entry(path, Clip(stem(path))) for path in chosen if stem(path) not in listed]


def _labelled(rows: pl.DataFrame, places: dict[str, str]) -> list[Entry]:
    paths = [places.get(name, f"{AUDIO}/{file}") for name, file in rows.select("clip_id", "FileName").iter_rows()]
    clips = rows.select("clip_id", speaker=msp.speaker(), path=pl.Series(paths, dtype=pl.String))
    return clip_table.entries(clip_table.clips_of(clips), list(places.values()))


READER = Reader(
    entries=entries,
    parts=PARTS,
    sources=LABELS.sources,
    annotations=LABELS.annotations,
    tables=LABELS.tables,
    people=LABELS.people,
    people_files=LABELS.tables,
    partitions=LABELS.partitions,
    partition_protocols={"emo_superb": EMO_SUPERB},
    findings=LABELS.findings,
)
