"""The check of a copy of a corpus: what it holds and what is wrong with it, told before hours of work begin."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console

from avpretext.config import CorpusOptions
from avpretext.corpora import targets
from avpretext.corpora.caveats import alike_names, coverage, label_by_speaker, labels_of, one_label
from avpretext.corpora.checks import checksums, likely
from avpretext.corpora.checks.headers import Lengths, duration, lengths_of, read_headers, spread
from avpretext.corpora.checks.listening import HeardClip, Which, copies_between, findings_of, listen, look, sound_of
from avpretext.corpora.checks.overview import Comparison, CorpusCheck, FoldFacts, Overview, TargetFacts
from avpretext.corpora.findings import Finding, counted
from avpretext.corpora.folds import divide
from avpretext.corpora.joint import ALL, with_joint
from avpretext.corpora.leaks import equal_names
from avpretext.corpora.protocols import assign
from avpretext.corpora.reader import Clip, Published, Reader, Source, extension
from avpretext.corpora.readers import reader_of
from avpretext.corpora.refused import refused
from avpretext.corpora.scan import ClipFile, leads_outside, left_out, media_files, scan
from avpretext.corpora.settings import split_target, targets_of
from avpretext.errors import UserError

SAMPLE = 2000
EQUAL_AMONG = 10_000
"""Equal files are looked for among so many; among more of them with `headers` all."""

HOURS_TOLERANCE = 0.05
"""Publications round, and count pauses or not: hours differ only from 5 % on."""

NO_PARTITION = "(none)"
_SEED = 1
"""Who is dealt to which fold differs by seed: a check shows one."""

_THREADS = 16
_INDEX_COLUMNS = ("clip_id", "speaker", "label", "recording", "path")

Clips = Mapping[str, Sequence[Clip]]
"""The clips of each file."""


def run(
    options: CorpusOptions,
    headers: Which = "sample",
    listened: Which = "sample",
    model: Path | None = None,
    others: Sequence[CorpusOptions] = (),
) -> int:
    """Print what `check` finds; return the exit status, 1 where something is wrong."""
    found = check(options, headers, listened, model, others)
    Console(highlight=False).print(Overview(found))
    return 1 if found.wrong else 0


def check(
    options: CorpusOptions,
    headers: Which = "sample",
    listened: Which = "none",
    model: Path | None = None,
    others: Sequence[CorpusOptions] = (),
) -> CorpusCheck:
    """Find out what a copy of a corpus holds and what is wrong with it; a missing or empty one is an error.

    `headers` chooses the files that are opened for length and streams: `sample`, up to 2,000 spread evenly; all; none.
    `listened` chooses the clips that are listened to: `sample`, 100 spread over speakers; all; none. Faces are looked
    for with `model`, the file `face_landmarker.task`. Speakers and sound are compared with those of the `others` of the
    run.
    """
    reader, media = reader_of(options), media_files(options)
    files = scan(options, files=media)
    clips = _clips_by_file(files)
    chosen_files = spread(list(clips), {"sample": SAMPLE, "all": len(clips), "none": 0}[headers])
    opened = read_headers(Path(options.path), chosen_files, min(_THREADS, os.cpu_count() or 1))
    lengths = lengths_of(clips, opened) if headers != "none" else None
    heard = listen(Path(options.path), clips, listened, model if options.video else None) if options.audio else ()
    compared_files = {"sample": EQUAL_AMONG, "all": len(clips), "none": -1}
    compared = checksums.check(Path(options.path), chosen_files, reader.checksums())
    rows = [(clip.clip_id, clip.speaker, clip.label, None, path) for path, found in clips.items() for clip in found]
    index = pl.DataFrame(rows, dict.fromkeys(_INDEX_COLUMNS, pl.String), orient="row").sort("clip_id")
    sources = with_joint(reader.sources(options), ALL)
    facts, known = _targets(options, sources, index)
    learns = "finetune" in options.use and sources
    chosen = [split_target(target)[0] for target in targets_of(options)] if learns else []
    speakers = _speakers(index, known[chosen[0]].labels if chosen and chosen[0] in known else [None] * len(index))
    known_partitions = _partitions_of(options, reader)
    partitions, shared_speakers = _partitions(known_partitions, index)
    parts = tuple(options.parts or reader.parts[:1])
    comparisons = _comparisons(options, parts, reader.published, files, speakers, lengths) + _of_files(compared)
    lost = tuple(entry.words for entry in comparisons if entry.wrong)
    linked = [f"{path} ({place})" for path, place in leads_outside(options, media).items()]
    nobody = index.filter(pl.col("speaker").is_null())["path"].to_list()
    return CorpusCheck(
        options=options,
        parts=parts,
        published=reader.published,
        media=_kinds(media),
        read=_kinds({file.path for file in files} & set(media)),
        clips=len(index),
        size_bytes=sum({file.path: file.size_bytes for file in files if file.clip is not None}.values()),
        lengths=lengths,
        speakers=speakers,
        targets=facts,
        partitions=partitions,
        protocols=tuple(_protocols(reader, index)),
        shared_speakers=shared_speakers,
        comparisons=comparisons,
        findings=(
            *refused(files, clips, opened, options),
            *left_out(media.left_out, options),
            *likely.findings(options, sorted(media)),
            *checksums.findings(compared),
            *(_equal(options, reader, files, index, known, chosen) if len(clips) <= compared_files[headers] else []),
            *counted("leads_outside", "links lead out of the corpus folder", linked),
            *counted("no_speaker", "nothing tells who speaks", nobody),
            *_of_names(options, reader, [file.path for file in files], index, known, chosen, known_partitions),
            *(
                Finding("target", f"{entry.name!r} cannot be learnt", examples=(entry.problem,), wrong=True)
                for entry in facts
                if entry.problem is not None and entry.name in chosen
            ),
            *([Finding("incomplete", "this is not what is published", examples=lost, wrong=True)] if lost else []),
            *findings_of(heard, len(index), options.video),
            *([] if options.audio else look(Path(options.path), clips, listened, model)),
            *(one for other in others for one in _beside(options, speakers, heard, other, listened)),
        ),
        sound=sound_of(heard, len(index)) if options.audio else "not read: audio: false",
    )


def _clips_by_file(files: Iterable[ClipFile]) -> Clips:
    clips = defaultdict(list)
    for file in files:
        if file.clip is not None:
            clips[file.path].append(file.clip)
    return dict(clips)


def _kinds(paths: Iterable[str]) -> dict[str, int]:
    """Return how many files there are of each extension, the most frequent first."""
    counts = Counter(extension(path)[1:] for path in paths)
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def _targets(
    options: CorpusOptions, sources: Mapping[str, Source], index: pl.DataFrame
) -> tuple[tuple[TargetFacts, ...], dict[str, targets.Targets]]:
    """Return the label targets as facts, and as `targets` has them."""
    facts, known = [], {}
    for name, source in sources.items() if len(index) else ():
        try:
            known[name] = targets.read_targets(options, name, index)
        except UserError as error:
            facts.append(TargetFacts(name, source.kind, problem=str(error)))
        else:
            facts.append(_facts_of(name, source, known[name]))
    return tuple(facts), known


def _facts_of(name: str, source: Source, found: targets.Targets) -> TargetFacts:
    """Return the facts of a target, whether it can be learnt or not."""
    problem = None
    try:
        targets.check_learnable(found, name)
    except UserError as error:
        problem = str(error)
    if source.kind == "attribute":
        known = found.values[np.isfinite(found.values)]
        numbers = (float(known.min()), float(known.mean()), float(known.max())) if len(known) else None
        return TargetFacts(name, source.kind, len(known), numbers=numbers, problem=problem)
    if source.kind == "attributes":
        clips = int(targets.known_rows(found.values).sum())
        return TargetFacts(name, source.kind, clips, of=tuple(found.classes), problem=problem)
    counts = Counter(label for label in found.labels if label is not None)
    by_class = {label: counts[label] for label in found.classes}
    return TargetFacts(name, source.kind, counts.total(), by_class, found.ties, problem=problem)


def _speakers(index: pl.DataFrame, labels: Sequence[str | None]) -> dict[str | None, Counter[str | None]]:
    counts: dict[str | None, Counter[str | None]] = defaultdict(Counter)
    for speaker, label in zip(index["speaker"], labels, strict=True):
        counts[speaker][label] += 1
    return {speaker: counts[speaker] for speaker in sorted(counts, key=lambda name: (name is None, name or ""))}


def _partitions_of(options: CorpusOptions, reader: Reader) -> pl.DataFrame | None:
    try:
        return None if reader.partitions is None else reader.partitions(options)
    except UserError:
        return None


def _partitions(known: pl.DataFrame | None, index: pl.DataFrame) -> tuple[tuple[FoldFacts, ...], tuple[str, ...]]:
    if known is None or index.is_empty():
        return (), ()
    divided = index.join(known, on="clip_id", how="left")
    named = divided.with_columns(pl.col("partition").fill_null(NO_PARTITION))
    each = named.group_by("partition").agg(pl.len(), pl.col("speaker").drop_nulls().n_unique()).sort("partition")
    of_speaker = divided.drop_nulls(["speaker", "partition"]).group_by("speaker").agg(pl.col("partition").n_unique())
    shared = of_speaker.filter(pl.col("partition") > 1)["speaker"].sort()
    return tuple(FoldFacts(name, clips, speakers) for name, clips, speakers in each.iter_rows()), tuple(shared)


def _protocols(reader: Reader, index: pl.DataFrame) -> Iterable[FoldFacts]:
    for name, folds in reader.protocols.items():
        tested = {speaker for fold in folds for speaker in fold.test}
        here = index.filter(pl.col("speaker").is_in(sorted(tested)))
        yield FoldFacts(name, len(here), here["speaker"].n_unique(), len(folds), len(tested))


def _comparisons(
    options: CorpusOptions,
    parts: Sequence[str],
    published: Published | None,
    files: Sequence[ClipFile],
    speakers: Mapping[str | None, object],
    lengths: Lengths | None,
) -> tuple[Comparison, ...]:
    """Compare this copy with what is published; not for a corpus whose speakers were chosen."""
    if published is None or options.speakers is not None:
        return ()
    found = []
    broken = sum(file.refusal is not None and file.refusal.reason == "known_broken" for file in files)
    clips = sum(file.clip is not None for file in files) + broken
    expected = _published(published.clips, parts)
    if expected is not None and not options.segment:
        found.append(_compared("clips", clips, round(expected)))
    hours = _published(published.hours, parts)
    if hours is not None and lengths is not None and lengths.hours is not None:
        found.append(_hours(lengths, lengths.hours, hours, whole=expected is None or clips >= expected))
    # Parts share speakers, so that their numbers do not add up.
    people = _published(published.speakers, parts) if len(parts) < 2 else None
    if people is not None:
        found.append(_compared("speakers", len(speakers.keys() - {None}), round(people)))
    return tuple(found)


def _equal(
    options: CorpusOptions,
    reader: Reader,
    files: Sequence[ClipFile],
    index: pl.DataFrame,
    known: Mapping[str, targets.Targets],
    chosen: Sequence[str],
) -> list[Finding]:
    """Return which files that are one clip are equal, and whether their labels, of the first target, are."""
    whole = {file.path: file.size_bytes for file in files if file.clip is not None and file.clip.end_s is None}
    learnt = next((known[name].labels for name in chosen if name in known), index["label"].to_list())
    label_of = dict(zip(index["path"].to_list(), learnt, strict=True))
    groups = checksums.equal_files(root := Path(options.path), whole)
    compared = checksums.check(root, (path for paths in groups for path in paths), reader.checksums())
    return checksums.of_equal_files(groups, label_of, compared.same)


def _of_files(compared: checksums.Checked) -> tuple[Comparison, ...]:
    """Say how many files are as published; `checksums.findings` tells of the others."""
    words = f"{len(compared.same):,} of {len(compared.known):,} files have the published SHA-256"
    return (Comparison(words, False),) if compared.known else ()


def _published(numbers: Mapping[str, float], parts: Sequence[str]) -> float | None:
    """Return what is published of these parts together; None where it is not known of all."""
    if not parts:
        return next(iter(numbers.values())) if len(numbers) == 1 else None
    return sum(numbers[part] for part in parts) if all(part in numbers for part in parts) else None


def _compared(measure: str, here: int, published: int) -> Comparison:
    """Compare numbers.

    >>> _compared("clips", 7430, 7442).words, _compared("speakers", 91, 91).words
    ('7,430 of 7,442 published clips', 'all 91 published speakers')
    """
    words = f"{here:,} of {published:,} published {measure}"
    if here == published:
        words = f"all {published:,} published {measure}"
    elif here > published:
        words = f"{here:,} {measure}, {here - published:,} more than the {published:,} published"
    return Comparison(words, here != published)


def _hours(lengths: Lengths, here: float, published: float, whole: bool) -> Comparison:
    """Compare hours; of a copy that lacks clips they say nothing new."""
    wrong = whole and abs(here - published) > max(HOURS_TOLERANCE * published, lengths.margin_hours or 0.0)
    about = "" if lengths.margin_hours is None else "about "
    return Comparison(f"{about}{duration(here)} of {duration(published)} published", wrong)


def _of_names(
    options: CorpusOptions,
    reader: Reader,
    paths: Sequence[str],
    index: pl.DataFrame,
    known: Mapping[str, targets.Targets],
    chosen: Sequence[str],
    partitions: pl.DataFrame | None,
) -> list[Finding]:
    """Return what must be known of speakers, labels, partitions and folders by their names.

    `paths` are of all clips, also of those that are refused; `known` are the label targets by name, `chosen` those that
    will be learnt: of the others a doubt is worth knowing, not wrong.
    """
    folder = reader.speaker_folder(options, paths)
    speakers = index["speaker"].to_list()
    clips = index.with_columns(
        pl.lit("").alias("corpus"), pl.coalesce("speaker", "path"), pl.col("speaker").is_not_null().alias("known")
    )
    learnt = next((known[name] for name in chosen if name in known), None)
    classes = _classes(index, learnt)
    of_labels = {name: alike_names(f"labels of {name!r}", entry.classes) for name, entry in known.items()}
    return [
        *reader.findings(options),
        *(folder.findings(speakers) if folder is not None else []),
        *alike_names("speakers", speakers),
        *(replace(one, wrong=name in chosen) for name, found in of_labels.items() for one in found),
        *(alike_names("partitions", partitions["partition"].to_list()) if partitions is not None else []),
        *one_label(clips, classes, folder),
        *label_by_speaker(clips, classes),
        *_of_folds(options, reader, clips, classes),
    ]


def _classes(clips: pl.DataFrame, learnt: targets.Targets | None) -> pl.DataFrame:
    """Return `corpus`, `clip_id`, `class` of each class that a clip has; none of a number."""
    if learnt is None:
        return pl.DataFrame(schema={"corpus": pl.String, "clip_id": pl.String, "class": pl.String})
    known = targets.known_rows(learnt.values)
    values = pl.Series("values", targets.lists_of(learnt.values, known), dtype=pl.List(pl.Float64))
    return labels_of("", clips.select("clip_id", values), learnt.classes, learnt.kind)


def _of_folds(options: CorpusOptions, reader: Reader, clips: pl.DataFrame, classes: pl.DataFrame) -> list[Finding]:
    """Return which classes the folds of the protocol lack, and those of the corpus's own partitions."""
    learnable = clips.join(classes, on="clip_id", how="semi")
    names = dict.fromkeys([options.protocol.name, *(["partitions"] if reader.partitions is not None else [])])
    found = []
    for name in names if len(learnable) else ():
        protocol = options.protocol.model_copy(update={"name": name})
        whole = learnable.select("clip_id", "path", "recording", start_s=pl.lit(None, pl.Float64))
        try:
            folds = divide(options.model_copy(update={"protocol": protocol}), whole, learnable, _SEED, "").folds
        except UserError:
            continue  # too few speakers, or other corpora are needed: a check has not been told the run's protocol
        _, lacking = coverage(pl.concat([assign(fold, learnable) for fold in folds]), classes)
        found += [replace(one, meaning=f"protocol {name}: {one.meaning}") for one in lacking]
    return found


def _beside(
    options: CorpusOptions,
    speakers: Iterable[str | None],
    heard: Sequence[HeardClip],
    other: CorpusOptions,
    listened: Which,
) -> list[Finding]:
    """Return what a corpus shares with another of the run: people of equal names, recordings under other names."""
    clips = _clips_by_file(scan(other))
    theirs = {clip.speaker for some in clips.values() for clip in some}
    both = (("this corpus", speakers), (other.path, theirs))
    rows = [(corpus, name, True) for corpus, names in both for name in names if name is not None]
    named = pl.DataFrame(rows, {"corpus": pl.String, "speaker": pl.String, "known": pl.Boolean}, orient="row")
    told = equal_names(named, "this corpus", {"this corpus": options.reader, other.path: other.reader})
    people = [Finding("same_people", text.partition(":")[0]) for text in told]
    return people + copies_between(heard, listen(Path(other.path), clips, listened, None), other.path)
