"""Corpora for tests: their options, and files that hold nothing."""

from pathlib import Path

from avpretext.config import CorpusOptions


def corpus(path: Path | str = ".", reader: str = "folder", **more: object) -> CorpusOptions:
    """Return the options of a corpus."""
    return CorpusOptions.model_validate({"path": str(path), "reader": reader, "use": ["finetune"], **more})


def touch(root: Path, *names: str) -> None:
    """Make files of one byte."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
