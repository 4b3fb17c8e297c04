"""Any of the 32 corpora of EmoBox: its lists name the files and their labels (Ma et al., Interspeech 2024).

`corpora.NAME.table` is EmoBox's folder of the corpus, such as `EmoBox/data/savee`, or its list `savee.jsonl`;
`corpora.NAME.path` is the folder of the audio. Files are found by the end of the listed path, `downloads/savee/...`, as
far as that tells them apart; a clip is an entry, and its name is the entry's key without that of the corpus. The label
is what `label_map.json` beside the list makes of the entry's, as EmoBox learns it.

The lists do not say who speaks, and their folders are people in some corpora, emotions in others: `speaker_folder` says
which folder is the speaker. `protocol.name: emobox` takes EmoBox's folds.

Source: github.com/emo-box/EmoBox at 08280f2, folder data. The lists of all its 28 corpora that have one for the whole
corpus are read; ESD, M3ED, MEAD and MSP-Podcast have lists of folds alone. No audio was at hand but that of CREMA-D,
RAVDESS and URDU.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora import emobox, sheets, speaker_folders
from avpretext.corpora.emobox import Listed, Matcher
from avpretext.corpora.reader import Entry, Reader, Source, by_kind
from avpretext.corpora.readers import clip_table
from avpretext.corpora.speaker_folders import SpeakerFolder
from avpretext.errors import UserError

LABEL_MAPS = ("label_map.json", "label_dict.json")
UNTOLD = SpeakerFolder(0, "EmoBox's lists do not say who speaks")


def entries(options: CorpusOptions, files: Sequence[str]) -> list[Entry]:
    """Return the listed clips; one without its file, or with several that fit, is refused."""
    chosen = by_kind(files, options.video)
    if not chosen:
        return []
    matcher = Matcher(pl.DataFrame({"clip_id": chosen, "path": chosen}).with_columns(start_s=pl.lit(None, pl.Float64)))
    listed = listed_in(options)
    emobox.check_channels(listed)
    paths = [(matcher.clips_of_entry(replace(entry, start_s=None)) or [_without_root(entry)])[0] for entry in listed]
    folder = _folder(options, paths)
    rows = pl.DataFrame({
        "clip_id": [_name(entry) for entry in listed],
        "path": paths,
        "speaker": pl.Series([folder.speaker_of(path) for path in paths], dtype=pl.String),
        "start_s": pl.Series([entry.start_s for entry in listed], dtype=pl.Float64),
        "end_s": pl.Series([entry.end_s for entry in listed], dtype=pl.Float64),
    })  # fmt: skip
    return clip_table.entries(clip_table.clips_of(rows, overlaps=True), files, options.video)


def _without_root(entry: Listed) -> str:
    return f"{emobox.ROOT.sub('', entry.file)}.wav"


def _name(entry: Listed) -> str:
    return entry.key.partition("-")[2] or entry.key


def listed_in(options: CorpusOptions) -> list[Listed]:
    """Return all entries of the corpus, each once."""
    found: dict[str, Listed] = {}
    for file in tables(options):
        if Path(file).name not in LABEL_MAPS:
            found |= {entry.key: entry for entry in emobox.read_list(Path(file))}
    return list(found.values())


def _folder(options: CorpusOptions, paths: Sequence[str]) -> SpeakerFolder:
    return UNTOLD if options.speaker_folder is None else speaker_folders.find(paths, options.speaker_folder, {})


def tables(options: CorpusOptions) -> list[str]:
    """Return the lists of the corpus, and the file of its labels; it is an error if there are none."""
    place = Path(options.table or "")
    if options.table is None or not place.exists():
        raise UserError(
            f"corpora.NAME.table: {options.table}: EmoBox's folder of a corpus is expected, such as EmoBox/data/savee,"
            " or its list savee.jsonl (in `avpretext corpus`: --table)"
        )
    folder = place.parent if place.is_file() else place
    whole = place if place.is_file() else folder / f"{folder.name}.jsonl"
    of_folds = emobox.list_files(folder).values() if not whole.is_file() else []
    lists = [file for fold in of_folds for file in fold.values()] or [whole]
    return [*map(str, lists), *(str(folder / name) for name in LABEL_MAPS if (folder / name).is_file())]


def _labels(options: CorpusOptions) -> pl.DataFrame:
    names: Mapping[str, str] = {}
    for file in tables(options):
        if Path(file).name in LABEL_MAPS:
            names = sheets.read_json(Path(file))
    rows = [(_name(entry), names.get(entry.label or "", entry.label)) for entry in listed_in(options)]
    return pl.DataFrame(rows, {"clip_id": pl.String, "label": pl.String}, orient="row")


READER = Reader(
    entries=entries,
    sources=lambda options: {"emotion": Source("label", _labels)},
    annotations=tables,
    tables=tables,
    speaker_folder=_folder,
)
