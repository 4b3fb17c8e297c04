"""The signature of a stage: the part of a configuration that shapes its output, and its version, as a line of JSON.

It is a param of the stage's rule, so that an edit redoes the stages that read it, what follows, and nothing else. The
rule hands it to the command, which reads it back. What says where a stage runs is not in it, see `PLACES`.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.flow.artefacts import STAGES
from avpretext.options.base import settled
from avpretext.sound import encoder_files

PLACES = "AVPRETEXT_PLACES"
"""Environment variable with the options that say where a stage runs, as JSON: devices, paths of programs.

Snakemake watches params and the text of commands, not the environment: another device redoes nothing.
"""

WEIGHTS = "weights"
"""Key of a signature with what changes when the files of a pre-trained encoder do."""

WHOLE = ("*",)
"""The options of a stage that shows what others made: all."""


def options_of(stage: str, config: Config, corpus: str | None = None, encoder: str | None = None) -> dict[str, Any]:
    """Return the part of the configuration that shapes a stage, as plain values under their dotted keys.

    >>> from avpretext.config_file import parse
    >>> config = parse({"corpora": {"mine": {"path": ".", "use": ["pretrain"]}}})
    >>> options_of("speech", config)
    {'speech': {'feature_set': 'ComParE_2016', 'deltas': False}}
    """
    if STAGES[stage].options == WHOLE:
        return settled(config)
    named = "encoders" if encoder is None else f"encoders.{encoder}"
    keys = [key.replace("encoders.{encoder}", named).format(corpus=corpus) for key in STAGES[stage].options]
    more = [key.format(corpus=corpus) for key in STAGES[stage].unless_default if corpus in config.corpora]
    keys += [key for key in more if not _is_default(config, key)]
    keys += [] if encoder is None or named in keys else [named]
    return {key: _plain(_at(config, key), STAGES[stage].but) for key in keys}


def _is_default(config: Config, key: str) -> bool:
    group, _, name = key.rpartition(".")
    return bool(_at(config, key) == type(_at(config, group)).model_fields[name].default)


def _at(config: Config, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def _plain(value: Any, but: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {name: _plain(entry, but) for name, entry in value.items()}
    if not isinstance(value, BaseModel):
        return value
    return {name: entry for name, entry in settled(value).items() if name not in but}


def signature(stage: str, config: Config, corpus: str | None = None, encoder: str | None = None) -> str:
    """Return version and options of a stage as one line of JSON: the value that Snakemake watches."""
    versions = [STAGES[name].version for name in (stage, *STAGES[stage].runs)]
    version = versions if len(versions) > 1 else versions[0]
    # All of a configuration keeps its order: tables and pages show corpora in it.
    in_order = STAGES[stage].options == WHOLE
    signed = {"version": version, **options_of(stage, config, corpus, encoder)}
    if encoder is not None:
        signed[WEIGHTS] = encoder_files.find(encoder, config.encoders[encoder]).fingerprint()
    return json.dumps(signed, sort_keys=not in_order, allow_nan=False)


def parse_signature(text: str) -> Config:
    """Return a configuration with the options of a signature and of `PLACES`; all others have their defaults."""
    values = json.loads(text)
    values.pop("version", None)
    values.pop(WEIGHTS, None)
    if "results" in values:  # all of a configuration
        return parse(values, "--options")
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *groups, name = key.split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    _put(tree, _of_stage(json.loads(os.environ.get(PLACES, "{}")), tree))
    corpora = tree.setdefault("corpora", {"none": {}})
    for corpus in list(corpora.values()):
        for other in corpus.get("protocol", {}).get("train", []):
            corpora.setdefault(other, {})
    for corpus in corpora.values():
        corpus["use"] = []  # shapes no artefact
        corpus.setdefault("path", ".")  # of no matter to stages that are not given it
    return parse(tree, "--options")


def _of_stage(values: dict[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return places without those of encoders that the stage does not read, whose other options it is not told."""
    named = {name: said for name, said in values.get("encoders", {}).items() if name in tree.get("encoders", {})}
    return {**values, "encoders": named}


def _put(tree: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put values into a tree of groups, whose other values stay."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            _put(tree.setdefault(name, {}), value)
        else:
            tree[name] = value
