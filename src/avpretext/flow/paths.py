"""Where everything lies: the only place that knows how results are laid out."""

import hashlib
import os
import posixpath
import re
from pathlib import Path

from avpretext.flow.artefacts import ARTEFACTS

CHECKPOINT = "checkpoint.safetensors"
"""File of the weights of a pre-training."""

COPIES = "AVPRETEXT_COPIES"
"""Environment variable of a job whose results are in a bucket: the folder that holds its local copies."""

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def shard_of(clip_id: str, shards: int) -> int:
    """Return the shard of a clip: a stable hash, so that adding a clip touches one shard.

    >>> shard_of("1001_DFA_ANG_XX", 4) == shard_of("1001_DFA_ANG_XX", 4)
    True
    """
    digest = hashlib.blake2b(clip_id.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards


def is_outside(path: str) -> bool:
    """Tell whether a path leaves the folder that it is relative to.

    >>> [is_outside(path) for path in ("a/../b.mp4", "a/../../b.mp4", "/b.mp4", "..b.mp4")]
    [False, True, True, False]
    """
    plain = posixpath.normpath(path)
    return plain.startswith(("/", "../")) or plain == ".." or _DRIVE.match(plain) is not None


def expand(shards: str | Path) -> list[Path]:
    """Return the files of a set of shards.

    Parameters
    ----------
    shards
        A Parquet file; a folder, for all shards in it; or `FOLDER@COUNT`, for shards 0 to COUNT - 1: what the workflow
        uses, since a folder may still hold shards of an earlier, larger count.
    """
    folder, at, count = str(shards).rpartition("@")
    if at and count.isdigit():
        return [Path(folder) / f"{shard:04d}.parquet" for shard in range(int(count))]
    path = Path(shards)
    if path.is_dir():
        return sorted(path.glob("*.parquet"))
    return [path]


def copy_of(corpus: str, form: float | str) -> str:
    """Return the name of a corpus played at another speed, or heard in a condition.

    >>> copy_of("ravdess", 0.840), copy_of("ravdess", "noise10")
    ('ravdess@0.84', 'ravdess@noise10')
    """
    return f"{corpus}@{form if isinstance(form, str) else f'{form:g}'}"


def original_of(name: str) -> str:
    """Return the name of a corpus, or of a clip `{corpus}/{clip_id}`, without that which makes it a copy.

    >>> original_of("ravdess@0.84/x@y"), original_of("ravdess@0.84"), original_of("ravdess/x@y")
    ('ravdess/x@y', 'ravdess', 'ravdess/x@y')
    """
    corpus, slash, clip_id = name.partition("/")
    return corpus.partition("@")[0] + slash + clip_id


def condition_of(name: str) -> str:
    """Return in which condition a corpus, or a clip `{corpus}/{clip_id}`, is heard; empty: as it is, or at a speed.

    >>> condition_of("ravdess@noise10/x@y"), condition_of("ravdess@0.84"), condition_of("ravdess/x@y")
    ('noise10', '', '')
    """
    form = name.partition("/")[0].partition("@")[2]
    return form if form[:1].isalpha() else ""


class Layout:
    """Paths below a results folder, by the names of artefacts (`flow.artefacts`).

    >>> layout = Layout("results")
    >>> layout.path("landmarks.thumbnails", corpus="demo", shard=3)
    'results/demo/landmarks/thumbnails/0003.parquet'
    >>> layout.path("evaluate.metrics", corpus="demo")
    'results/demo/evaluate/{setting}/metrics.parquet'
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._prefix = str(self.folder / "x")[:-1]

    @classmethod
    def of_run(cls, results: str) -> "Layout":
        """Return the paths below the folder that a configuration names, or below a job's local copy of it."""
        return cls(os.path.join(os.environ.get(COPIES, ""), results))

    def path(self, artefact: str, **parts: str | int) -> str:
        """Return the path of an artefact; wildcards that no part is given for stay as they are."""
        # Plain string work: a plan of thousands of shards asks this of every file of every job.
        place = ARTEFACTS[artefact].place
        for name, value in parts.items():
            text = f"{value:04d}" if name == "shard" and isinstance(value, int) else str(value)
            place = place.replace(f"{{{name}}}", text)
        return self._prefix + place

    def shards(self, artefact: str, corpus: str, count: int) -> list[str]:
        """Return the paths of all `count` shards of an artefact."""
        before, after = self.path(artefact, corpus=corpus).split("{shard}")
        return [f"{before}{shard:04d}{after}" for shard in range(count)]

    def place_of(self, path: str) -> str:
        """Return where a path lies below the folder."""
        return path.removeprefix(self._prefix)

    def beside(self, kind: str, extension: str, stage: str, pattern: str) -> str:
        """Return the log or benchmark file of a job, named like what it makes: `logs/demo/speech/0000.log`.

        Parameters
        ----------
        kind
            Folder: `logs`, `benchmarks`.
        extension
            Of the file, with its dot.
        stage
            The stage of the job.
        pattern
            Path of its first output, with wildcards.
        """
        corpus, _, rest = self.place_of(pattern).partition("/")
        of_corpus = [corpus] if "{" in corpus else []
        wildcards = re.findall(r"\{\w+\}", rest)
        return str(self.folder.joinpath(kind, *of_corpus, stage, *wildcards)) + extension
