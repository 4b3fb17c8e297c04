"""Corpora by name: which files are clips, who speaks, and what the corpus knows of each."""

from avpretext.corpora.reader import Clip, Reader
from avpretext.corpora.scan import (
    READERS,
    ClipFile,
    annotations,
    fingerprint,
    fingerprints,
    reader_of,
    scan,
    target_of,
)

__all__ = [
    "READERS",
    "Clip",
    "ClipFile",
    "Reader",
    "annotations",
    "fingerprint",
    "fingerprints",
    "reader_of",
    "scan",
    "target_of",
]
