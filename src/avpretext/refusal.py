"""Why a clip is refused, its row in `rejects`, and the reasons that a file shows before it is decoded."""

import os
from dataclasses import dataclass

from avpretext.flow.schemas import REASONS

_LFS_POINTER = b"version https://git-lfs"
_ANNEX_POINTER = b"/annex/objects/"
_POINTER_BYTES = 1024
"""A pointer is shorter, by the specification of Git LFS, and by what git-annex writes."""

_FETCH = "its content is kept by git-annex and is not here: run `datalad get .` or `git annex get .` in the corpus"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason from `schemas.REASONS`, and what was seen, in few words."""

    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise ValueError(f"{self.reason!r} is not one of {', '.join(REASONS)}")


def reject_row(clip_id: str, path: str | None, stage: str, refusal: Refusal) -> dict[str, str | None]:
    """Return the row of `schemas.REJECTS` for a refused clip; the stage `rejects` fills in a path that is not known."""
    return {
        "clip_id": printable(clip_id),
        "path": None if path is None else printable(path),
        "stage": stage,
        "reason": refusal.reason,
        "detail": printable(refusal.detail),
    }


def printable(text: str) -> str:
    """Return text that UTF-8 can hold: bytes of a file name that are not UTF-8 become question marks."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


UNREADABLE = Refusal("unreadable", "not a file that can be read: a broken link, a pipe, or not permitted")


def refuse_path(path: str, size_bytes: int | None = None) -> Refusal | None:
    """Return why a file cannot be decoded, None if it may be; a size that is not given is asked of the disk."""
    if not os.access(path, os.R_OK) or (size_bytes is None and not os.path.isfile(path)):
        if is_annexed(path):
            return Refusal("unreadable", _FETCH)
        return UNREADABLE if os.path.lexists(path) else Refusal("missing_file", "no such file")
    size = os.path.getsize(path) if size_bytes is None else size_bytes
    if size == 0:
        return Refusal("empty_file")
    if size < _POINTER_BYTES and (start := _start_of(path)).startswith((_LFS_POINTER, _ANNEX_POINTER)):
        return Refusal("lfs_pointer", _FETCH if start.startswith(_ANNEX_POINTER) else "")
    return None


def is_annexed(path: str) -> bool:
    """Tell whether a link stands for content that git-annex keeps."""
    return os.path.islink(path) and os.fsencode(os.readlink(path)).find(_ANNEX_POINTER) >= 0


def _start_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(max(len(_LFS_POINTER), len(_ANNEX_POINTER)))
