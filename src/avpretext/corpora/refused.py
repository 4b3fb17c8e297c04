"""Which files of a corpus are refused or will be, as findings of its check."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from avpretext.config import CorpusOptions
from avpretext.corpora.checks.headers import FileHeader, have_no_sound, refuse_by_header
from avpretext.corpora.findings import Finding, counted
from avpretext.corpora.reader import Clip
from avpretext.corpora.scan import ClipFile
from avpretext.refusal import REASONS, Refusal

EXPECTED = frozenset({"known_broken"})
"""Reasons that a whole and sound copy has too."""


def refused(
    files: Sequence[ClipFile],
    clips: Mapping[str, Sequence[Clip]],
    opened: Mapping[str, FileHeader | Refusal],
    options: CorpusOptions,
) -> list[Finding]:
    """Return what is or will be refused, the most frequent reason first: by the scan, then by headers."""
    scanned = [(file.path, file.refusal) for file in files]
    silent = options.audio and options.video and have_no_sound(opened.values())
    heard = options.audio and not silent
    declared = [(path, refuse_by_header(header, clips[path], options.video, heard)) for path, header in opened.items()]
    sampled = f" (of {len(opened):,} files opened, of {len(clips):,}; --headers all opens every one)"
    looked_at = sampled if len(opened) < len(clips) else ""
    mute = [path for path, refusal in declared if refusal is None] if silent else []
    return [
        *_by_reason(scanned, ""),
        *counted("no_sound", f"no file has an audio stream: all will be refused{looked_at}", mute, wrong=True),
        *_by_reason(declared, looked_at),
    ]


def _by_reason(refused: Iterable[tuple[str, Refusal | None]], looked_at: str) -> list[Finding]:
    of_reason = defaultdict(list)
    for path, refusal in refused:
        if refusal is not None:
            of_reason[refusal.reason].append(f"{path} ({refusal.detail})" if refusal.detail else path)
    return [
        finding
        for reason, seen in sorted(of_reason.items(), key=lambda entry: (-len(entry[1]), entry[0]))
        for finding in counted(reason, REASONS[reason] + looked_at, seen, reason not in EXPECTED)
    ]
