"""Where everything lies: the only place that knows how results are laid out."""

import hashlib
import posixpath
import re
from pathlib import Path

from avpretext.flow.artefacts import ARTEFACTS

CHECKPOINT = "checkpoint.safetensors"
"""File of the weights of a pre-training."""

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


def copy_of(corpus: str, speed: float) -> str:
    """Return the name of a corpus played at another speed.

    >>> copy_of("ravdess", 0.840)
    'ravdess@0.84'
    """
    return f"{corpus}@{speed:g}"


def original_of(name: str) -> str:
    """Return the name of a corpus, or of a clip `{corpus}/{clip_id}`, without the speed of a copy.

    >>> original_of("ravdess@0.84/x@y"), original_of("ravdess@0.84"), original_of("ravdess/x@y")
    ('ravdess/x@y', 'ravdess', 'ravdess/x@y')
    """
    corpus, slash, clip_id = name.partition("/")
    return corpus.partition("@")[0] + slash + clip_id


class Results:
    """Paths below a results folder, by the names of artefacts (`flow.artefacts`).

    >>> results = Results("results")
    >>> results.path("landmarks.thumbnails", corpus="demo", shard=3)
    'results/demo/landmarks/thumbnails/0003.parquet'
    >>> results.path("evaluate.metrics", corpus="demo")
    'results/demo/evaluate/{setting}/metrics.parquet'
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._prefix = str(self.folder / "x")[:-1]

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


class Layout:
    """Paths below the results folder; each may hold Snakemake wildcards such as `{corpus}`."""

    def __init__(self, results: str | Path) -> None:
        self.results = Path(results)
        self._prefix = str(self.results / "x")[:-1]

    def shard(self, corpus: str, stage: str, shard: int | str, artefact: str | None = None) -> str:
        """Return the path of one shard of a stage: `results/{corpus}/{stage}[/{artefact}]/{shard}.parquet`."""
        # Plain string work: a plan of thousands of shards asks this of every file of every job.
        name = shard if isinstance(shard, str) else f"{shard:04d}"
        within = f"{stage}/{artefact}" if artefact else stage
        return f"{self._prefix}{corpus}/{within}/{name}.parquet"

    def shards(self, corpus: str, stage: str, count: int, artefact: str | None = None) -> list[str]:
        """Return the paths of all `count` shards of a stage."""
        return [self.shard(corpus, stage, shard, artefact) for shard in range(count)]

    def corpus(self, corpus: str, stage: str, name: str = "all") -> str:
        """Return the path of an artefact that covers a whole corpus: `results/{corpus}/{stage}/{name}.parquet`."""
        return str(self.results / corpus / stage / f"{name}.parquet")

    def pretrain(self, aggregator: str, tasks: str, name: str) -> str:
        """Return a file of the pre-trainings on a set of tasks: `results/pretrain/{aggregator}/{tasks}/{name}`."""
        return str(self.results / "pretrain" / aggregator / tasks / name)

    def checkpoint(self, aggregator: str, tasks: str, seed: int) -> str:
        """Return the weights of one pre-training: `checkpoint.safetensors` in a folder named by its number."""
        return self.pretrain(aggregator, tasks, f"{seed}/{CHECKPOINT}")

    def listing(self, corpus: str) -> str:
        """Return the file in which a run notes what it found in a corpus; its name is none of a shard."""
        return str(self.results / corpus / "index" / "listing")

    def targets(self, corpus: str, target: str) -> str:
        """Return the table of one label target of a corpus: `results/{corpus}/targets/{target}.parquet`."""
        return self.corpus(corpus, "targets", target)

    def folds(self, corpus: str, setting: str) -> str:
        """Return the table of folds of one setting (target and protocol, such as `voice.chou`)."""
        return self.corpus(corpus, "folds", setting)

    def finetune(self, corpus: str, setting: str, variant: str, initialisation: str, name: str) -> str:
        """Return a file of the fine-tuning runs of one setting, variant (such as `base.mean`) and initialisation."""
        return str(self.results / corpus / "finetune" / setting / variant / initialisation / name)

    def co_occurrence(self, corpus: str, setting: str) -> str:
        """Return the table of how often raters name two emotions together, in the training clips of a setting."""
        return self.corpus(corpus, "co_occurrence", setting)

    def deepemocluster(self, corpus: str, setting: str, name: str) -> str:
        """Return a file of the DeepEmoCluster runs of one setting."""
        return str(self.results / corpus / "deepemocluster" / setting / name)

    def baseline(self, corpus: str, setting: str) -> str:
        """Return the predictions of the baselines in one setting."""
        return str(self.results / corpus / "baseline" / setting / "predictions.parquet")

    def ensemble(self, corpus: str, setting: str) -> str:
        """Return the predictions of the ensembles in one setting."""
        return str(self.results / corpus / "ensemble" / setting / "predictions.parquet")

    def export(self, corpus: str, setting: str, initialisation: str, name: str) -> str:
        """Return a file of the folder of one trained model: `results/{corpus}/export/{setting}/{initialisation}/`."""
        return str(self.results / corpus / "export" / setting / initialisation / name)

    def evaluate(self, corpus: str, setting: str, name: str) -> str:
        """Return a file of scores of one setting: `results/{corpus}/evaluate/{setting}/{name}.parquet`."""
        return str(self.results / corpus / "evaluate" / setting / f"{name}.parquet")

    def orofacial(self, system: str, name: str) -> str:
        """Return a file of one orofacial system: `results/orofacial/{system}/{name}`."""
        return str(self.results / "orofacial" / system / name)

    def orofacial_page(self) -> str:
        """Return the path of the HTML page of the orofacial systems."""
        return str(self.results / "orofacial.html")

    def models(self, name: str) -> str:
        """Return the path of a downloaded model file."""
        return str(self.results / "models" / name)

    def table(self, name: str) -> str:
        """Return the path of a result table, with its extension."""
        return str(self.results / "tables" / name)

    def report(self) -> str:
        """Return the path of the HTML report."""
        return str(self.results / "report.html")

    def ablation_page(self) -> str:
        """Return the path of the ablation's HTML page."""
        return str(self.results / "ablation.html")

    def log(self, *parts: str) -> str:
        """Return the path of a log file, named like the artefact that the job makes."""
        return str(self.results.joinpath("logs", *parts)) + ".log"

    def benchmark(self, *parts: str) -> str:
        """Return the path of a Snakemake benchmark file: seconds and memory of the job."""
        return str(self.results.joinpath("benchmarks", *parts)) + ".tsv"
