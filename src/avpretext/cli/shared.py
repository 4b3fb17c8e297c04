"""What the commands share: options, the configuration, limits of threads."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from avpretext.config import Config, CorpusOptions
from avpretext.config_file import load
from avpretext.errors import UserError, nearest
from avpretext.run.signature import parse_signature

STAGE, TOOL = "Stages, in the order of the flow (the workflow runs them)", "Commands"
MORE_WORDS = {"allow_extra_args": True}
"""Settings of a command that takes one folder, and explains what is wrong with several words (`expect_one_folder`)."""

CONFIG = Path("config.yaml")
CORES = os.cpu_count() or 1
Outside = Annotated[
    bool, typer.Option("--outside", help="Let paths in the table lead out of the folder, as with `outside: true`.")
]
SpeakerFolderNumber = Annotated[
    int | None, typer.Option(help="Reader folder: which folder is the speaker; 1 the outermost, -1 the innermost.")
]
Parts = Annotated[list[str] | None, typer.Option(help="Part of the corpus; repeatable.")]
ConfigFile = Annotated[Path, typer.Option("--config", help="Configuration file.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads to use.")]
THREAD_LIMITS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "ARROW_IO_THREADS",
)  # fmt: skip


def config_of(config: Path, options: str) -> Config:
    """Return the options of a command: from its JSON if given, else from the configuration file."""
    return parse_signature(options) if options else load(config)


def chosen_file(file: Path | None, config: Path) -> Path:
    """Return the configuration that is named, as an argument or by `--config`; both is an error."""
    if file is not None and config not in (CONFIG, file):
        raise UserError(f"{file} and --config {config}: name one configuration")
    return file or config


def expect_one_folder(folder: Path | None, more: Sequence[str]) -> None:
    """Raise UserError for files in place of a corpus's folder, and for words after it: a shell expands patterns."""
    from avpretext.corpora.scan import check_one_folder

    if folder is not None:
        check_one_folder(folder)
    if more:
        raise UserError(f"{more[0]!r}: unexpected; one folder is expected, and options before or after it")


def corpus_options(config: Config, name: str) -> CorpusOptions:
    """Return the options of a corpus."""
    if name not in config.corpora:
        raise UserError(f"no corpus {name!r} in the configuration{nearest(name, config.corpora)}")
    return config.corpora[name]


def limit_pools(threads: int) -> None:
    """Limit libraries' thread pools, before they are imported: numpy and polars read their limits once."""
    for limit in THREAD_LIMITS:
        os.environ[limit] = str(threads)
    # torch asks for large pages: a batch of chunks is tens of megabytes, fresh each time (benchmarks/chunking.md).
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
