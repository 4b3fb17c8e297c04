"""What a reader of results must know of speakers, labels and folds, as findings.

Tables of clips here have `corpus`, `clip_id`, `speaker` and `known` (whether the speaker is); tables of classes have
`corpus`, `clip_id`, `class`: a row for each class that a clip has, none where a number is learnt.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import polars as pl

from avpretext.corpora.findings import Finding, counted
from avpretext.corpora.protocols import PARTS
from avpretext.corpora.settings import NUMBERS
from avpretext.corpora.speaker_folders import CONFIGURED, SpeakerFolder
from avpretext.names import alike, quoted

ALIKE = "differ only in case, white space, zeros or Unicode form"
"""What `names.alike` finds."""

_SHOWN = 4

Lacking = dict[str, dict[str, list[str]]]
"""Number of a fold: part: the classes of the tested corpus that no clip of the part has; without what is whole."""


def caveats(clips: pl.DataFrame, labels: pl.DataFrame, folder: SpeakerFolder | None) -> list[Finding]:
    """Return what a reader of results must know of the clips of a setting and their labels, whatever its folds are.

    `folder` names the speakers; None where they are named otherwise.
    """
    known, found = clips.filter("known"), []
    if unknown := len(clips) - len(known):
        meaning = (
            f"speakers unknown: those of {unknown:,} of {len(clips):,} labelled clips; clips of one file are kept"
            " together, each file counts as a speaker of its own, and training and test may share speakers"
        )
        found.append(Finding("no_speaker", meaning, wrong=True))
    for corpus in known["corpus"].unique(maintain_order=True):
        if groups := alike(known.filter(pl.col("corpus") == corpus)["speaker"].unique()):
            meaning = f"names of speakers {ALIKE} and count as different people: {quoted(groups)}"
            found.append(Finding("alike_speakers", meaning, wrong=True))
    if groups := alike(labels["class"].unique()):
        meaning = f"labels {ALIKE} and are learnt as different classes: {quoted(groups)}"
        found.append(Finding("alike_labels", f"{meaning}; join them by corpora.NAME.label_map", wrong=True))
    return found + one_label(clips, labels, folder) + label_by_speaker(clips, labels)


def alike_names(what: str, names: Sequence[str | None]) -> list[Finding]:
    """Return that names of speakers, labels or partitions are nearly equal; each group of them is an example."""
    groups = [" and ".join(map(repr, group)) for group in alike(names)]
    return counted(f"alike_{what.partition(' ')[0]}", f"names of {what} {ALIKE}", groups, wrong=True)


def one_label(clips: pl.DataFrame, labels: pl.DataFrame, folder: SpeakerFolder | None = None) -> list[Finding]:
    """Return that every speaker has a single label; nothing where any has several, or too little is known.

    Folders of labels look so, and patients with their diagnoses. It is wrong where a folder was taken for a person, and
    where speakers and labels stand for each other, so that folds test what they never taught.
    """
    of_speaker = _labels_of_speakers(clips, labels)
    classes = of_speaker["class"].explode().n_unique()
    several = (of_speaker["class"].list.len() > 1).any()
    if len(of_speaker) < 2 or classes < 2 or several or of_speaker["clips"].max() == 1:
        return []
    _, speaker, (label,), _ = of_speaker.row(0)
    one_to_one = len(of_speaker) == classes
    others = " and each label one speaker" if one_to_one else ""
    meaning = (
        f"each of the {len(of_speaker)} speakers has one label only{others}, such as {speaker!r}: {label!r}; names of"
        " labels may have been taken for those of people; normalising by speaker would take the labels away"
    )
    guessed = folder is not None and folder.why != CONFIGURED
    return [Finding("one_label", meaning, wrong=guessed or one_to_one)]


def label_by_speaker(clips: pl.DataFrame, labels: pl.DataFrame) -> list[Finding]:
    """Return that most clips are of speakers with one label alone, though not all, in any corpus.

    Where each clip is compared with its speaker's own, as `normalise: speaker` does, the label goes with the speaker.
    Speakers with few clips, and a frequent label, look so by chance: it is told if more than half of the clips are of
    such speakers, and more than twice what labels dealt at random would give.
    """
    found = []
    for (corpus,), people in _labels_of_speakers(clips, labels).group_by("corpus", maintain_order=True):
        one = people.filter(pl.col("class").list.len() == 1, pl.col("clips") > 1)
        held, whole = int(one["clips"].sum()), int(people["clips"].sum())
        if len(one) < len(people) and held > max(whole / 2, 2 * _by_chance(people, labels.filter(corpus=corpus))):
            of = f"{len(people)} speakers of {corpus}" if corpus else f"the {len(people)} speakers"
            meaning = (
                f"{len(one)} of {of} have clips of one label alone: who speaks tells most labels, and"
                " normalising by speaker takes them away, so that scores may be below chance"
            )
            found.append(Finding("label_by_speaker", meaning, wrong=True))
    return found


def _by_chance(people: pl.DataFrame, labels: pl.DataFrame) -> float:
    """Return how many clips would be of speakers with several clips of one label, were labels dealt at random."""
    shares = labels["class"].value_counts(normalize=True)["proportion"].to_numpy()
    clips = people.filter(pl.col("clips") > 1)["clips"].to_numpy()
    return float((clips[:, None] * shares ** clips[:, None]).sum())


def _labels_of_speakers(clips: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Return `corpus`, `speaker`, `class`, a list of what the clips of a known speaker have, and `clips`, sorted."""
    of_clip = clips.filter("known").join(labels, on=["corpus", "clip_id"])
    several = pl.col("class").unique(), pl.col("clip_id").n_unique().alias("clips")
    return of_clip.group_by("corpus", "speaker").agg(several).sort("corpus", "speaker")


def coverage(rows: pl.DataFrame, labels: pl.DataFrame) -> tuple[Lacking, list[Finding]]:
    """Return which classes the parts of folds lack: what no clip teaches is not learnt, what none shows not tested.

    `rows` has `fold`, `name`, `part`, `corpus`, `clip_id`; parts other than train, dev and test count for nothing.
    """
    used = rows.filter(pl.col("part").is_in(PARTS)).select("fold", "name", "part", "corpus", "clip_id")
    tested = used.filter(pl.col("part") == "test")["corpus"].unique()
    every = set(labels.filter(pl.col("corpus").is_in(tested.implode()))["class"])
    found = used.join(labels, on=["corpus", "clip_id"]).group_by("fold", "part").agg(pl.col("class").unique())
    has = {(fold, part): set(classes) for fold, part, classes in found.iter_rows()}
    parts = set(used.select("fold", "part").unique().iter_rows())
    lacking: Lacking = defaultdict(dict)
    untaught, without_dev = {}, {}
    for fold, name in used.select("fold", "name").unique().sort("fold").iter_rows():
        of_part = {part: has.get((fold, part), set()) for part in PARTS if (fold, part) in parts}
        for part, classes in of_part.items():
            if lost := sorted(every - classes):
                lacking[str(fold)][part] = lost
        if lost := sorted(of_part.get("test", set()) - of_part.get("train", set())):
            untaught[name] = lost
        if "dev" in lacking.get(str(fold), {}):
            without_dev[name] = lacking[str(fold)]["dev"]
    shown = set[str]().union(*(classes for (_, part), classes in has.items() if part == "test"))
    return dict(lacking), _of_coverage(untaught, without_dev, sorted(every - shown), used["fold"].n_unique())


def _of_coverage(
    untaught: Mapping[str, list[str]], without_dev: Mapping[str, list[str]], untested: list[str], folds: int
) -> list[Finding]:
    found = []
    if untaught:
        what = "a class that none of their training clips has, so it cannot be recognised"
        meaning = f"{len(untaught)} of {folds} folds test {what}: {_of_folds(untaught)}"
        found.append(Finding("untaught_class", meaning, wrong=True))
    if untested:
        found.append(Finding("untested_class", f"no fold tests {', '.join(map(repr, untested))}"))
    if without_dev:
        what = f"{len(without_dev)} of {folds} folds choose the epoch on dev clips that lack a class"
        found.append(Finding("untested_class", f"{what}: {_of_folds(without_dev)}"))
    return found


def _of_folds(classes: Mapping[str, list[str]]) -> str:
    """Return the folds with their classes.

    >>> _of_folds({"1": ["sad"], "2": ["calm", "sad"]})
    "fold 1 'sad'; fold 2 'calm', 'sad'"
    """
    shown = [f"fold {name} {', '.join(map(repr, names))}" for name, names in list(classes.items())[:_SHOWN]]
    more = [f"{len(classes) - _SHOWN} more"] if len(classes) > _SHOWN else []
    return "; ".join([*shown, *more])


def labels_of(corpus: str, table: pl.DataFrame, classes: Sequence[str], kind: str) -> pl.DataFrame:
    """Return `corpus`, `clip_id`, `class` of each class that a clip has, from `targets`."""
    rows = table.filter(pl.col("values").is_not_null() & pl.lit(kind not in NUMBERS)).select("clip_id", "values")
    exploded = rows.with_columns(pl.lit([*classes]).alias("class")).explode("values", "class")
    return exploded.filter(pl.col("values") > 0).select(pl.lit(corpus).alias("corpus"), "clip_id", "class")
