"""Why a clip is refused, its row in `rejects`, and the reasons that a file shows before it is decoded."""

import os
from dataclasses import dataclass

from avpretext.errors import MachineFault, raise_fault

REASONS = {
    "unknown_name": "the file name is not one that the corpus uses",
    "duplicate_clip_id": "another file of the corpus has the same clip_id",
    "lfs_pointer": "the file is a Git LFS pointer: run `git lfs pull` in the corpus",
    "known_broken": "the corpus lists this clip as broken",
    "empty_file": "the file has no bytes",
    "not_media": "ffmpeg finds no audio or video in the file",
    "no_audio": "the file has no audio stream; for labels of its face alone set corpora.NAME.audio: false",
    "no_video": "the file has no video stream",
    "truncated": "the file ends before the duration or the size that it declares, or within a packet",
    "lost_sound": "more than a tenth of the clip has pictures and no sound, or lies in gaps of the sound",
    "decode_error": "ffmpeg cannot decode the file",
    "too_short": "the clip is shorter than split.min_duration_s",
    "too_long": "the clip is longer than split.max_duration_s",
    "timeout": "decoding took more processor time than its limit, or stood still",
    "no_face": "no face is found in enough of the frames",
    "unreadable": "the file cannot be opened",
    "missing_file": "a row of the corpus's table names a file that is not there",
    "unlisted": "the corpus's table has no row for the file",
    "bad_segment": "the clip's start and end are no stretch of its file, or overlap those of another clip",
    "no_segments": "nothing in the recording makes a clip; see `segment`",
    "no_text": "phones: it is not known what is said; give a transcript, or set phones.backend: recognise",
    "unknown_word": "phones: a word is in no dictionary; add it to a file named phones.dictionary",
    "silent": "there is no sound in the clip; for labels of its face alone set corpora.NAME.audio: false",
    "no_alignment": "phones: the sound does not fit what is said to be said",
    "no_phones": "phones: no file or truth has the phones of the clip, or none that can be read",
}
"""Why a clip can be refused: the fixed list."""

_LFS_POINTER = b"version https://git-lfs"
_ANNEX_POINTER = b"/annex/objects/"
_BLOCK_BYTES = 1 << 20
_POINTER_BYTES = 1024
"""A pointer is shorter, by the specification of Git LFS, and by what git-annex writes."""

_FETCH = "its content is kept by git-annex and is not here: run `datalad get .` or `git annex get .` in the corpus"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason from `REASONS`, and what was seen, in few words."""

    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise ValueError(f"{self.reason!r} is not one of {', '.join(REASONS)}")


def reject_row(clip_id: str, path: str | None, stage: str, refusal: Refusal) -> dict[str, str | None]:
    """Return the row of `rejects` for a refused clip; the stage `rejects` fills in a path that is not known."""
    return {
        "clip_id": printable(clip_id),
        "path": None if path is None else printable(path),
        "stage": stage,
        "reason": refusal.reason,
        "detail": printable(refusal.detail),
    }


def printable(text: str) -> str:
    """Return text that UTF-8 can hold: bytes of a file name that are not UTF-8 become question marks."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


UNREADABLE = Refusal("unreadable", "not a file that can be read: a broken link, a pipe, or not permitted")


def refuse_path(path: str, size_bytes: int | None = None) -> Refusal | None:
    """Return why a file cannot be decoded, None if it may be; a size that is not given is asked of the disk.

    A disk that fails is a `MachineFault`.
    """
    if not os.access(path, os.R_OK) or (size_bytes is None and not os.path.isfile(path)):
        status_of(path)
        if is_annexed(path):
            return Refusal("unreadable", _FETCH)
        return UNREADABLE if os.path.lexists(path) else Refusal("missing_file", "no such file")
    size = os.path.getsize(path) if size_bytes is None else size_bytes
    if size == 0:
        return Refusal("empty_file")
    if size < _POINTER_BYTES and (start := _start_of(path)).startswith((_LFS_POINTER, _ANNEX_POINTER)):
        return Refusal("lfs_pointer", _FETCH if start.startswith(_ANNEX_POINTER) else "")
    return None


def status_of(path: str) -> os.stat_result | None:
    """Return what the disk tells of a file, links followed; None for no file. A disk that fails is a `MachineFault`."""
    try:
        return os.stat(path)
    except OSError as error:
        raise_fault(error, path)
    return None


def check_listed(path: str) -> None:
    """Raise a `MachineFault` where a file that the index lists is gone: its disk may come back without it changed."""
    if not os.path.lexists(path):
        raise MachineFault(path, "the file was there when the corpus was listed, and is gone")


def check_readable(path: str) -> None:
    """Raise a `MachineFault` where a file that is there cannot be read from its start to its end."""
    try:
        with open(path, "rb", buffering=0) as file:
            while file.read(_BLOCK_BYTES):
                pass
    except OSError as error:
        raise_fault(error, path)


def is_annexed(path: str) -> bool:
    """Tell whether a link stands for content that git-annex keeps."""
    return os.path.islink(path) and os.fsencode(os.readlink(path)).find(_ANNEX_POINTER) >= 0


def _start_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(max(len(_LFS_POINTER), len(_ANNEX_POINTER)))
    except OSError as error:
        raise_fault(error, path)
    return b""
