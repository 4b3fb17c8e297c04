"""Why a clip is refused, and its row in `rejects`."""

from dataclasses import dataclass

from avpretext.flow.schemas import REASONS


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
