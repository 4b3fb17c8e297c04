"""What the commands share: the application, kinds of options, and the way to a stage's function."""

import importlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from avpretext import __version__
from avpretext.config import Config, CorpusOptions
from avpretext.config_file import load, parse
from avpretext.errors import UserError, nearest
from avpretext.flow.paths import expand
from avpretext.flow.stages import STAGES, parse_signature

app = typer.Typer(
    name="avpretext",
    help="From talking-face video to self-supervision for speech emotion recognition, and to what it is worth. "
    "The workflow (`snakemake --cores 16`) runs these commands; each also runs by hand.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
STAGE, TOOL = "Stages, in the order of the flow", "Tools"

ConfigFile = Annotated[Path, typer.Option("--config", help="Configuration file.")]
OptionsText = Annotated[str, typer.Option("--options", help="The stage's options as JSON, in place of --config.")]
Output = Annotated[Path, typer.Option(help="Parquet file to write.")]
OutputFolder = Annotated[Path, typer.Option(help="Folder to write.")]
Rejects = Annotated[Path, typer.Option(help="Parquet file for refused clips.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads to use.")]
Name = Annotated[str, typer.Option("--corpus", help="Name of the corpus in the configuration.")]
Shard = Annotated[Path, typer.Option(help="One shard of the stage before.")]
ShardSets = Annotated[list[str], typer.Option(help="CORPUS=SHARDS, repeatable.")]
FeatureSets = Annotated[list[str], typer.Option(help="CORPUS.FEATURES=SHARDS, repeatable; speech, log_mel, ...")]
VectorSets = Annotated[list[str], typer.Option(help="CORPUS.VECTORS=SHARDS, repeatable; functionals, statistics.")]
Folds = Annotated[Path, typer.Option(help="Table of folds.")]
Files = Annotated[list[str], typer.Option(help="CORPUS=FILE, repeatable.")]
ShardSet = Annotated[str, typer.Option(help="Shards: a folder, FOLDER@COUNT for its first COUNT, or a file.")]
CONFIG = Path("config.yaml")
CORES = os.cpu_count() or 1
THREAD_LIMITS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "ARROW_IO_THREADS",
)  # fmt: skip


def config_of(config: Path, options: str) -> Config:
    """Return the options of a command: from its JSON if given, else from the configuration file."""
    return parse_signature(options) if options else load(config)


def limit_pools(threads: int) -> None:
    """Limit libraries' thread pools, before they are imported: numpy and polars read their limits once."""
    for limit in THREAD_LIMITS:
        os.environ[limit] = str(threads)


def stage_function(stage: str, threads: int = 1) -> Any:
    """Return the function of a stage."""
    limit_pools(threads)
    # torch asks for large pages: a batch of chunks is tens of megabytes, fresh each time (benchmarks/chunking.md).
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    return importlib.import_module(STAGES[stage].module).run


def named(entries: list[str], option: str) -> dict[str, str]:
    """Split NAME=VALUE entries.

    >>> named(["demo=results/demo/speech@2"], "--speech")
    {'demo': 'results/demo/speech@2'}
    """
    for entry in entries:
        if "=" not in entry:
            raise UserError(f"{option} {entry!r}: expected NAME=VALUE")
    return dict(entry.split("=", 1) for entry in entries)


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"avpretext {__version__}")


def shards_by_name(entries: list[str], option: str) -> dict[str, Sequence[Path]]:
    """Split CORPUS=SHARDS entries and return the files of each."""
    return {name: expand(entry) for name, entry in named(entries, option).items()}


def sets_by_name(entries: list[str], option: str) -> dict[str, dict[str, Sequence[Path]]]:
    """Split CORPUS.NAME=SHARDS entries and return the files of each, by corpus and name."""
    sets: dict[str, dict[str, Sequence[Path]]] = {}
    for key, shards in named(entries, option).items():
        corpus, dot, name = key.rpartition(".")
        if not dot:
            raise UserError(f"{option} {key}={shards}: expected CORPUS.NAME=SHARDS, such as mine.speech=FOLDER")
        sets.setdefault(corpus, {})[name] = expand(shards)
    return sets


def files_by_name(entries: list[str], option: str) -> dict[str, Path]:
    """Split CORPUS=FILE entries."""
    return {name: Path(entry) for name, entry in named(entries, option).items()}


def file_lists_by_name(entries: list[str], option: str) -> dict[str, list[Path]]:
    """Split NAME=FILE entries, of which several may have one name.

    >>> {name: len(files) for name, files in file_lists_by_name(["a=x", "b=y", "a=z"], "--checkpoint").items()}
    {'a': 2, 'b': 1}
    """
    found: dict[str, list[Path]] = {}
    for entry in entries:
        for name, file in files_by_name([entry], option).items():
            found.setdefault(name, []).append(file)
    return found


def corpus_options(config: Config, name: str) -> CorpusOptions:
    """Return the options of a corpus."""
    if name not in config.corpora:
        raise UserError(f"no corpus {name!r} in the configuration{nearest(name, config.corpora)}")
    return config.corpora[name]


def whole_config(config: Path, options: str) -> Config:
    """Return the whole configuration: from its JSON if given, else from the file."""
    return parse(json.loads(options), "--options") if options else load(config)


def summaries() -> dict[str, str]:
    """Return what each command does, in a sentence, by its name: the first line of its help."""
    import avpretext.cli  # noqa: F401 (all commands are registered on import)

    return {
        command.name or command.callback.__name__: (command.callback.__doc__ or "").splitlines()[0]
        for command in app.registered_commands
        if command.callback is not None
    }
