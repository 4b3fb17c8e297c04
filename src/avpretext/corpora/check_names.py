"""What a check finds wrong with the names of a corpus: those of its speakers, labels, partitions and folders."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora import caveats, speaker_folders
from avpretext.corpora.coverage import Coverage, coverage, labels_of
from avpretext.corpora.folds import Corpus, divide
from avpretext.corpora.protocols import assign
from avpretext.corpora.reader import Note, Reader
from avpretext.corpora.speaker_folders import CONFIGURED, SpeakerFolder
from avpretext.corpora.targets import Targets, known_rows
from avpretext.errors import UserError
from avpretext.names import alike

SEED = 1
"""Who is dealt to which fold differs by seed: a check shows one."""

FIXES = {
    "words_for_nothing": "leave such cells empty in the table",
    "decimal_comma": "nothing, if they are read right; else write numbers with a point",
    "speaker_folder": "nothing, if that is right; else set corpora.NAME.speaker_folder (here: --speaker-folder), or"
    " name the speakers in a table",
    "speaker_column": "rename the column `speaker`, or give it another name if it is of something else",
    "untold_speaker": speaker_folders.FIX,
    "folders_are_labels": "name the speakers in a column `speaker` of the table; clips of unknown speakers leak between"
    " training and test",
    "alike_speakers": "give one person one name, in the table or the folders; a run stops where a fold parts them",
    "alike_labels": "join them by corpora.NAME.label_map, or correct the table",
    "alike_partitions": "correct the column `fold` of the table",
    "one_label": "name the speakers in a column `speaker` of the table, or set corpora.NAME.speaker_folder (here:"
    " --speaker-folder); nothing, if each person has one label indeed, as with diagnoses",
    "untaught_class": "choose another protocol or more speakers, or join classes by corpora.NAME.label_map",
    "untested_class": "choose another protocol, or join classes by corpora.NAME.label_map",
}
"""What to do about each note."""


def notes_of(
    options: CorpusOptions,
    reader: Reader,
    paths: Sequence[str],
    clips: pl.DataFrame,
    found: Mapping[str, Targets],
    chosen: Sequence[str],
) -> list[Note]:
    """Return what must be known of the names of a corpus.

    Parameters
    ----------
    options, reader
        The corpus.
    paths
        Of all its clips, also of those that are refused.
    clips
        `clip_id`, `speaker`, `path` of the clips.
    found
        Its label targets by name, for the same clips.
    chosen
        Those that will be learnt.
    """
    folder = reader.speaker_folder(options, paths)
    speaker = pl.coalesce("speaker", "path")
    known = clips.with_columns(
        corpus=pl.lit(""), known=pl.col("speaker").is_not_null(), speaker=speaker, content=pl.lit(None, pl.String)
    )
    learnt = next((found[name] for name in chosen if name in found), None)
    classes = _classes(clips, learnt)
    return [
        *reader.notes(options),
        *_of_folder(folder, clips),
        *_alike("speakers", clips["speaker"].unique().to_list()),
        *(note for name, entry in found.items() for note in _alike_labels(name, entry, name in chosen)),
        *_of_partitions(options, reader),
        *_one_label(known, classes, folder),
        *_of_folds(options, reader, known, classes),
    ]


def _classes(clips: pl.DataFrame, learnt: Targets | None) -> pl.DataFrame:
    """Return `corpus`, `clip_id`, `class` of each class that a clip has; none of a number."""
    if learnt is None:
        return pl.DataFrame(schema={"corpus": pl.String, "clip_id": pl.String, "class": pl.String})
    values = [row if has else None for row, has in zip(learnt.values.tolist(), known_rows(learnt.values), strict=True)]
    table = clips.select("clip_id", values=pl.Series(values, dtype=pl.List(pl.Float64)))
    return labels_of("", table, learnt.classes, learnt.kind)


def _of_folder(folder: SpeakerFolder | None, clips: pl.DataFrame) -> list[Note]:
    if folder is None:
        return []
    if folder.problem:
        return [Note("untold_speaker", f"{folder.problem}; a run that tests on the corpus stops", 0, (), True)]
    if folder.labels:
        meaning = "the folders are named like labels, so that nothing tells who speaks"
        return [Note("folders_are_labels", meaning, len(clips), (), True)]
    if not folder.level or folder.why in ("", CONFIGURED):
        return []
    speaker = clips["speaker"].drop_nulls().min()
    meaning = f"folder {folder.level} is the speaker, such as {speaker!r}: {folder.why}"
    return [Note("speaker_folder", meaning, 0, (), False)]


def _alike(what: str, names: Sequence[str | None]) -> list[Note]:
    """Return that names are nearly equal; each group an example."""
    groups = alike(names)
    examples = tuple(" and ".join(map(repr, group)) for group in groups[:3])
    meaning = f"names of {what} {caveats.ALIKE}"
    return [Note(f"alike_{what.partition(' ')[0]}", meaning, len(groups), examples, True)] if groups else []


def _alike_labels(name: str, found: Targets, chosen: bool) -> list[Note]:
    """Return that labels are nearly equal; of a column that will not be learnt that is worth knowing, not wrong."""
    return [replace(note, wrong=chosen) for note in _alike(f"labels of {name!r}", found.classes)]


def _of_partitions(options: CorpusOptions, reader: Reader) -> list[Note]:
    if reader.partitions is None:
        return []
    try:
        known = reader.partitions(options)
    except UserError:
        return []
    return _alike("partitions", known["partition"].unique().to_list())


def _one_label(clips: pl.DataFrame, classes: pl.DataFrame, folder: SpeakerFolder | None) -> list[Note]:
    found = caveats.one_label(clips, classes)
    if found is None:
        return []
    guessed = folder is not None and folder.why != CONFIGURED
    return [Note("one_label", str(found), 0, (), guessed or found.one_to_one)]


def _of_folds(options: CorpusOptions, reader: Reader, clips: pl.DataFrame, classes: pl.DataFrame) -> list[Note]:
    """Return which classes the folds of the protocol lack, and those of the corpus's own partitions."""
    learnable = clips.join(classes, on="clip_id", how="semi")
    chosen = options.protocol.name
    names = dict.fromkeys([chosen, *(["partitions"] if reader.partitions is not None else [])])
    found = [] if learnable.is_empty() else [_of_protocol(options, name, learnable, classes) for name in names]
    return [note for notes in found for note in notes]


def _of_protocol(options: CorpusOptions, name: str, clips: pl.DataFrame, classes: pl.DataFrame) -> list[Note]:
    protocol = options.protocol.model_copy(update={"name": name})
    corpus = Corpus(
        options.model_copy(update={"protocol": protocol}),
        clips.select("clip_id", "path", recording=pl.lit(None, pl.String), start_s=pl.lit(None, pl.Float64)),
        clips,
        SEED,
    )
    try:
        division = divide(corpus, "")
    except UserError:
        # Too few speakers, or other corpora are needed: the run says so, and a check has not been told its protocol.
        return []
    rows = pl.concat([assign(fold, clips) for fold in division.folds])
    return _of_coverage(f"protocol {name}", coverage(rows, classes))


def _of_coverage(protocol: str, found: Coverage) -> list[Note]:
    notes = [Note("untaught_class", f"{protocol}: {said}", 0, (), True) for said in found.warnings]
    return notes + [Note("untested_class", f"{protocol}: {said}", 0, (), False) for said in found.notes]
