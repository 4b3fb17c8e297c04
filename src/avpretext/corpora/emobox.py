"""EmoBox's lists of a corpus (Ma et al., Interspeech 2024; github.com/emo-box/EmoBox, folder `data/NAME`).

Files are `fold_1/NAME_train_fold_1.jsonl`, `..._test_...` and, for some corpora, `..._valid_...`, or the same in
`.json`. An entry has a key, the path of a file, `wav` (`audio` in some), and a label, `emo` (`label`), which the reader
`emobox` alone uses: elsewhere `targets` names what is learnt.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora.protocols import Division, clip_fold
from avpretext.corpora.reader import without_extension
from avpretext.errors import UserError
from avpretext.names import nfc

_NAME = re.compile(r"(.+)_(train|test|valid)_fold_(\d+)\.(jsonl|json)")
_PARTS = {"train": "train", "valid": "dev", "test": "test"}
_START_TOLERANCE_S = 0.01
ROOT = re.compile(r"^downloads/([^/]+/)?(?=.)")
"""Where EmoBox's files are, before the paths of the corpus itself."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry of a list: its key, such as `cremad-1040-TIE-NEU-XX`, and the file that it names, without extension.

    `start_s` and `end_s` are where in the file it lies, None for the whole file; `channel` counts from 1.
    """

    key: str
    file: str
    start_s: float | None = None
    channel: int = 1
    end_s: float | None = None
    label: str | None = None


def listed_folds(folder: Path, clips: pl.DataFrame, learnable: pl.DataFrame, dev_speakers: int, seed: int) -> Division:
    """Return the folds that the lists in `folder`, EmoBox's folder of the corpus, make.

    Where a fold has no valid list, `dev_speakers` are drawn from its train list. `clips` has `clip_id`, `path`,
    `start_s` of all clips of the corpus, so that refused clips do not count as unmatched; `learnable` has `clip_id`,
    `speaker`. It is an error if lists are missing or cannot be read, if most entries match no clip, or if some name
    several channels of one file.
    """
    matcher = Matcher(clips)
    able = set(learnable["clip_id"])
    lists = {
        number: {part: read_list(file) for part, file in files.items()} for number, files in list_files(folder).items()
    }
    entries = [entry for parts in lists.values() for part in parts.values() for entry in part]
    check_channels(entries)
    matched = {entry: matcher.clips_of_entry(entry) for entry in entries}
    several = _of_several(matched)
    folds = []
    for place, (number, listed) in enumerate(sorted(lists.items())):
        parts = {
            part: [clip_id for entry in found for clip_id in matched[entry] if clip_id in able - several]
            for part, found in listed.items()
        }
        folds.append(clip_fold(place, str(number), learnable, parts, dev_speakers, seed))
    return Division(folds, "EmoBox's lists", tuple(_warnings(folder, clips, entries, matched, several)))


def lists_of(options: CorpusOptions) -> Path | None:
    """Return the folder of EmoBox's lists: `protocol.lists`, or of the reader `emobox` its table; None without."""
    place = options.protocol.lists or (options.table if options.reader == "emobox" else None)
    return None if place is None else Path(place).parent if Path(place).is_file() else Path(place)


def check_channels(entries: Iterable[Listed]) -> None:
    """Raise when entries name several channels of one stretch of a file: here it is one clip, mixed of all channels."""
    channels: dict[tuple[str, float | None], int] = {}
    for entry in entries:
        if channels.setdefault((entry.file, entry.start_s), entry.channel) != entry.channel:
            raise UserError(
                f"protocol.lists: {entry.key!r} is another channel of {entry.file} than an entry before; write each"
                " channel to a file of its own, and its path into the lists"
            )


def _of_several(matched: Mapping[Listed, Sequence[str]]) -> set[str]:
    """Return the clips that entries of different files match: it is not known which of the files they are."""
    files: dict[str, set[str]] = defaultdict(set)
    for entry, clip_ids in matched.items():
        for clip_id in clip_ids:
            files[clip_id].add(entry.file)
    return {clip_id for clip_id, named in files.items() if len(named) > 1}


def _warnings(
    folder: Path,
    clips: pl.DataFrame,
    entries: Sequence[Listed],
    matched: Mapping[Listed, Sequence[str]],
    several: set[str],
) -> list[str]:
    """Return what is odd of how entries match; raise when most do not."""
    unmatched, seen = [entry.key for entry in entries if not matched[entry]], len(entries)
    if 2 * len(unmatched) > seen:
        raise UserError(
            f"{folder}: {len(unmatched)} of {seen} entries, such as {unmatched[0]!r}, match no clip of the corpus,"
            f" whose files are such as {clips['path'].min()!r}; are these the lists of this corpus?"
        )
    shared = [entry.key for entry in entries if several.intersection(matched[entry])]
    other = [f"{entry.key}, channel {entry.channel}" for entry in entries if entry.channel != 1]
    told = {
        "match no clip": unmatched,
        "match a clip that another listed file matches too, and are left out": shared,
        "name another channel than the first, while clips are mixed of all channels": other,
    }
    return [
        f"protocol emobox: {len(keys)} of {seen} entries of the lists {what}, such as {keys[0]!r}"
        for what, keys in told.items()
        if keys
    ]


def list_files(folder: Path) -> dict[int, dict[str, Path]]:
    """Return the lists in a folder and below: number of the fold, part, file.

    It is an error if there are none, or of several corpora, or if a fold lacks train or test.
    """
    folds: dict[int, dict[str, Path]] = defaultdict(dict)
    names = set()
    # Of a list in both formats, `.jsonl` comes last, and stays: it is the one that EmoBox reads.
    for file in sorted(folder.rglob("*_fold_*.json*")):
        if match := _NAME.fullmatch(file.name):
            names.add(match[1])
            folds[int(match[3])][_PARTS[match[2]]] = file
    if len(names) != 1:
        found = f"lists of {', '.join(sorted(names))}" if names else "no lists"
        raise UserError(
            f"protocol.lists: {folder}: {found} there; EmoBox's folder of one corpus is expected, such as data/cremad,"
            " with fold_1/cremad_train_fold_1.jsonl"
        )
    for number, parts in folds.items():
        if missing := sorted({"train", "test"} - set(parts)):
            raise UserError(
                f"protocol.lists: {folder}: fold {number} has no {' and no '.join(missing)} list; copy the whole folder"
            )
    return dict(folds)


def read_list(file: Path) -> list[Listed]:
    """Read one list, `.json` or `.jsonl`; anything else is an error."""
    try:
        text = file.read_text("utf-8")
        if file.suffix == ".json":
            return [_entry(key, row) for key, row in json.loads(text).items()]
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        return [_entry(row["key"], row) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file}: not a list of EmoBox ({type(error).__name__}: {error}); entries with key and wav are expected:"
            " copy the file again"
        ) from None


def _entry(key: str, row: Mapping[str, object]) -> Listed:
    start, end = (None if row.get(name) is None else float(str(row[name])) for name in ("start_time", "end_time"))
    file = without_extension(str(row["wav"] if "wav" in row else row["audio"]).replace("\\", "/"))
    label = row.get("emo", row.get("label"))
    return Listed(key, file, start, int(str(row.get("channel", 1))), end, None if label is None else str(label))


class Matcher:
    """Finds the clips of a corpus, `clip_id`, `path`, `start_s`, that entries of lists name."""

    def __init__(self, clips: pl.DataFrame) -> None:
        self.clips_of: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for clip_id, path, start_s in clips.select("clip_id", "path", "start_s").iter_rows():
            self.clips_of[nfc(without_extension(path))].append((clip_id, start_s or 0.0))
        self.files_with: dict[str, list[str]] = defaultdict(list)
        for file in self.clips_of:
            for tail in _tails(file):
                self.files_with[tail].append(file)
        self.clip_ids = set(clips["clip_id"])

    def clips_of_entry(self, entry: Listed) -> list[str]:
        """Return the clips of one entry: those of its file, or the one of its key or name.

        Folders count, as `train/dia0_utt0` and `dev/dia0_utt0` are two files. The corpus folder may be any folder of
        the listed path, or hold it; of files in several such folders none is taken.
        """
        listed = nfc(entry.file)
        files = [tail for tail in _tails(listed) if tail in self.clips_of]
        files = files[:1] or self.files_with.get(ROOT.sub("", listed), [])
        if len(files) == 1:
            return [
                clip_id
                for clip_id, start_s in self.clips_of[files[0]]
                if entry.start_s is None or abs(start_s - entry.start_s) <= _START_TOLERANCE_S
            ]
        key = nfc(entry.key)
        names = (key, key.partition("-")[2], listed.rpartition("/")[2])
        return next(([name] for name in names if name in self.clip_ids), []) if not files else []


def _tails(path: str) -> list[str]:
    """Return the ends of a path, the longest first.

    >>> _tails("MELD/dev/dia0")
    ['MELD/dev/dia0', 'dev/dia0', 'dia0']
    """
    names = path.split("/")
    return ["/".join(names[start:]) for start in range(len(names))]
