"""The stages in the order of the flow: one word each for rule, command, module, folder and config key.

Every artefact depends on the options listed here and on the stage's version: both are params of its rule, so that
editing an option redoes the stages that read it, and what follows, and nothing else. Raise a version whenever the
stage's output would change for the same input. The table stands apart from the modules because the workflow reads it
each time it starts, and the modules import torch, MediaPipe and openSMILE.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.options.base import settled

PLACES = "AVPRETEXT_PLACES"
"""Environment variable with the options that say where a stage runs, as JSON: devices, paths of programs.

Snakemake watches params and the text of commands, not the environment: another device redoes nothing.
"""


@dataclass(frozen=True)
class Stage:
    """One step of the flow.

    Attributes
    ----------
    module
        Where its function `run` is.
    version
        Raised whenever the output would change for the same input.
    options
        The parts of the configuration that shape its output, as dotted keys.
    but
        Options among these that do not: in a dotted key's group, the names left out.
    runs
        Stages whose work it does too, so that their versions count as well as its own.
    fixed
        True: its output can be no other, since all who read it check its SHA-256; a file put there by hand will do.
    """

    module: str
    version: int
    options: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    fixed: bool = False


def _of_corpus(*keys: str) -> tuple[str, ...]:
    """Return keys of the options of the corpus in question."""
    return tuple(f"corpora.{{corpus}}.{key}" for key in keys)


STAGES = {
    "models": Stage("avpretext.face.model_file", 1, ("models",), fixed=True),
    "index": Stage(
        "avpretext.corpora.index",
        3,
        _of_corpus("path", "reader", "parts", "table", "outside", "video", "shards", "speakers", "speaker_folder"),
    ),
    "segment": Stage("avpretext.segment.cut", 4, ("segment", *_of_corpus("video"))),
    "split": Stage("avpretext.media.split", 5, ("split",), but=("keep_frames",)),
    "watch": Stage(
        "avpretext.face.watch",
        1,
        ("split", "landmarks"),
        but=("keep_frames", "jpeg_quality"),
        runs=("split", "landmarks"),
    ),
    "speed": Stage("avpretext.sound.speed", 1),
    "speech": Stage("avpretext.sound.speech", 2, ("speech",)),
    "log_mel": Stage("avpretext.sound.log_mel", 1, ("log_mel",)),
    "phones": Stage(
        "avpretext.orofacial.phones",
        1,
        ("phones", *_of_corpus("path", "reader", "table", "outside", "transcripts", "truth")),
    ),
    "landmarks": Stage("avpretext.face.landmarks", 2, ("landmarks",)),
    "motion": Stage("avpretext.face.motion", 2, ("motion",)),
    "neutral": Stage("avpretext.action_units.neutral", 2, ("action_units.calibration",)),
    "action_units": Stage("avpretext.action_units.backends", 4, ("action_units",)),
    "resting_shape": Stage("avpretext.orofacial.resting_shape", 1),
    "lower_face": Stage("avpretext.orofacial.lower_face", 1),
    "rejects": Stage("avpretext.corpora.rejects", 2, ("rejects",)),
    "labels_energy": Stage("avpretext.labels.energy", 1, ("labels.energy", "chunks")),
    "labels_activation": Stage("avpretext.labels.activation", 1, ("labels.activation", "chunks")),
    "labels_emotion": Stage("avpretext.labels.emotion", 2, ("labels.emotion",)),
    "pretrain": Stage(
        "avpretext.training.pretrain", 4, ("seed", "chunks", "model", "pretrain"), but=("task_sets", "threads")
    ),
    "targets": Stage(
        "avpretext.corpora.targets",
        3,
        _of_corpus("path", "reader", "parts", "table", "outside", "segment", "ties", "label_map"),
    ),
    "folds": Stage(
        "avpretext.corpora.folds",
        3,
        ("seed", *_of_corpus("path", "reader", "parts", "table", "outside", "segment", "protocol", "speaker_folder")),
    ),
    "co_occurrence": Stage("avpretext.training.co_occurrence", 1),
    "finetune": Stage(
        "avpretext.training.finetune", 5, ("seed", "chunks", "model", "finetune"), but=("checkpoints", "threads")
    ),
    "export": Stage(
        "avpretext.training.export",
        2,
        (
            "seed",
            "chunks",
            "model",
            "finetune",
            "export.networks",
            "split.trim_db",
            "split.fps",
            "split.min_duration_s",
            "split.max_duration_s",
        ),
        but=("checkpoints", "threads", "seeds"),
    ),
    "deepemocluster": Stage(
        "avpretext.training.deepemocluster",
        2,
        ("seed", "chunks", "deepemocluster", "finetune.class_balance", "finetune.label_smoothing"),
    ),
    "functionals": Stage("avpretext.sound.functionals", 2, ("functionals",)),
    "statistics": Stage("avpretext.sound.statistics", 1, ("statistics",)),
    "baseline": Stage("avpretext.training.baseline", 4, ("baseline",)),
    "ensemble": Stage("avpretext.training.ensemble", 2, ("ensemble",)),
    "orofacial_system": Stage(
        "avpretext.orofacial.orofacial_system",
        2,
        ("seed", "split.fps", "speech", "log_mel", "phones.visemes", "orofacial"),
        but=("corpora", "systems", "threads", "checkpoint", "films", "film_system"),
    ),
    "orofacial_tables": Stage("avpretext.orofacial.orofacial_tables", 2),
    "evaluate": Stage("avpretext.evaluation.evaluate", 3, ("seed", "evaluate")),
    "card": Stage("avpretext.evaluation.card", 2, _of_corpus("reader", "synthetic")),
    "ablate": Stage("avpretext.evaluation.ablate", 2),
    "tables": Stage("avpretext.evaluation.tables", 4),
    "report": Stage("avpretext.report.page", 4),
}


def options_of(stage: str, config: Config, corpus: str | None = None) -> dict[str, Any]:
    """Return the part of the configuration that shapes a stage, as plain values under their dotted keys.

    >>> from avpretext.config_file import parse
    >>> config = parse({"corpora": {"mine": {"path": ".", "use": ["pretrain"]}}})
    >>> options_of("speech", config)
    {'speech': {'feature_set': 'ComParE_2016', 'deltas': False}}
    """
    keys = [key.format(corpus=corpus) for key in STAGES[stage].options]
    return {key: _plain(_at(config, key), STAGES[stage].but) for key in keys}


def _at(config: Config, key: str) -> Any:
    """Return the value under a dotted key."""
    value: Any = config
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def _plain(value: Any, but: tuple[str, ...]) -> Any:
    if not isinstance(value, BaseModel):
        return value
    return {name: entry for name, entry in settled(value).items() if name not in but}


def whole_signature(config: Config) -> str:
    """Return all of a configuration as one line of JSON: the signature of stages that show what others made."""
    return json.dumps(settled(config), allow_nan=False)


def signature(stage: str, config: Config, corpus: str | None = None) -> str:
    """Return options and version of a stage as one line of JSON: the value that Snakemake watches.

    It is also what the rule hands to the command line, which reads it back with `parse_signature`. What says where the
    stage runs is not in it but in the environment, see `PLACES`.
    """
    versions = [STAGES[name].version for name in (stage, *STAGES[stage].runs)]
    version = versions if len(versions) > 1 else versions[0]
    return json.dumps({"version": version, **options_of(stage, config, corpus)}, sort_keys=True, allow_nan=False)


def parse_signature(text: str) -> Config:
    """Return a configuration with the options of a signature and of `PLACES`; all others have their defaults."""
    tree: dict[str, Any] = {}
    for key, value in json.loads(text).items():
        *groups, name = key.split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    tree.pop("version", None)
    _put(tree, json.loads(os.environ.get(PLACES, "{}")))
    corpora = tree.setdefault("corpora", {"none": {}})
    for corpus in list(corpora.values()):
        for other in corpus.get("protocol", {}).get("train", []):
            corpora.setdefault(other, {})
    for corpus in corpora.values():
        corpus["use"] = []  # shapes no artefact
        corpus.setdefault("path", ".")  # of no matter to stages that are not given it
    return parse(tree, "--options")


def _put(tree: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put values into a tree of groups, whose other values stay."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            _put(tree.setdefault(name, {}), value)
        else:
            tree[name] = value
