"""Which folder of a clip's path names its speaker: people sort clips by person, emotion, session, split or language.

A level is all folders at the same depth. Levels with one folder alone tell nothing, and folders of splits, sessions or
labels are no people. Where one level is left, or one alone is named like people (`Actor_01`, `spk7`), it is the
speaker. Where several are left nothing is guessed: each path of folders is a name of its own, and a run that tests on
the corpus stops, since a person may be behind several names.
"""

import functools
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass

from avpretext import yaml_files
from avpretext.corpora.findings import FIXES, Finding
from avpretext.errors import UserError
from avpretext.names import key, nfc

CONFIGURED = "as configured"
WORDS = "folder_words.yaml"
_DIGITS = re.compile(r"^\d+[-_.]|[-_.]?\d+$")
_OF_SESSION = re.compile(r"(session|sess|ses)[-_]?\d+.*")


@dataclass(frozen=True)
class SpeakerFolder:
    """Which folder names the speaker, by its `level`: from 1, the outermost; negative from the innermost; 0: none does.

    `why` is how that is known, for people; empty where there is nothing to add. `problem` is why it is not known; then
    `level` counts for nothing. `labels` tells whether no folder is the speaker, since they are the labels.
    """

    level: int
    why: str = ""
    problem: str = ""
    labels: bool = False

    def speaker_of(self, path: str) -> str | None:
        """Return the speaker of a clip, None where its path tells none.

        >>> SpeakerFolder(1).speaker_of("anna/monday/1.wav"), SpeakerFolder(-1).speaker_of("1.wav")
        ('anna', None)
        """
        folders = _folders(path)
        if self.problem:
            return "/".join(folders) or None
        place = self.level - 1 if self.level > 0 else len(folders) + self.level
        return folders[place] if self.level and 0 <= place < len(folders) else None

    def findings(self, speakers: Sequence[str | None]) -> list[Finding]:
        """Return what must be known of it; `speakers` are those of the clips."""
        if self.problem:
            return [Finding("untold_speaker", f"{self.problem}; a run that tests on the corpus stops", wrong=True)]
        if self.labels:
            meaning = "the folders are named like labels, so that nothing tells who speaks"
            return [Finding("folders_are_labels", meaning, len(speakers), wrong=True)]
        if not self.level or self.why in ("", CONFIGURED):
            return []
        first = min((name for name in speakers if name is not None), default=None)
        return [Finding("speaker_folder", f"folder {self.level} is the speaker, such as {first!r}: {self.why}")]


def find(paths: Sequence[str], chosen: int | None, labels: Mapping[str, str]) -> SpeakerFolder:
    """Return which folder names the speaker: the one that is `chosen`, else the one that the folders' names tell.

    `labels` has the label of each path, as far as a table has one.

    >>> find(["angry/1.wav", "sad/2.wav"], None, {}).level
    0
    >>> find(["Actor_01/session1/1.wav", "Actor_02/session1/1.wav"], None, {}).level
    1
    >>> find(["anna/monday/1.wav", "ben/monday/1.wav", "ben/friday/1.wav"], None, {}).problem
    "it is not told which folder is the speaker: folder 1 is 'anna', ... (2 names), folder 2 'friday', ... (2 names)"
    """
    if chosen is not None:
        return SpeakerFolder(chosen, CONFIGURED)
    levels = _levels(paths)
    varied = {level: names for level, names in levels.items() if len(names) > 1}
    if not varied:
        return SpeakerFolder(max(levels, default=0))
    values = {key(value) for value in labels.values()}
    nobody = {level: what for level, names in varied.items() if (what := _not_people(names, values))}
    left = [level for level in varied if level not in nobody]
    if not left:
        words = " and ".join(dict.fromkeys(nobody.values()))
        return SpeakerFolder(0, f"the folders are {words}", labels="labels" in nobody.values())
    left = _narrowed(left, varied, paths, labels)
    if len(left) == 1:
        others = [f"folder {level}, such as {_first(varied[level])!r}, is of {what}" for level, what in nobody.items()]
        why = others or (["by the names of the folders"] if len(levels) > 1 else [])
        return SpeakerFolder(left[0], "; ".join([*why, *_in_several(left[0], paths)]))
    shown = ", ".join(
        f"folder {level}{' is' if level == left[0] else ''} {_first(varied[level])!r}, ... ({len(varied[level])} names)"
        for level in left
    )
    return SpeakerFolder(0, problem=f"it is not told which folder is the speaker: {shown}")


def check(found: SpeakerFolder | None, corpus: str) -> None:
    """Raise UserError where it is not told which folder is the speaker: it names the folders and the option."""
    if found is not None and found.problem:
        raise UserError(f"corpora.{corpus}: {found.problem}; {FIXES['untold_speaker'].replace('NAME', corpus)}")


def of_people(column: str) -> bool:
    """Tell whether a column is named like one that names people: `actor`, `speaker_id`.

    >>> of_people("Actor"), of_people("speaker_id"), of_people("emotion")
    (True, True, False)
    """
    words = set(re.split(r"[-_ ]", column.lower()))
    return bool(words & (_words("people") - {"id"})) and words <= {*_words("people"), "name", "code", "number"}


@functools.cache
def _words(kind: str) -> frozenset[str]:
    words: dict[str, list[str]] = yaml_files.of_package("avpretext.corpora", WORDS)
    return frozenset(words[kind])


def _folders(path: str) -> tuple[str, ...]:
    return _names_in(path.rpartition("/")[0])


@functools.lru_cache(maxsize=64)
def _names_in(place: str) -> tuple[str, ...]:
    """Return the names of the folders of a place; paths come in order, and those of one folder share its names."""
    return tuple(folder for folder in place.split("/") if folder not in ("", ".", ".."))


def _levels(paths: Sequence[str]) -> dict[int, set[str | None]]:
    """Return the names at each depth, from 1; None: a path is not so deep. Files in no folder count for nothing."""
    within = {_folders(nfc(path)) for path in paths} - {()}
    depth = max(map(len, within), default=0)
    return {
        level: {folders[level - 1] if level <= len(folders) else None for folders in within}
        for level in range(1, depth + 1)
    }


def _not_people(names: Collection[str | None], values: Set[str]) -> str:
    """Return what the folders of a level are if they are no people: labels, splits or sessions; else nothing."""
    found = {key(name) for name in names if name is not None}
    bare = {_DIGITS.sub("", name) for name in found}
    if found <= values or bare <= _words("labels"):
        return "labels"
    if bare <= _words("splits"):
        return "splits"
    of_session = all(_DIGITS.sub("", name) in _words("sessions") or _OF_SESSION.fullmatch(name) for name in found)
    return "sessions" if of_session else ""


def _narrowed(
    left: Sequence[int], names: Mapping[int, Collection[str | None]], paths: Sequence[str], labels: Mapping[str, str]
) -> list[int]:
    """Return the levels that may be the speaker: the one named like people, else all that nothing speaks against."""
    whole = {level: {key(name) for name in names[level] if name is not None} for level in left}
    people = [level for level in left if {_DIGITS.sub("", name) for name in whole[level]} <= _words("people")]
    if len(people) == 1:
        return people
    fine = [level for level in left if not whole[level] <= _words("coarse")] or list(left)
    apart = [level for level in fine if not _is_label(level, paths, labels)]
    return apart if len(apart) == 1 else fine


def _is_label(level: int, paths: Sequence[str], label_of: Mapping[str, str]) -> bool:
    """Tell whether a level's folders and the labels stand for each other one by one."""
    pairs = {(folders[level - 1], label_of[path]) for path in paths
             if path in label_of and len(folders := _folders(path)) >= level}  # fmt: skip
    return 1 < len(pairs) == len({name for name, _ in pairs}) == len({label for _, label in pairs})


def _in_several(level: int, paths: Sequence[str]) -> list[str]:
    """Return, as words, that names lie in several folders, and are of one person each all the same."""
    above = {_folders(nfc(path))[:level] for path in paths}
    counts = Counter(folders[-1] for folders in above if len(folders) == level)
    several = sorted(name for name, count in counts.items() if count > 1)
    if not several:
        return []
    return [f"{len(several)} of its names, such as {several[0]!r}, lie in several folders: each counts as one person"]


def _first(names: Collection[str | None]) -> str:
    return min(name for name in names if name is not None)
