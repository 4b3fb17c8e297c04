"""What a corpus check finds, and how a terminal shows it: what is there first, what is wrong last, no more for show."""

import statistics
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich import filesize
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from avpretext.config import CorpusOptions
from avpretext.corpora import sheets
from avpretext.corpora.checks.headers import Lengths, duration
from avpretext.corpora.findings import Finding
from avpretext.corpora.reader import Published

LISTED_SPEAKERS = 100
"""More speakers than these are summarised."""

_FEW_SPEAKERS = 24
"""More than these stand closer together, so that several fit in a line."""

_BETWEEN = 4
_SMALLEST = 10
_CLASSES = 12
_INDENT = 2
_GAP = 2
_KEY_WIDTH = 11
_HEADING, _QUIET, _WRONG, _NOTE, _GOOD = "bold", "dim", "bold red", "yellow", "green"


@dataclass(frozen=True)
class TargetFacts:
    """A label target of the corpus, as its clips here have it.

    `clips` have it; `counts` are clips of each class, of votes by their majority; `ties` are clips whose votes tie;
    `numbers` are least, mean and largest value of an attribute; `of` are the attributes that are learnt together;
    `problem` is why it cannot be learnt.
    """

    name: str
    kind: str
    clips: int = 0
    counts: Mapping[str, int] | None = None
    ties: int = 0
    numbers: tuple[float, float, float] | None = None
    of: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class FoldFacts:
    """A partition, or a published protocol: how many of its clips and speakers are here.

    `folds` and `published_speakers` are of a protocol; None for a partition.
    """

    name: str
    clips: int
    speakers: int
    folds: int | None = None
    published_speakers: int | None = None


@dataclass(frozen=True)
class Comparison:
    """A number of this copy beside the published one, in words."""

    words: str
    wrong: bool


@dataclass(frozen=True)
class CorpusCheck:
    """What a copy of a corpus holds.

    Attributes
    ----------
    media, read
        Number of media files there by extension, and of those that are read.
    clips, size_bytes
        Number of clips, and size of their files.
    lengths
        Hours; None where no header was read.
    speakers
        Clips of each speaker by label of the first target; None stands for unknown speakers and labels.
    shared_speakers
        Speakers that are in several partitions.
    sound
        How the clips sound and look that were listened to, in words; empty where none were.
    """

    options: CorpusOptions
    parts: tuple[str, ...]
    published: Published | None
    media: Mapping[str, int]
    read: Mapping[str, int]
    clips: int
    size_bytes: int
    lengths: Lengths | None
    speakers: Mapping[str | None, Counter[str | None]]
    targets: tuple[TargetFacts, ...]
    partitions: tuple[FoldFacts, ...]
    protocols: tuple[FoldFacts, ...]
    shared_speakers: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    findings: tuple[Finding, ...]
    sound: str = ""

    @property
    def wrong(self) -> int:
        """Return the number of things that are wrong."""
        return sum(finding.wrong for finding in self.findings)


@dataclass(frozen=True)
class Overview:
    """A corpus check as text, in sections; it fits itself to the width of the terminal."""

    found: CorpusCheck

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the sections, each with an empty line before it."""
        inner = options.update(width=options.max_width - _INDENT)
        published = self.found.published
        yield Text(published.name if published else "A corpus", _HEADING)
        if published:
            yield Text(f"{published.citation}; {published.licence}\n{published.url}", _QUIET)
        for title, content in _sections(self.found, inner.max_width):
            yield Text(f"\n{title}" if title else "", _HEADING)
            yield from _lines(console.render_lines(content, inner, pad=False))
        yield ""
        wrong = self.found.wrong
        many = "One thing is wrong." if wrong == 1 else f"{wrong} things are wrong."
        yield Text(many, _WRONG) if wrong else Text("Nothing is wrong.", _GOOD)


def _sections(found: CorpusCheck, width: int) -> Iterable[tuple[str, Table]]:
    """Yield title and content of the sections that have something to say."""
    yield "", _facts(found)
    if found.targets:
        yield "Labels", _labels(found, width)
    if found.speakers.keys() - {None}:
        yield "Clips per speaker", _speakers(found, width)
    if found.partitions or found.protocols:
        yield "Folds", _divisions(found)
    if notes := [entry for entry in found.findings if not entry.wrong]:
        yield "To know", _findings(notes, _NOTE)
    if wrong := [entry for entry in found.findings if entry.wrong]:
        yield "Wrong", _findings(wrong, _WRONG)


def _lines(lines: Iterable[list[Segment]]) -> Iterable[Segment]:
    """Yield lines, indented, without the blanks at their ends that `rich` fills tables with."""
    for line in lines:
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            text, style, _ = line[-1]
            yield from (Segment(" " * _INDENT), *line[:-1], Segment(text.rstrip(), style))
        yield Segment.line()


def _facts(found: CorpusCheck) -> Table:
    grid = Table.grid(Column(style=_QUIET, min_width=_KEY_WIDTH), Column(overflow="fold"), padding=(0, _GAP))
    wanted = ("video" if found.options.audio else "video alone") if found.options.video else "audio"
    grid.add_row("folder", visible(found.options.path))
    grid.add_row("read as", ", ".join([found.options.reader, *found.parts, wanted]))
    grid.add_row("files", _files(found))
    grid.add_row("clips", f"{found.clips:,}, {filesize.decimal(found.size_bytes)}")
    grid.add_row("length", _length(found.lengths))
    grid.add_row("speakers", f"{len(found.speakers.keys() - {None}):,}")
    grid.add_row("sound", found.sound or "not listened to")
    if not found.targets:
        table = visible(sheets.unread(found.options))
        grid.add_row("labels", f"none are known; {table}" if table else "none are known")
    complete = not any(entry.wrong for entry in found.comparisons)
    for number, entry in enumerate(found.comparisons):
        style = _WRONG if entry.wrong else _GOOD if complete else ""
        grid.add_row("" if number else "published", Text(entry.words, style))
    return grid


def _files(found: CorpusCheck) -> str:
    kinds = [f"{number:,} {kind}" for kind, number in found.media.items()]
    if dict(found.media) == dict(found.read):
        return ", ".join(kinds)
    read = [f"{number:,} {kind}" for kind, number in found.read.items()]
    return f"{', '.join(kinds)}; read: {', '.join(read) or 'none'}"


def _length(lengths: Lengths | None) -> str:
    if lengths is None:
        return "not looked at"
    if lengths.hours is None:
        return "unknown: no header declares it"
    if lengths.margin_hours is None:
        return duration(lengths.hours)
    spread = f"from the headers of {lengths.opened:,} of {lengths.files:,} files, evenly spread"
    return f"about {duration(lengths.hours)} ± {duration(lengths.margin_hours)}, {spread}"


def visible(text: str) -> str:
    """Return text with control characters spelt out: names of files may hold line breaks and worse."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _labels(found: CorpusCheck, width: int) -> Table:
    grid = Table.grid(
        Column(no_wrap=True), Column(style=_QUIET, no_wrap=True), Column(justify="right", no_wrap=True),
        Column(overflow="fold"), padding=(0, _GAP),
    )  # fmt: skip
    columns = [(entry.name, entry.kind, f"{entry.clips:,}") for entry in found.targets]
    room = width - sum(max(map(len, column)) + _GAP for column in zip(*columns, strict=True))
    for entry, (name, kind, clips) in zip(found.targets, columns, strict=True):
        if entry.counts is None and entry.numbers is None and not entry.of:
            # What to do is told below, of those that are to be learnt.
            problem = (entry.problem or "nothing is known").partition(";")[0].replace(f"{found.options.path}/", "")
            grid.add_row(name, kind, "", Text(visible(problem), _NOTE))
        else:
            grid.add_row(name, kind, clips, _values(entry, room))
    return grid


def _values(entry: TargetFacts, width: int) -> str:
    if entry.of:
        return filled(entry.of, width)
    if entry.numbers is not None:
        least, mean, largest = entry.numbers
        return f"{least:g} to {largest:g}, mean {mean:.2f}"
    counts = sorted((entry.counts or {}).items(), key=lambda item: (-item[1], item[0]))
    shown = counts if len(counts) <= _CLASSES else counts[: _CLASSES - 1]
    words = [f"{visible(label)} {number:,}" for label, number in sorted(shown)]
    if rest := counts[len(shown) :]:
        words.append(f"{sum(number for _, number in rest):,} of {len(rest)} rarer classes")
    if entry.kind == "votes":
        words.append(f"{entry.ties:,} {'tie' if entry.ties == 1 else 'ties'}")
    return filled(words, width)


def filled(words: Sequence[str], width: int) -> str:
    """Return words in lines, none broken within: `rich` would part a number from its name.

    >>> filled(["ANG 12", "NEU 7", "SAD 3"], 14).splitlines()
    ['ANG 12, NEU 7,', 'SAD 3']
    """
    # White space that cannot be seen to part lines stands within words.
    joined = ", ".join(word.replace(" ", "\u00a0") for word in words)
    return textwrap.fill(joined, max(1, width), break_long_words=False, break_on_hyphens=False).replace("\u00a0", " ")


def _speakers(found: CorpusCheck, width: int) -> Table:
    labels = sorted({label for counts in found.speakers.values() for label in counts if label is not None})
    nothing = any(counts[None] for counts in found.speakers.values())
    columns: list[str | None] = [*labels, None] if nothing and labels else [*labels]
    rows = {
        "(unknown)" if speaker is None else visible(speaker): [*(counts[name] for name in columns), counts.total()]
        for speaker, counts in found.speakers.items()
    }
    titles = ["none" if label is None else visible(label) for label in columns] + ["all"]
    return _summary(rows, titles) if len(rows) > LISTED_SPEAKERS else _blocks(rows, titles, width)


def _summary(rows: Mapping[str, Sequence[int]], titles: Sequence[str]) -> Table:
    """Return, by label, least, median and most clips of a speaker, and who has the fewest."""
    right = [Column(justify="right", no_wrap=True) for _ in range(3)]
    grid = Table.grid(Column(no_wrap=True), *right, padding=(0, _GAP))
    grid.add_row("", "least", "median", "most", style=_QUIET)
    for title, numbers in zip(titles, zip(*rows.values(), strict=True), strict=True):
        grid.add_row(title, f"{min(numbers):,}", f"{statistics.median(numbers):,g}", f"{max(numbers):,}")
    fewest = sorted(rows.items(), key=lambda entry: (entry[1][-1], entry[0]))[:_SMALLEST]
    whole = Table.grid()
    whole.add_row(grid)
    whole.add_row(Text("fewest: " + ", ".join(f"{name} {row[-1]:,}" for name, row in fewest)))
    return whole


def _blocks(rows: Mapping[str, Sequence[int]], titles: Sequence[str], width: int) -> Table:
    """Return one line per speaker, in as many blocks side by side as fit; without labels where they do not fit."""
    gap = _GAP if len(rows) <= _FEW_SPEAKERS else 1
    widths = _widths(rows, titles)
    if sum(widths) + gap * len(titles) > width:
        rows, titles = {name: row[-1:] for name, row in rows.items()}, titles[-1:]
        widths = _widths(rows, titles)
    number = min(max(1, (width + _BETWEEN) // (sum(widths) + gap * len(titles) + _BETWEEN)), len(rows))
    height = -(-len(rows) // number)
    grid = Table.grid(padding=(0, gap, 0, 0))
    for _ in range(number):
        for place, column in enumerate(widths):
            grid.add_column(justify="right" if place else "left", width=column, no_wrap=True)
        grid.add_column(width=_BETWEEN - 2 * gap)
    grid.add_row(*["speaker", *titles, ""] * number, style=_QUIET)
    lines = [
        [Text(speaker), *(Text(f"{number:,}", "" if number else _QUIET) for number in row), Text("")]
        for speaker, row in rows.items()
    ]
    for line in range(height):
        grid.add_row(*[cell for cells in lines[line::height] for cell in cells])
    return grid


def _widths(rows: Mapping[str, Sequence[int]], titles: Sequence[str]) -> list[int]:
    names = max(len("speaker"), *(Text(name).cell_len for name in rows))
    columns = zip(*rows.values(), strict=True)
    return [names, *(max(len(title), len(f"{max(column):,}")) for title, column in zip(titles, columns, strict=True))]


def _divisions(found: CorpusCheck) -> Table:
    columns = Column(no_wrap=True), Column(style=_QUIET, no_wrap=True), Column(overflow="fold")
    grid = Table.grid(*columns, padding=(0, _GAP))
    for entry in found.partitions:
        grid.add_row(visible(entry.name), "partition", f"{entry.clips:,} clips of {entry.speakers:,} speakers")
    for entry in found.protocols:
        whole = entry.speakers == entry.published_speakers
        share = f"{'all' if whole else f'{entry.speakers:,} of'} {entry.published_speakers:,} speakers here"
        told = Text(f"{entry.folds} folds, ").append(share, "" if whole else _NOTE)
        grid.add_row(visible(entry.name), "published", told)
    if found.shared_speakers:
        shown = ", ".join(map(visible, found.shared_speakers[:3]))
        number = len(found.shared_speakers)
        text = f"{number:,} {'speaker is' if number == 1 else 'speakers are'} in several partitions, such as {shown}"
        grid.add_row("", "", Text(text, _NOTE))
    return grid


def _findings(findings: Sequence[Finding], style: str) -> Table:
    grid = Table.grid(Column(justify="right", no_wrap=True), Column(overflow="fold"), padding=(0, 1))
    for entry in findings:
        what = Text(entry.reason, style).append(f": {visible(entry.meaning)}", "default not bold")
        grid.add_row(Text(f"{entry.count:,} x" if entry.count else "", style), what)
        for example in entry.examples:
            grid.add_row("", Text(visible(example), _QUIET))
        if entry.count > len(entry.examples) > 0:
            grid.add_row("", Text(f"and {entry.count - len(entry.examples):,} more", _QUIET))
        grid.add_row("", f"what to do: {entry.fix}")
    return grid
