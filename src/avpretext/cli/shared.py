"""What the commands share: options, the configuration, limits of threads."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from avpretext.config import Config, CorpusOptions
from avpretext.config_file import load
from avpretext.errors import UserError, nearest
from avpretext.programs import command
from avpretext.run.signature import parse_signature

STAGE, TOOL = "Stages, in the order of the flow (the workflow runs them)", "Commands"
MORE_WORDS = {"allow_extra_args": True}
"""Settings of a command that takes one folder, and explains what is wrong with several words (`expect_one_folder`)."""

TYPED = "avpretext.typed"
"""Key of the context's `meta`: the words that were typed after `avpretext`."""

YAML = (".yaml", ".yml")
OPTION_OF = {
    "init": {"": "--corpus"}, "tensorboard": {"": "--results"}, "compare-aus": {".csv": "--output"},
    "inspect": {".png": "--output", ".mp4": "--output"},
    "animate": {".mp4": "--film", ".csv": "--blendshapes"},
}  # fmt: skip
"""The option that is meant by a word too many, by command and by how the word ends; else `--config` for `YAML`."""

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


def expect_one_folder(folder: Path | None, context: typer.Context) -> None:
    """Raise UserError for files in place of a corpus's folder, and for words after it: a shell expands patterns."""
    from avpretext.corpora.scan import check_one_folder

    if folder is not None:
        check_one_folder(folder)
    elif context.args:
        check_one_folder(Path(context.args[0]), "--corpus ")
    refuse_more(context)


def refuse_more(context: typer.Context) -> None:
    """Raise UserError for words that are no argument of a command; the message has the command with its option."""
    if not context.args:
        return
    word, typed, options = context.args[0], list(context.meta[TYPED]), _options_left(context)
    named = context.params.get("file")
    if named is not None and "config" in context.params and word.lower().endswith(YAML):
        raise UserError(f"{word!r}: unexpected; {str(named)!r} is the configuration: name one")
    of_command = OPTION_OF.get(typed[0], {}) | dict.fromkeys(YAML, "--config")
    meant = next((option for ending, option in of_command.items() if word.lower().endswith(ending)), None)
    if len(context.args) == 1 and meant in options:
        place = len(typed) - 1 - typed[::-1].index(word)
        typed[place : place + 1] = [meant, word]
        raise UserError(f"{word!r}: unexpected; did you mean: {command(shlex.join(['avpretext', *typed]))}")
    usage = command(" ".join(["avpretext", typed[0], *context.command.collect_usage_pieces(context)]))
    raise UserError(f"{word!r}: unexpected; expected {usage}; options with a value: {', '.join(options) or 'none'}")


def _options_left(context: typer.Context) -> list[str]:
    """Return the options of a command that take a value and were not given one."""
    return [
        one.opts[0]
        for one in context.command.params
        if one.opts[0].startswith("--")
        and not getattr(one, "is_flag", False)
        and context.get_parameter_source(one.name or "").name == "DEFAULT"  # type: ignore[union-attr]
    ]


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
