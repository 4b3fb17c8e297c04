"""Stage `folds`: which clips train, choose the epoch and test in each fold of a setting, checked for leaks."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from avpretext import shards
from avpretext.config import CorpusOptions, ProtocolOptions
from avpretext.corpora import protocols, speaker_folders
from avpretext.corpora.caveats import caveats, coverage, labels_of
from avpretext.corpora.checks import likely
from avpretext.corpora.checks.recordings import with_recordings
from avpretext.corpora.emobox import listed_folds, lists_of
from avpretext.corpora.leaks import (
    DROPPED,
    check_parts,
    equal_names,
    of_several,
    speaker_leaks,
    without_contradictions,
    without_duplicates,
)
from avpretext.corpora.protocols import PARTS, Division
from avpretext.corpora.readers import reader_of
from avpretext.corpora.settings import check_protocol
from avpretext.corpora.who import who_speaks
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance


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
    """Write the folds of a setting, `folds`, sorted by fold, part, corpus and clip_id.

    Only clips with values in `targets` and a row in `audio` are in a fold. Where the speaker of a clip is not known,
    the path of its file stands for him, so that clips of a recording stay together.

    Parameters
    ----------
    corpus, options
        The tested corpus; read: path, reader, parts, table, segment, protocol.
    setting
        Name of label target and protocol, such as `voice.chou`.
    clips, targets, audio
        By name of corpus: shards of `index` or `segment`, the table of the label target, shards of `split`'s audio; of
        the tested corpus and, for cross_corpus, of those that it is trained on.
    output
        The table. Its provenance has `setting`, `protocol`, `folds` (their number), `speaker_leaks` (whether a speaker
        is in several parts of a fold), `duplicates` (the number of clips dropped), `sentence`, for people, `warnings`,
        what makes figures wrong, `notes`, what else must be known, such as folds that are left out, and `lacking`, see
        `caveats.Lacking`.

    Raises
    ------
    UserError
        The protocol does not fit the corpus; the speaker's folder is not known; a speaker, or a recording, is in
        several parts of a fold; a part is empty.
    """
    check_protocol(options)
    protocol, across = options.protocol, options.protocol.name == "cross_corpus"
    needed = [corpus, *protocol.train] if across else [corpus]
    if across:
        _check_corpora(corpus, protocol, targets)
    index = shards.read(clips[corpus], ["clip_id", "path", "recording", "start_s"]).sort("clip_id")
    folder = reader_of(options).speaker_folder(options, index["path"].to_list())
    speaker_folders.check(folder, corpus)
    learnable = pl.concat([_read_learnable(name, targets[name], audio[name], clips[name]) for name in needed])
    labels = pl.concat([_read_labels(name, targets[name]) for name in needed])
    contradictions: list[str] = []
    if shards.read_provenance(targets[corpus])["kind"] in ("hard", "multi_label"):
        learnable, contradictions = without_contradictions(learnable, labels, protocol.duplicates)
    if protocol.reencoded:
        learnable = with_recordings(learnable)
    told = caveats(learnable, labels.join(learnable, on=["corpus", "clip_id"], how="semi"), folder)
    told += likely.findings(options, sorted(index["path"].unique()))
    learnable, names = _told_apart(learnable, corpus, targets) if across else (learnable, [])
    division = divide(options, index, learnable, seed, corpus)
    rows, leaks, copies = _apart(division, learnable, protocol)
    lacking, covered = coverage(rows, labels)
    warnings = [*(found.meaning for found in [*covered, *told] if found.wrong), *names]
    notes = [*contradictions, *division.warnings, *(found.meaning for found in [*covered, *told] if not found.wrong)]
    notes += [found.sentence for found in reader_of(options).findings(options)]
    notes += shards.read_provenance(targets[corpus]).get("notes", [])
    for warning in (*warnings, *notes, *leaks, *copies):
        print(f"folds: warning: {setting}: {warning}", file=sys.stderr)
    table = _ordered(rows, across)
    made_by = _made_by(table, options, division, seed, setting=setting, speaker_leaks=bool(leaks))
    made_by |= {"warnings": warnings, "notes": notes, "lacking": lacking}
    shards.write_table(output, table, schema_of("folds"), made_by)


def _told_apart(learnable: pl.DataFrame, corpus: str, targets: Mapping[str, Path]) -> tuple[pl.DataFrame, list[str]]:
    """Return the clips of several corpora, whose speakers may have the same names, and warnings of these names."""
    made_by = {name: shards.read_provenance(targets[name]) for name in learnable["corpus"].unique(maintain_order=True)}
    readers = {name: of.get("options", {}).get("reader") for name, of in made_by.items()}
    return of_several(learnable, readers), equal_names(learnable, corpus, readers)


def _apart(
    division: Division, learnable: pl.DataFrame, protocol: ProtocolOptions
) -> tuple[pl.DataFrame, list[str], list[str]]:
    """Return the clips of all folds, each person and recording in one part, and warnings of leaks and of copies."""
    rows = pl.concat([protocols.assign(fold, learnable) for fold in division.folds])
    leaks = speaker_leaks(rows.with_columns(speaker="person"), protocol.allow_speaker_leaks)
    rows, copies = without_duplicates(rows, protocol.duplicates)
    check_parts(rows, division.needs_dev)
    return rows, leaks, copies


def _check_corpora(corpus: str, protocol: ProtocolOptions, targets: Mapping[str, Path]) -> None:
    """Raise where there are no other corpora, or label targets are of different kinds, or a class is never taught."""
    if not protocol.train or corpus in protocol.train:
        raise UserError(
            f"corpora.{corpus}.protocol.train: {protocol.train}; the names of other corpora to train on are expected"
        )
    for name in (needed := [corpus, *protocol.train]):
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


def _read_learnable(corpus: str, targets: Path, audio: Sequence[Path], clips: Sequence[Path]) -> pl.DataFrame:
    """Return the clips with values and audio, sorted by clip_id.

    The columns are `corpus`, `clip_id`, `speaker`, `known` (see `who_speaks`), `person` (the speaker), `content` and
    `fingerprint`.
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


def _read_labels(corpus: str, targets: Path) -> pl.DataFrame:
    made_by = shards.read_provenance(targets)
    return labels_of(corpus, shards.read(targets, ["clip_id", "values"]), made_by["classes"], made_by["kind"])


def divide(options: CorpusOptions, clips: pl.DataFrame, learnable: pl.DataFrame, seed: int, corpus: str) -> Division:
    """Return the folds that the protocol of the tested `corpus` makes; draws are seeded.

    `clips` are all its clips, with `clip_id`, `path`, `recording`, `start_s`. `learnable` are those with label and
    audio, with `clip_id`, `speaker`, `known`; for cross_corpus those of the other corpora too, told apart by `corpus`.
    """
    protocol, dev_speakers = options.protocol, options.protocol.dev_speakers
    known = learnable.filter("known")["speaker"].to_list()
    unknown = learnable.filter(~pl.col("known"))["speaker"].to_list()
    match protocol.name:
        case "cross_corpus":
            return _across(protocol, learnable, seed, corpus)
        case "emobox" if (lists := lists_of(options)) is not None:
            return listed_folds(lists, clips, _without_unknown(learnable), dev_speakers, seed)
        case "partitions":
            divided = _with_partitions(options, clips, learnable)
            return protocols.partition_folds(divided, protocol.test_partitions, dev_speakers, seed)
        case "speaker_kfold":
            folds = protocols.speaker_kfold(learnable["speaker"].to_list(), protocol.folds, seed)
            return Division(folds, "speakers are dealt, each tests once and the next group is dev")
        case "leave_one_speaker_out":
            if not known:
                raise UserError("protocol leave_one_speaker_out: no speaker is known; choose another protocol")
            folds = protocols.leave_one_speaker_out(known, dev_speakers, seed)
            division = Division(folds, "each speaker tests once, alone, dev speakers drawn")
        case "speakers":
            folds = protocols.folds_by_test_speakers(known, protocol.test_speakers, dev_speakers, seed)
            division = Division(folds, "test speakers as configured, dev speakers drawn")
        case name if name in reader_of(options).partition_protocols:
            return _published_partitions(options, _with_partitions(options, clips, learnable), seed)
        case name:
            published = reader_of(options).protocols[name]
            division = protocols.published_folds(known, published, dev_speakers, seed, name)
    return division.with_unknown(unknown)


def _without_unknown(learnable: pl.DataFrame) -> pl.DataFrame:
    return learnable.with_columns(pl.when("known").then("speaker").alias("speaker"))


def _with_partitions(options: CorpusOptions, clips: pl.DataFrame, learnable: pl.DataFrame) -> pl.DataFrame:
    """Return the clips that can be learnt with the corpus's own partition; segments are where their recording is."""
    partitions = reader_of(options).partitions
    assert partitions is not None  # check_protocol has seen to it
    table = partitions(options).select("clip_id", "partition").unique("clip_id", maintain_order=True)
    key = pl.coalesce("recording", "clip_id") if options.segment else pl.col("clip_id")
    keys = clips.select("clip_id", key.alias("key"))
    placed = keys.join(table, left_on="key", right_on="clip_id", how="left").select("clip_id", "partition")
    return _without_unknown(learnable).join(placed, on="clip_id", how="left", maintain_order="left")


def _published_partitions(options: CorpusOptions, divided: pl.DataFrame, seed: int) -> Division:
    """Return the fold of a published protocol on the corpus's own partitions; it is an error if one of them is absent.

    `divided` has `clip_id`, `speaker`, `partition`.
    """
    name = options.protocol.name
    test = reader_of(options).partition_protocols[name]
    there = set(divided["partition"].drop_nulls())
    if absent := sorted({"train", "dev", *test} - there):
        raise UserError(
            f"protocol {name}: no clip is in {', '.join(absent)}; partitions are {', '.join(sorted(there)) or 'none'}:"
            " use a release that has these partitions, or protocol.name: partitions"
        )
    return protocols.partition_folds(divided, test, options.protocol.dev_speakers, seed)


def _across(protocol: ProtocolOptions, learnable: pl.DataFrame, seed: int, tested: str) -> Division:
    others = pl.col("corpus") != tested
    known = learnable.filter(others & pl.col("known"))["speaker"]
    test = learnable.filter(~others)["speaker"]
    fold = protocols.cross_corpus_fold(known, test, protocol.dev_speakers, seed)
    way = f"trained on {', '.join(protocol.train)}, dev speakers drawn, tests all of {tested}"
    return Division([fold], way).with_unknown(learnable.filter(others & ~pl.col("known"))["speaker"])


def _sentence(rows: pl.DataFrame, protocol: str, division: Division, leaks: bool, dropped: int) -> str:
    """Return what the folds are, in one sentence for people; `dropped`: how many clips are left out as copies."""
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


def _ordered(rows: pl.DataFrame, prefixed: bool) -> pl.DataFrame:
    """Return the rows as `folds` has them, sorted; `prefixed`: names of speakers start with their corpus."""
    if prefixed:
        rows = rows.with_columns(pl.col("speaker").str.strip_prefix(pl.format("{}/", "corpus")))
    place = pl.col("part").replace_strict({part: n for n, part in enumerate((*PARTS, DROPPED))})
    return rows.select(schema_of("folds").names).sort("fold", place, "corpus", "clip_id")


def _made_by(
    table: pl.DataFrame, options: CorpusOptions, division: Division, seed: int, *, setting: str, speaker_leaks: bool
) -> dict[str, Any]:
    """Return the provenance of a table of folds; see `run` for its keys."""
    protocol = options.protocol
    # The place of EmoBox's lists on this machine is no matter of the folds.
    plain = {**protocol.model_dump(mode="json"), "lists": Path(protocol.lists).name if protocol.lists else None}
    dropped = table.filter(pl.col("part") == DROPPED).select("corpus", "clip_id").n_unique()
    return provenance(
        "folds",
        {"reader": options.reader, "parts": options.parts, "seed": seed, "protocol": plain},
        setting=setting,
        protocol=protocol.name,
        folds=len(division.folds),
        speaker_leaks=speaker_leaks,
        duplicates=dropped,
        sentence=_sentence(table, protocol.name, division, speaker_leaks, dropped),
    )
