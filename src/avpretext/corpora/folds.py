"""Stage `folds`: which clips train, choose the epoch and test in each fold of a setting, checked for leaks."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from avpretext import shards
from avpretext.config import CorpusOptions, ProtocolOptions
from avpretext.corpora import protocols, speaker_folders
from avpretext.corpora.caveats import caveats, coverage, labels_of
from avpretext.corpora.emobox import listed_folds
from avpretext.corpora.leaks import (
    DROPPED,
    check_parts,
    equal_names,
    of_several,
    speaker_leaks,
    without_duplicates,
)
from avpretext.corpora.partitions import partition_folds
from avpretext.corpora.protocols import PARTS, Division
from avpretext.corpora.readers import reader_of
from avpretext.corpora.recordings import with_recordings
from avpretext.corpora.settings import PUBLISHED, check_protocol
from avpretext.corpora.who import who_speaks
from avpretext.errors import UserError
from avpretext.flow import schemas


@dataclass(frozen=True)
class Corpus:
    """What a protocol sees of the tested corpus.

    Attributes
    ----------
    options
        Of the corpus.
    clips
        All its clips, as in `index` or `segment`: `clip_id`, `path`, `recording`, `start_s`.
    learnable
        Those with label and audio; see `read_learnable`.
    seed
        What is drawn is drawn by.
    """

    options: CorpusOptions
    clips: pl.DataFrame
    learnable: pl.DataFrame
    seed: int

    @property
    def protocol(self) -> ProtocolOptions:
        """Return the options of its protocol."""
        return self.options.protocol

    @property
    def speakers(self) -> list[str]:
        """Return the speaker of each clip whose speaker is known."""
        return self.learnable.filter("known")["speaker"].to_list()

    @property
    def unknown(self) -> list[str]:
        """Return what stands for the speaker of each other clip: its file."""
        return self.learnable.filter(~pl.col("known"))["speaker"].to_list()


def run(
    corpus: str,
    options: CorpusOptions,
    setting: str,
    clips: Mapping[str, Sequence[Path]],
    targets: Mapping[str, Path],
    audio: Mapping[str, Sequence[Path]],
    seed: int,
    output: Path,
) -> None:
    """Write the folds of a setting, `schemas.FOLDS`, sorted by fold, part, corpus and clip_id.

    Only clips with values in `targets` and a row in `audio` are in a fold. For the speaker of a clip stands, where he
    is not known, the path of its file, so that clips of a recording stay together.

    Parameters
    ----------
    corpus
        Name of the tested corpus.
    options
        Its options; read: path, reader, parts, table, segment, protocol.
    setting
        Name of label target and protocol, such as `voice.chou`.
    clips, targets, audio
        By name of corpus: shards of `index` or `segment`, the table of the label target, shards of `split`'s audio; of
        the tested corpus and, for cross_corpus, of those that it is trained on.
    seed
        What speakers are drawn by.
    output
        The table. Its provenance has `setting`, `protocol`, `folds` (their number), `speaker_leaks` (whether a speaker
        is in several parts of a fold), `duplicates` (the number of clips dropped), `sentence`, for people, `warnings`,
        what makes figures wrong, `notes`, what else must be known, such as folds that are left out, and `lacking`, see
        `caveats.Lacking`.

    Raises
    ------
    UserError
        The protocol does not fit the corpus; it is not told which folder is the speaker; a speaker, or a recording, is
        in several parts of a fold; a part is empty.
    """
    check_protocol(options)
    protocol = options.protocol
    needed = [corpus, *protocol.train] if protocol.name == "cross_corpus" else [corpus]
    check_corpora(corpus, protocol, needed, targets)
    index = shards.read(clips[corpus], ["clip_id", "path", "recording", "start_s"]).sort("clip_id")
    folder = reader_of(options).speaker_folder(options, index["path"].to_list())
    speaker_folders.check(folder, corpus)
    learnable = pl.concat([read_learnable(name, targets[name], audio[name], clips[name]) for name in needed])
    if protocol.reencoded:
        learnable = with_recordings(learnable)
    labels = pl.concat([read_labels(name, targets[name]) for name in needed])
    told = caveats(learnable, labels.join(learnable, on=["corpus", "clip_id"], how="semi"), folder)
    names = []
    if protocol.name == "cross_corpus":  # corpora may use the same names for different speakers
        readers = {name: shards.read_provenance(targets[name]).get("options", {}).get("reader") for name in needed}
        names = equal_names(learnable, corpus, readers)
        learnable = of_several(learnable, readers)
    division = divide(Corpus(options, index, learnable, seed), corpus)
    rows = pl.concat([protocols.assign(fold, learnable) for fold in division.folds])
    leaks = speaker_leaks(rows.with_columns(speaker="person"), protocol.allow_speaker_leaks)
    rows, copies = without_duplicates(rows, protocol.duplicates)
    check_parts(rows, division.needs_dev)
    lacking, covered = coverage(rows, labels)
    warnings = [*(found.meaning for found in [*covered, *told] if found.wrong), *names]
    notes = [*division.warnings, *(found.meaning for found in [*covered, *told] if not found.wrong)]
    notes += _of_tables(options, targets[corpus])
    for warning in (*warnings, *notes, *leaks, *copies):
        print(f"folds: warning: {setting}: {warning}", file=sys.stderr)
    table = ordered(rows, protocol.name == "cross_corpus")
    made_by = made_by_of(table, options, division, seed, setting=setting, speaker_leaks=bool(leaks))
    made_by |= {"warnings": warnings, "notes": notes, "lacking": lacking}
    shards.write_table(output, table, schemas.FOLDS, made_by)


def plain(protocol: ProtocolOptions) -> dict[str, Any]:
    """Return the options of a protocol as plain values, without the place of lists on this machine."""
    return {**protocol.model_dump(mode="json"), "lists": Path(protocol.lists).name if protocol.lists else None}


def check_corpora(corpus: str, protocol: ProtocolOptions, needed: Sequence[str], targets: Mapping[str, Path]) -> None:
    """Raise when what the corpora are to be learnt as does not go together.

    Raises
    ------
    UserError
        cross_corpus without other corpora; label targets of different kinds; a class that no training corpus has.
    """
    if protocol.name != "cross_corpus":
        return
    if not protocol.train or corpus in protocol.train:
        raise UserError(
            f"corpora.{corpus}.protocol.train: {protocol.train}; the names of other corpora to train on are expected"
        )
    for name in needed:
        if name not in targets:
            raise UserError(f"corpora.{corpus}.protocol.train: {name!r} has no targets; use it for finetune too")
    of = {name: shards.read_provenance(targets[name]) for name in needed}
    for name in protocol.train:
        if of[name]["kind"] != of[corpus]["kind"]:
            raise UserError(
                f"protocol cross_corpus: the labels of {corpus} are {of[corpus]['kind']} ({of[corpus]['target']}),"
                f" those of {name} {of[name]['kind']} ({of[name]['target']}); choose targets of one kind for all"
            )
    learnt = {label for name in protocol.train for label in of[name]["classes"]}
    if missing := sorted(set(of[corpus]["classes"]) - learnt):
        raise UserError(
            f"protocol cross_corpus: {corpus} tests {', '.join(missing)}, and {', '.join(protocol.train)} teach"
            f" {', '.join(sorted(learnt))}; give all of them classes of the same names by corpora.NAME.label_map"
        )


def read_learnable(corpus: str, targets: Path, audio: Sequence[Path], clips: Sequence[Path]) -> pl.DataFrame:
    """Return the clips with values and audio, sorted by clip_id.

    Its columns are `corpus`, `clip_id`, `speaker`, `known` (see `who_speaks`), `person` (the speaker), `content`,
    `fingerprint`.

    Raises
    ------
    UserError
        There are none.
    """
    table = shards.read(targets, ["clip_id", "values"]).filter(pl.col("values").is_not_null())
    heard = shards.read(audio, ["clip_id", "content", "fingerprint"])
    found = table.join(heard, on="clip_id", how="inner").join(who_speaks(clips), on="clip_id").sort("clip_id")
    if found.is_empty():
        raise UserError(
            f"corpora.{corpus}: none of its {len(table)} labelled clips is among the {len(heard)} clips with audio; see"
            " the rejects of the corpus for why clips were refused"
        )
    person = pl.col("speaker").alias("person")
    return found.select(pl.lit(corpus).alias("corpus"), "clip_id", "speaker", "known", person, "content", "fingerprint")


def _of_tables(options: CorpusOptions, targets: Path) -> list[str]:
    """Return what must be known of the tables that labels and speakers are from, as sentences."""
    seen = [found.sentence for found in reader_of(options).findings(options)]
    return [*seen, *shards.read_provenance(targets).get("notes", [])]


def read_labels(corpus: str, targets: Path) -> pl.DataFrame:
    """Return `corpus`, `clip_id`, `class` of each class that a clip has."""
    made_by = shards.read_provenance(targets)
    return labels_of(corpus, shards.read(targets, ["clip_id", "values"]), made_by["classes"], made_by["kind"])


def divide(corpus: Corpus, name: str) -> Division:
    """Return the folds that the corpus's protocol makes.

    Parameters
    ----------
    corpus
        What it sees.
    name
        Of the tested corpus.
    """
    chosen = corpus.protocol.name
    if chosen == "cross_corpus":
        return _across(corpus, name)
    if chosen == "emobox" and corpus.protocol.lists:
        known = corpus.learnable.with_columns(pl.when("known").then("speaker").alias("speaker"))
        return listed_folds(Path(corpus.protocol.lists), corpus.clips, known, corpus.protocol.dev_speakers, corpus.seed)
    if chosen in PUBLISHED:
        return _unknown_train(corpus, _published(corpus))
    return _MAKERS[chosen](corpus)


def _published(corpus: Corpus) -> Division:
    """Return the folds of a published protocol."""
    name = corpus.protocol.name
    folds = reader_of(corpus.options).protocols[name]
    return protocols.published_folds(corpus.speakers, folds, corpus.protocol.dev_speakers, corpus.seed, name)


def _unknown_train(corpus: Corpus, division: Division) -> Division:
    """Return the division in which clips of unknown speaker train, in every fold."""
    folds = [protocols.with_unknown(fold, corpus.unknown) for fold in division.folds]
    return Division(folds, division.way, division.warnings, division.needs_dev)


def _dealt(corpus: Corpus) -> Division:
    folds = protocols.speaker_kfold(corpus.learnable["speaker"].to_list(), corpus.protocol.folds, corpus.seed)
    return Division(folds, "speakers are dealt, each tests once and the next group is dev")


def _one_out(corpus: Corpus) -> Division:
    folds = protocols.leave_one_speaker_out(corpus.speakers, corpus.protocol.dev_speakers, corpus.seed)
    if not folds:
        raise UserError("protocol leave_one_speaker_out: no speaker is known; choose another protocol")
    return _unknown_train(corpus, Division(folds, "each speaker tests once, alone, dev speakers drawn"))


def _listed_speakers(corpus: Corpus) -> Division:
    options = corpus.protocol
    folds = protocols.folds_by_test_speakers(corpus.speakers, options.test_speakers, options.dev_speakers, corpus.seed)
    return _unknown_train(corpus, Division(folds, "test speakers as configured, dev speakers drawn"))


def _partitioned(corpus: Corpus) -> Division:
    """Return the folds of the corpus's own partitions; segments are where their recording is."""
    reader = reader_of(corpus.options)
    assert reader.partitions is not None  # check_protocol has seen to it
    table = reader.partitions(corpus.options).select("clip_id", "partition").unique("clip_id", maintain_order=True)
    key = pl.coalesce("recording", "clip_id") if corpus.options.segment else pl.col("clip_id")
    keys = corpus.clips.select("clip_id", key.alias("key"))
    placed = keys.join(table, left_on="key", right_on="clip_id", how="left").select("clip_id", "partition")
    known = corpus.learnable.with_columns(pl.when("known").then("speaker").alias("speaker"))
    clips = known.join(placed, on="clip_id", how="left", maintain_order="left")
    options = corpus.protocol
    return partition_folds(clips, options.test_partitions, options.dev_speakers, corpus.seed)


def _across(corpus: Corpus, tested: str) -> Division:
    """Return the fold that tests all clips of one corpus and trains on the others."""
    others = pl.col("corpus") != tested
    train, known = corpus.learnable.filter(others), corpus.learnable.filter(others & pl.col("known"))
    test = corpus.learnable.filter(~others)["speaker"]
    fold = protocols.cross_corpus_fold(known["speaker"], test, corpus.protocol.dev_speakers, corpus.seed)
    fold = protocols.with_unknown(fold, train.filter(~pl.col("known"))["speaker"])
    return Division([fold], f"trained on {', '.join(corpus.protocol.train)}, dev speakers drawn, tests all of {tested}")


_MAKERS: Mapping[str, Callable[[Corpus], Division]] = {
    "speaker_kfold": _dealt,
    "leave_one_speaker_out": _one_out,
    "speakers": _listed_speakers,
    "partitions": _partitioned,
}


def sentence(rows: pl.DataFrame, protocol: str, division: Division, leaks: bool, dropped: int) -> str:
    """Return what the folds are, in one sentence for people.

    Parameters
    ----------
    rows
        As in `schemas.FOLDS`.
    protocol
        Its name.
    division
        Where the folds come from.
    leaks
        Whether speakers are in several parts.
    dropped
        Number of clips left out as copies.
    """
    folds = len(division.folds)
    counts = rows.group_by("fold", "part").agg(pl.struct("corpus", "speaker").n_unique().alias("speakers"))
    of_part = {part: counts.filter(pl.col("part") == part)["speakers"].to_list() for part in PARTS}
    sizes = ", ".join(f"{_span(numbers, folds)} {part}" for part, numbers in of_part.items())
    text = f"protocol {protocol}: {folds} {'fold' if folds == 1 else 'folds'}, {division.way}; speakers: {sizes}"
    if leaks:
        text += "; speakers are in several parts of a fold, so figures are not of new speakers"
    return text + (f"; left out as copies of test or dev audio: {dropped}" if dropped else "")


def _span(numbers: Sequence[int], folds: int) -> str:
    """Return the range of a part's sizes over folds, of which some may lack the part.

    >>> _span([3, 4], 2), _span([], 2), _span([3], 2)
    ('3 to 4', '0', '0 to 3')
    """
    sizes = [*numbers, *([0] * (folds - len(numbers)))]
    return str(max(sizes)) if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"


def ordered(rows: pl.DataFrame, prefixed: bool) -> pl.DataFrame:
    """Return the rows as `schemas.FOLDS` has them, sorted.

    Parameters
    ----------
    prefixed
        Whether the names of speakers start with that of their corpus, and a slash.
    """
    if prefixed:
        rows = rows.with_columns(pl.col("speaker").str.strip_prefix(pl.format("{}/", "corpus")))
    place = pl.col("part").replace_strict({part: n for n, part in enumerate((*PARTS, DROPPED))})
    return rows.select(schemas.FOLDS.names).sort("fold", place, "corpus", "clip_id")


def made_by_of(
    table: pl.DataFrame, options: CorpusOptions, division: Division, seed: int, *, setting: str, speaker_leaks: bool
) -> dict[str, Any]:
    """Return the provenance of a table of folds; see `run` for its keys."""
    name = options.protocol.name
    dropped = table.filter(pl.col("part") == DROPPED).select("corpus", "clip_id").n_unique()
    return shards.provenance(
        "folds",
        {"reader": options.reader, "parts": options.parts, "seed": seed, "protocol": plain(options.protocol)},
        setting=setting,
        protocol=name,
        folds=len(division.folds),
        speaker_leaks=speaker_leaks,
        duplicates=dropped,
        sentence=sentence(table, name, division, speaker_leaks, dropped),
    )
