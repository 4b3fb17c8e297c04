"""A command for every stage of the registry, made from the signature of its function `run`.

By the type of a parameter:

- options (a group of the configuration), the whole `Config`, `seed`: taken from the configuration;
- `CorpusOptions`, or `corpus: str`: `--corpus NAME` of the configuration;
- `str`, `float` without a default: an argument; several words, joined by -, for a sequence of them;
- `Path`, `int`, one of several words with a default: `--name VALUE`;
- a sequence of paths: `--name SHARDS`, repeatable: a file, a folder, or FOLDER@COUNT for its first shards;
- a mapping to paths: `--name KEY=SHARDS`, repeatable; of mappings: `--name CORPUS.KEY=SHARDS`;
- the same or None: an option that may be missing, such as the checkpoints of what starts from scratch;
- a dataclass: each of its fields; a mapping to dataclasses: each field, `--name KEY=...`.

A parameter of another type that has a default is for callers in Python alone.
"""

import collections.abc
import dataclasses
import importlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from typer.core import TyperGroup

from avpretext import escapes
from avpretext.cli.shared import (
    CONFIG,
    MORE_WORDS,
    STAGE,
    TYPED,
    ConfigFile,
    Threads,
    config_of,
    corpus_options,
    limit_pools,
    refuse_more,
)
from avpretext.config import Config, CorpusOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import ARTEFACTS, STAGES
from avpretext.flow.paths import expand
from avpretext.flow.registry import Stage
from avpretext.run.signature import parse_signature

FIRST = (
    "init", "corpus", "doctor", "demo", "predict", "serve", "inspect", "labels-to", "search", "config", "push",
    "animate", "tensorboard",
)  # fmt: skip
"""Commands in the order in which a user meets them; others follow."""

SHARDS = (
    "SHARDS is a file, a folder of shards, or FOLDER@COUNT for the first COUNT shards of a folder. KEY=SHARDS names"
    " whose they are: CORPUS=SHARDS those of a corpus, as `--targets crema_d=results/crema_d/targets/acted.parquet`; of"
    " several corpora, repeat the option. Where a corpus has several kinds of them it is CORPUS.KEY=SHARDS, as"
    " `--features crema_d.speech=results/crema_d/speech`."
)
"""What the help of a stage says of its inputs."""


class Commands(TyperGroup):
    """The tools, and a command for every stage, in the order of the flow."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands: first those that users call, then the stages."""
        own = [name for name in super().list_commands(ctx) if name not in STAGES]
        known = [name for name in FIRST if name in own]
        return [*known, *(name for name in own if name not in known), *STAGES]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command to list: of a stage its name and summary, since its module takes long to import."""
        found = super().get_command(ctx, cmd_name)
        return _command(STAGES[cmd_name], lambda: None) if found is None and cmd_name in STAGES else found

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command to call, after its module is imported under the limits of threads."""
        name = args[0]
        if name in STAGES and super().get_command(ctx, name) is None:
            limit_pools(_threads(args))
            stage = STAGES[name]
            run = importlib.import_module(stage.module).run
            given = {parameter: _named(place) for parameter, place in stage.given.items()}
            return name, _plain(_command(stage, _function(run, given)), args), args[1:]
        found, command, rest = super().resolve_command(ctx, args)
        return found, _plain(command, args), rest


def _plain(command: Any, typed: list[str]) -> Any:
    """Return a command that prints no colours, which names may hold (its help does), and explains words too many."""
    invoke, explains_more = command.invoke, command.context_settings == MORE_WORDS
    command.allow_extra_args = True

    def plainly(ctx: Any) -> Any:
        escapes.without_colours()
        ctx.meta[TYPED] = typed
        if not explains_more:
            refuse_more(ctx)
        return invoke(ctx)

    command.invoke = plainly
    return command


def _command(stage: Stage, function: Callable[..., None]) -> Any:
    one = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)
    told = any("SHARDS" in str(getattr(one, "metavar", "")) for one in _options_of(function))
    one.command(stage.name, help=stage.summary, epilog=SHARDS if told else None, rich_help_panel=STAGE)(function)
    return typer.main.get_command(one)


def _options_of(function: Callable[..., None]) -> Iterator[Any]:
    """Yield the options and arguments that the parameters of a function are annotated with."""
    for parameter in inspect.signature(function).parameters.values():
        yield from getattr(parameter.annotation, "__metadata__", ())


def _named(place: str) -> Any:
    """Return what `module:NAME` names."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _function(run: Callable[..., None], functions: Mapping[str, Any]) -> Callable[..., None]:
    """Return a function whose parameters are those of a stage's command, and which calls the stage."""

    def call(config: Path, options: str, threads: int, **given: Any) -> None:
        read = config_of(config, options) if _reads_options(run) else parse_signature("{}")
        bound = dict(_bound(run, {**given, **functions}, read))
        if "threads" in inspect.signature(run).parameters:
            bound["threads"] = threads
        run(**bound)

    parameters = [
        *_parameters(run),
        _keyword("threads", Threads, 1),
        _keyword("config", ConfigFile, CONFIG),
        _keyword(
            "options", Annotated[str, typer.Option(help="The stage's options as JSON, in place of --config.")], ""
        ),
    ]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call


def _keyword(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _threads(words: Sequence[str]) -> int:
    """Return the number after --threads; what is wrong with it is said when all is read.

    >>> _threads(["--threads", "4"]), _threads(["--threads=2"]), _threads([])
    (4, 2, 1)
    """
    found = re.search(r"(?:^|\0)--threads[\0=](\d+)", "\0".join(words))
    return max(1, int(found[1])) if found else 1


def _kinds(run: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, type without None, and default of what is told on the command line or by the configuration."""
    hints = typing.get_type_hints(vars(run)["__init__"] if isinstance(run, type) else run)
    for name, parameter in inspect.signature(run).parameters.items():
        kind = _without_none(hints[name])
        optional = kind is not hints[name] and parameter.default is parameter.empty
        if name != "threads" and (parameter.default is parameter.empty or _is_told(kind)):
            yield name, kind, None if optional else parameter.default


def _is_told(kind: Any) -> bool:
    of = typing.get_origin(kind)
    return kind in (Path, int, str, float) or of in (collections.abc.Sequence, collections.abc.Mapping, typing.Literal)


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else hint
    return hint


def _parameters(run: Any) -> list[inspect.Parameter]:
    helps = _helps(run)
    found: dict[str, inspect.Parameter] = {}
    for name, kind, default in _kinds(run):
        if kind is CorpusOptions or name == "corpus":
            corpus = typer.Option("--corpus", help="Name of the corpus in the configuration.")
            found["corpus"] = _keyword("corpus", Annotated[str, corpus])
        elif dataclasses.is_dataclass(kind):
            found |= {one.name: one for one in _parameters(kind)}
        elif (of_key := _dataclass_of_key(kind)) is not None:
            for field, inner, of_field in _kinds(of_key):
                of_keys = collections.abc.Mapping[str, inner]  # type: ignore[valid-type]
                found[field] = _parameter(field, of_keys, of_field, _helps(of_key).get(field, ""))
        elif not _is_options(kind) and name != "seed":
            found[name] = _parameter(name, kind, default, helps.get(name, ""))
    return list(found.values())


def _reads_options(run: Any) -> bool:
    return any(
        name in ("seed", "corpus") or _is_options(kind) or (dataclasses.is_dataclass(kind) and _reads_options(kind))
        for name, kind, _ in _kinds(run)
    )


def _is_options(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _parameter(name: str, kind: Any, default: Any, said: str) -> inspect.Parameter:
    required = default is inspect.Parameter.empty
    if _is_words(kind) and not required:
        return _keyword(name, Annotated[list[str] | None, typer.Argument(help=said)], None)
    if required and (kind in (str, float) or _is_words(kind) or typing.get_origin(kind) is typing.Literal):
        told = str if _is_words(kind) else kind
        return _keyword(name, Annotated[told, typer.Argument(help=said)])
    flag, said = f"--{name.replace('_', '-')}", said or _from_registry(name)
    if kind in (Path, int, str) or typing.get_origin(kind) is typing.Literal:
        option = typer.Option(flag, help=said)
        return _keyword(name, Annotated[kind if required else kind | None, option], default if required else None)
    if not _is_several(kind):
        raise TypeError(f"{name}: {kind}: no option of a command can be made of this type")
    option = typer.Option(flag, help=said, metavar=_metavar(kind))
    if required:
        return _keyword(name, Annotated[list[str], option])
    return _keyword(name, Annotated[list[str] | None, option], None)


def _from_registry(name: str) -> str:
    """Return the help of files whose name says all: an artefact, or what is written.

    >>> _from_registry("landmarks"), _from_registry("audio"), _from_registry("output")
    ('Files of `landmarks`.', 'Files of `split.audio`.', 'The file to write.')
    """
    artefact = {"frames": "split.frames", "audio": "split.audio", "model": "models"}.get(name, name)
    written = {"output": "The file to write.", "rejects": "The file to write refused clips to."}
    return f"Files of `{artefact}`." if artefact in ARTEFACTS else written.get(name, "")


def _is_words(kind: Any) -> bool:
    return typing.get_origin(kind) is collections.abc.Sequence and typing.get_args(kind)[0] is str


def _is_several(kind: Any) -> bool:
    return typing.get_origin(kind) in (collections.abc.Sequence, collections.abc.Mapping)


def _metavar(kind: Any) -> str:
    inner = typing.get_args(kind)[1] if _is_mapping(kind) else None
    if inner is None:
        return "SHARDS" if typing.get_origin(kind) is collections.abc.Sequence else "TEXT"
    return "CORPUS.KEY=SHARDS" if _is_mapping(inner) else "KEY=SHARDS"


def _is_mapping(kind: Any) -> bool:
    return typing.get_origin(kind) is collections.abc.Mapping


def _helps(run: Callable[..., Any]) -> dict[str, str]:
    """Return what the docstring of a function says of each parameter: the lines below its name."""
    text = inspect.getdoc(run) or ""
    section = re.search(r"(?:Parameters|Attributes)\n-+\n(.*?)(?:\n\n[A-Z]\w+\n-+|\Z)", text, re.DOTALL)
    found = re.findall(r"^(\w[\w, ]*)\n((?:    .*(?:\n|\Z))+)", section[1] if section else "", re.MULTILINE)
    return {name: " ".join(said.split()) for names, said in found for name in names.split(", ")}


def _bound(run: Any, given: Mapping[str, Any], config: Config) -> Iterator[tuple[str, Any]]:
    for name, kind, default in _kinds(run):
        if kind is Config:
            yield name, config
        elif kind is CorpusOptions:
            yield name, corpus_options(config, given["corpus"])
        elif _is_options(kind):
            yield name, _group(config, kind)
        elif dataclasses.is_dataclass(kind):
            of_fields: Any = kind
            names = {one.name for one in dataclasses.fields(kind)}
            functions = {one: value for one, value in given.items() if one in names and callable(value)}
            yield name, of_fields(**dict(_bound(kind, given, config)), **functions)
        elif (of_key := _dataclass_of_key(kind)) is not None:
            yield name, _by_key(of_key, given)
        elif name == "seed":
            yield name, config.seed
        elif given[name] is None and default is not inspect.Parameter.empty:
            yield name, default
        else:
            told = given[name] or [] if _is_several(kind) else given[name]
            yield name, _value(kind, told, f"--{name.replace('_', '-')}")


def _dataclass_of_key(kind: Any) -> Any:
    """Return the dataclass that a mapping has of each key; None if it has something else."""
    inner = typing.get_args(kind)[1] if _is_mapping(kind) else None
    return inner if dataclasses.is_dataclass(inner) else None


def _by_key(of_key: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return {key: dataclass} from options that give each of its fields by key.

    Raises
    ------
    UserError
        A field without a default is given of one key and not of another.
    """
    fields: dict[str, dict[str, Any]] = {}
    needed = []
    for field, inner, default in _kinds(of_key):
        kind = collections.abc.Mapping[str, inner]  # type: ignore[valid-type]
        for key, value in _value(kind, given[field] or [], f"--{field}").items():
            fields.setdefault(key, {})[field] = value
        needed += [field] if default is inspect.Parameter.empty else []
    for key, values in fields.items():
        if missing := [field for field in needed if field not in values]:
            raise UserError(f"--{missing[0]}: nothing of {key}, which another option names: name its files too")
    return {key: of_key(**values) for key, values in fields.items()}


def _group(options: BaseModel, kind: type[BaseModel]) -> Any:
    """Return the group of options of a class, wherever it is in the configuration."""
    groups = [options]
    for group in groups:
        values = [getattr(group, name) for name in type(group).model_fields]
        for value in values:
            if type(value) is kind:
                return value
        groups += [value for value in values if isinstance(value, BaseModel)]
    raise TypeError(f"{kind.__name__}: no group of the configuration")


def _value(kind: Any, text: Any, option: str) -> Any:
    if _is_words(kind):
        return text.split("-") if isinstance(text, str) else list(text)
    if typing.get_origin(kind) is collections.abc.Sequence:
        return [file for entry in text for file in expand(entry)]
    if not _is_mapping(kind):
        return text
    inner = typing.get_args(kind)[1]
    found: dict[str, Any] = {}
    for entry in text:
        key, equals, value = entry.partition("=")
        nested = _is_mapping(inner)
        corpus, dot, rest = key.rpartition(".") if nested else ("", ".", key)
        if not equals or not dot:
            wanted = "CORPUS.KEY=SHARDS, such as mine.speech=FOLDER" if nested else "KEY=VALUE"
            raise UserError(f"{option} {entry}: expected {wanted}")
        place = found.setdefault(corpus, {}) if nested else found
        _put(place, rest, value, typing.get_args(inner)[1] if nested else inner)
    return found


def _put(place: dict[str, Any], key: str, text: str, kind: Any) -> None:
    """Put the value of a key into a mapping: files add up, of single values the last holds."""
    if typing.get_origin(kind) is collections.abc.Sequence:
        place.setdefault(key, []).extend(expand(text))
    else:
        place[key] = kind(text)
