"""What a copy of a corpus holds, and what is wrong with it: said before hours of work begin."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from rich.console import Console

from avpretext.config import CorpusOptions
from avpretext.corpora import beside, check_names, targets
from avpretext.corpora.facts import Comparison, CorpusCheck, Division, Finding, TargetFacts
from avpretext.corpora.headers import FileHeader, Lengths, duration, lengths_of, read_headers, refuse_by_header, spread
from avpretext.corpora.label_maps import label_map_of
from avpretext.corpora.listening import Listened, listen
from avpretext.corpora.overview import render
from avpretext.corpora.reader import Clip, Note, Reader, Source, extension
from avpretext.corpora.scan import ClipFile, MediaFile, leads_outside, media_files, reader_of, scan
from avpretext.corpora.settings import kind_of, split_target, targets_of
from avpretext.corpora.sound_findings import findings_of, sound_of, unseen
from avpretext.errors import UserError
from avpretext.flow.schemas import REASONS
from avpretext.refusal import Refusal

Opened = Literal["sample", "all", "none"]
"""Which files' headers are read."""

SAMPLE = 2000
EXAMPLES = 3
HOURS_TOLERANCE = 0.05
"""Publications round, and count pauses or not: hours differ only from 5 % on."""

EXPECTED = frozenset({"known_broken"})
"""Reasons that a whole and sound copy has too."""

FIXES = {
    "unknown_name": "move them out of the corpus, give them their own names back, or choose another reader",
    "duplicate_clip_id": "remove all files of that clip_id but one",
    "lfs_pointer": "run `git lfs install` and `git lfs pull` there, then check again",
    "known_broken": "nothing: they are left out",
    "empty_file": "copy or download them again",
    "not_media": "copy or download them again, or move them out of the corpus",
    "no_audio": "find a copy with sound, or move them out of the corpus",
    "no_video": "set corpora.NAME.video to false, or move them out of the corpus",
    "truncated": "copy or download them again",
    "unreadable": "mend the links or permissions",
    "missing_file": "copy the files to where the table says, or take their rows out of it",
    "unlisted": "add rows for them to the table, or move them out of the corpus",
    "bad_segment": "correct start and end in the table, in seconds",
    "leads_outside": "nothing, if these links are yours: they are followed, and media alone is read",
    "no_speaker": "name the speakers, by a folder each or in a table; pre-training and partitions need no names",
    "incomplete": "download what is missing, or go on with what is here",
    "target": "correct the table, or set corpora.NAME.targets",
}
"""What to do about each finding."""

NO_PARTITION = "(none)"
_THREADS = 16
_INDEX_COLUMNS = ("clip_id", "speaker", "label", "recording", "path")


def run(
    options: CorpusOptions,
    headers: Opened = "sample",
    listened: Listened = "sample",
    model: Path | None = None,
    others: Sequence[CorpusOptions] = (),
) -> int:
    """Print what a corpus holds and what is wrong with it; return the exit status, 1 where something is.

    Raises
    ------
    UserError
        The corpus is missing or empty.
    """
    found = check(options, headers, listened, model, others)
    Console(highlight=False).print(render(found))
    return 1 if found.wrong else 0


def check(
    options: CorpusOptions,
    headers: Opened = "sample",
    listened: Listened = "none",
    model: Path | None = None,
    others: Sequence[CorpusOptions] = (),
) -> CorpusCheck:
    """Find out what a copy of a corpus holds and what is wrong with it.

    Parameters
    ----------
    options
        Where it lies, and how it is read.
    headers
        Which files are opened for their length and streams: `sample`, up to 2,000 spread evenly; all; none.
    listened
        Which clips are listened to: `sample`, 100 spread over speakers; all; none.
    model
        The file `face_landmarker.task`, if faces are to be looked for.
    others
        Corpora of the same run, whose speakers and sound are held against these.

    Raises
    ------
    UserError
        The corpus is missing or empty.
    """
    reader, media = reader_of(options), media_files(options)
    files = scan(options, files=media)
    clips = _clips_by_file(files)
    opened = read_headers(Path(options.path), _to_open(list(clips), headers), min(_THREADS, os.cpu_count() or 1))
    lengths = lengths_of(clips, opened) if headers != "none" else None
    heard = listen(Path(options.path), clips, listened, model if options.video else None)
    index = _index_of(clips)
    facts, known = _targets(options, reader, index)
    chosen = _chosen(options, reader)
    speakers = _speakers(index, known[chosen[0]].labels if chosen and chosen[0] in known else [None] * len(index))
    partitions, shared = _partitions(options, reader, index)
    comparisons = _comparisons(options, reader, files, speakers, lengths)
    return CorpusCheck(
        path=options.path,
        reader=options.reader,
        parts=_parts(options, reader),
        video=options.video,
        published=reader.published,
        media=_kinds(media),
        read=_kinds({file.path for file in files} & set(media)),
        clips=len(index),
        size_bytes=sum({file.path: file.size_bytes for file in files if file.clip is not None}.values()),
        lengths=lengths,
        speakers=speakers,
        targets=facts,
        partitions=partitions,
        protocols=_protocols(reader, index),
        shared_speakers=shared,
        comparisons=comparisons,
        findings=(
            *_refused(files, clips, opened, options.video),
            *_linked(options, media),
            *_unknown(index),
            *_named(check_names.notes_of(options, reader, [file.path for file in files], index, known, chosen)),
            *_unlearnable(facts, chosen),
            *_incomplete(comparisons),
            *findings_of(heard, len(index)),
            *unseen(heard, options.video),
            *beside.shared(options, speakers, heard, others, listened),
        ),
        sound=sound_of(heard, len(index)),
    )


def _clips_by_file(files: Iterable[ClipFile]) -> dict[str, list[Clip]]:
    clips = defaultdict(list)
    for file in files:
        if file.clip is not None:
            clips[file.path].append(file.clip)
    return dict(clips)


def _to_open(paths: Sequence[str], headers: Opened) -> list[str]:
    return spread(paths, {"sample": SAMPLE, "all": len(paths), "none": 0}[headers])


def _kinds(paths: Iterable[str]) -> dict[str, int]:
    """Return how many files there are of each extension, the most frequent first."""
    counts = Counter(extension(path)[1:] for path in paths)
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def _index_of(clips: Mapping[str, Sequence[Clip]]) -> pl.DataFrame:
    """Return the clips as `targets` knows them from the index: clip_id, speaker, label, recording; and path."""
    rows = [(clip.clip_id, clip.speaker, clip.label, None, path) for path, found in clips.items() for clip in found]
    return pl.DataFrame(rows, dict.fromkeys(_INDEX_COLUMNS, pl.String), orient="row").sort("clip_id")


def _targets(
    options: CorpusOptions, reader: Reader, index: pl.DataFrame
) -> tuple[tuple[TargetFacts, ...], dict[str, targets.Targets]]:
    """Return the label targets as facts, and as `targets` has them."""
    facts, known = [], {}
    for name, source in reader.sources(options).items() if len(index) else ():
        try:
            found = _learnt(options, source, index, name)
        except UserError as error:
            facts.append(TargetFacts(name, source.kind, problem=str(error)))
            continue
        facts.append(_facts_of(name, source, found))
        known[name] = found
    return tuple(facts), known


def _learnt(options: CorpusOptions, source: Source, index: pl.DataFrame, name: str) -> targets.Targets:
    label_map = label_map_of(options) if source.kind != "attribute" else None
    known = targets.known_of(source, options, index, name)
    return targets.targets_of(source, kind_of(options, name), known, options, label_map, name)


def _facts_of(name: str, source: Source, found: targets.Targets) -> TargetFacts:
    """Return what there is to say of a target, whether it can be learnt or not."""
    problem = None
    try:
        targets.check_learnable(found, name)
    except UserError as error:
        problem = str(error)
    if source.kind == "attribute":
        known = found.values[np.isfinite(found.values)]
        numbers = (float(known.min()), float(known.mean()), float(known.max())) if len(known) else None
        return TargetFacts(name, source.kind, len(known), numbers=numbers, problem=problem)
    counts = Counter(label for label in found.labels if label is not None)
    by_class = {label: counts[label] for label in found.classes}
    return TargetFacts(name, source.kind, counts.total(), by_class, found.ties, problem=problem)


def _chosen(options: CorpusOptions, reader: Reader) -> list[str]:
    """Return the sources of the targets that will be learnt."""
    learns = "finetune" in options.use and reader.sources(options)
    return [split_target(target)[0] for target in targets_of(options)] if learns else []


def _speakers(index: pl.DataFrame, labels: Sequence[str | None]) -> dict[str | None, Counter[str | None]]:
    counts: dict[str | None, Counter[str | None]] = defaultdict(Counter)
    for speaker, label in zip(index["speaker"], labels, strict=True):
        counts[speaker][label] += 1
    return {speaker: counts[speaker] for speaker in sorted(counts, key=lambda name: (name is None, name or ""))}


def _partitions(
    options: CorpusOptions, reader: Reader, index: pl.DataFrame
) -> tuple[tuple[Division, ...], tuple[str, ...]]:
    """Return the corpus's own partitions, and the speakers that are in several of them; none where none are known."""
    if reader.partitions is None or index.is_empty():
        return (), ()
    try:
        known = reader.partitions(options)
    except UserError:
        return (), ()
    table = index.join(known, on="clip_id", how="left")
    divided = table.with_columns(pl.col("partition").fill_null(NO_PARTITION))
    each = divided.group_by("partition").agg(pl.len(), pl.col("speaker").drop_nulls().n_unique()).sort("partition")
    speakers = table.drop_nulls(["speaker", "partition"]).group_by("speaker").agg(pl.col("partition").n_unique())
    shared = speakers.filter(pl.col("partition") > 1)["speaker"].sort().to_list()
    return tuple(Division(name, clips, found) for name, clips, found in each.iter_rows()), tuple(shared)


def _protocols(reader: Reader, index: pl.DataFrame) -> tuple[Division, ...]:
    """Return the published protocols, with how many of their clips and speakers are here."""
    found = []
    for name, folds in reader.protocols.items():
        tested = {speaker for fold in folds for speaker in fold.test}
        here = index.filter(pl.col("speaker").is_in(sorted(tested)))
        found.append(Division(name, len(here), here["speaker"].n_unique(), len(folds), len(tested)))
    return tuple(found)


def _parts(options: CorpusOptions, reader: Reader) -> tuple[str, ...]:
    return tuple(options.parts or reader.parts[:1])


def _comparisons(
    options: CorpusOptions,
    reader: Reader,
    files: Sequence[ClipFile],
    speakers: Mapping[str | None, object],
    lengths: Lengths | None,
) -> tuple[Comparison, ...]:
    """Hold what is here against what is published; nothing of a corpus whose speakers were chosen."""
    published = reader.published
    if published is None or options.speakers is not None:
        return ()
    parts, found = _parts(options, reader), []
    broken = sum(file.refusal is not None and file.refusal.reason == "known_broken" for file in files)
    clips = sum(file.clip is not None for file in files) + broken
    expected = _published(published.clips, parts)
    if expected is not None and not options.segment:
        found.append(_counted("clips", clips, round(expected)))
    hours = _published(published.hours, parts)
    if hours is not None and lengths is not None and lengths.hours is not None:
        found.append(_hours(lengths, hours, whole=expected is None or clips >= expected))
    # Parts share speakers, so that their numbers do not add up.
    people = _published(published.speakers, parts) if len(parts) < 2 else None
    if people is not None:
        found.append(_counted("speakers", len(speakers.keys() - {None}), round(people)))
    return tuple(found)


def _published(numbers: Mapping[str, float], parts: Sequence[str]) -> float | None:
    """Return what is published of these parts together; None where it is not known of all."""
    if not parts:
        return next(iter(numbers.values())) if len(numbers) == 1 else None
    return sum(numbers[part] for part in parts) if all(part in numbers for part in parts) else None


def _counted(measure: str, here: int, published: int) -> Comparison:
    """Compare numbers.

    >>> _counted("clips", 7430, 7442).words, _counted("speakers", 91, 91).words
    ('7,430 of 7,442 published clips', 'all 91 published speakers')
    """
    if here == published:
        words = f"all {published:,} published {measure}"
    elif here < published:
        words = f"{here:,} of {published:,} published {measure}"
    else:
        words = f"{here:,} {measure}, {here - published:,} more than the {published:,} published"
    return Comparison(measure, here, published, words, here != published)


def _hours(lengths: Lengths, published: float, whole: bool) -> Comparison:
    """Compare hours; of a copy that lacks clips they say nothing new."""
    assert lengths.hours is not None
    allowed = max(HOURS_TOLERANCE * published, lengths.margin_hours or 0.0)
    wrong = whole and abs(lengths.hours - published) > allowed
    about = "" if lengths.margin_hours is None else "about "
    words = f"{about}{duration(lengths.hours)} of {duration(published)} published"
    return Comparison("hours", lengths.hours, published, words, wrong)


def _incomplete(comparisons: Sequence[Comparison]) -> list[Finding]:
    """Return that the copy is not what is published."""
    words = tuple(entry.words for entry in comparisons if entry.wrong)
    meaning = "this is not what is published"
    return [Finding("incomplete", meaning, FIXES["incomplete"], 0, words, wrong=True)] if words else []


def _refused(
    files: Sequence[ClipFile],
    clips: Mapping[str, Sequence[Clip]],
    opened: Mapping[str, FileHeader | Refusal],
    video: bool,
) -> list[Finding]:
    """Return what is or will be refused, the most frequent reason first: by the scan, then by headers."""
    scanned, declared = defaultdict(list), defaultdict(list)
    for file in files:
        if file.refusal is not None:
            scanned[file.refusal.reason].append((file.path, file.refusal))
    for path, header in opened.items():
        refusal = refuse_by_header(header, clips[path], video)
        if refusal is not None:
            declared[refusal.reason].append((path, refusal))
    sampled = f" (of {len(opened):,} files opened, of {len(clips):,}; --headers all opens every one)"
    looked_at = sampled if len(opened) < len(clips) else ""
    return _findings(scanned, "") + _findings(declared, looked_at)


def _findings(refused: Mapping[str, Sequence[tuple[str, Refusal]]], looked_at: str) -> list[Finding]:
    return [
        Finding(
            reason,
            REASONS[reason] + looked_at,
            FIXES[reason],
            len(found),
            tuple(f"{path} ({refusal.detail})" if refusal.detail else path for path, refusal in found[:EXAMPLES]),
            reason not in EXPECTED,
        )
        for reason, found in sorted(refused.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    ]


def _linked(options: CorpusOptions, media: Mapping[str, MediaFile]) -> list[Finding]:
    """Return that links lead out of the folder, which whoever made the corpus may have meant or not."""
    found = leads_outside(options, media)
    if not found:
        return []
    examples = tuple(f"{path} ({place})" for path, place in list(found.items())[:EXAMPLES])
    meaning = "links lead out of the corpus folder"
    return [Finding("leads_outside", meaning, FIXES["leads_outside"], len(found), examples, wrong=False)]


def _unknown(index: pl.DataFrame) -> list[Finding]:
    """Return that speakers are unknown, which matters only to protocols that divide by them."""
    unknown = index.filter(pl.col("speaker").is_null())["path"].to_list()
    if not unknown:
        return []
    meaning = "nothing tells who speaks"
    return [Finding("no_speaker", meaning, FIXES["no_speaker"], len(unknown), tuple(unknown[:EXAMPLES]), wrong=False)]


def _named(notes: Sequence[Note]) -> list[Finding]:
    """Return what must be known of names and cells."""
    return [
        Finding(note.reason, note.meaning, check_names.FIXES[note.reason], note.count, note.examples, note.wrong)
        for note in notes
    ]


def _unlearnable(facts: Sequence[TargetFacts], chosen: Sequence[str]) -> list[Finding]:
    """Return the targets that are to be learnt and cannot be."""
    return [
        Finding("target", f"{entry.name!r} cannot be learnt", FIXES["target"], 0, (entry.problem,), wrong=True)
        for entry in facts
        if entry.problem is not None and entry.name in chosen
    ]
