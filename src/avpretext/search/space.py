"""The space of a search: keys of the configuration, each with its choices or its range."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from avpretext.config_file import parse
from avpretext.errors import UserError, expect_file, nearest

GROUPS = ("chunks", "labels", "model", "pretrain", "finetune")
"""Groups that a search may change: all others decide which clips there are, or how they are scored."""

FIXED = ("seeds", "threads", "device", "checkpoints", "task_sets")
"""Keys of these groups that it may not: number and names of the runs, and where they run."""

Value = bool | int | float | str | None
Values = Mapping[str, Value]
"""Dotted key to its value."""


class Range(BaseModel):
    """Numbers from `low` to `high`, both included: whole ones if both ends are; `log`: evenly in the logarithm."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low > self.high or (self.log and (self.low <= 0 or self.step is not None)):
            raise ValueError("low must not be above high; with log, low is above 0 and there is no step")
        return self


Space = Mapping[str, list[Value] | Range]


def read(path: Path, content: Mapping[str, Any]) -> Space:
    """Read a space, a YAML file of dotted keys, for the configuration with this content.

    Raises
    ------
    UserError
        It is no such file, a key is none that a search may change, or a choice or an end of a range is not valid.
    """
    expect_file(path, "write a file, such as `finetune.learning_rate: {low: 1.0e-4, high: 0.01}`", (".yaml", ".yml"))
    space = _parsed(path)
    for key, values in space.items():
        group, _, name = key.partition(".")
        if group not in GROUPS or not name or name in FIXED:
            raise UserError(
                f"{path}: {key}: expected a key of {', '.join(GROUPS)}{nearest(group, GROUPS)}; not {FIXED}"
            )
        for value in values if isinstance(values, list) else (values.low, values.high):
            parse(changed(content, {key: value}), f"{path}, {key}")
    return space


def _parsed(path: Path) -> Space:
    form = "expected KEY: [CHOICE, ...] or KEY: {low: .., high: .., log: true}"
    try:
        found: Space = TypeAdapter(dict[str, list[Value] | Range]).validate_python(
            yaml.safe_load(path.read_text("utf-8"))
        )
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        last = error.errors()[-1]  # of a range, after those of a list of choices
        raise UserError(f"{path}: {' '.join(map(str, last['loc'][:1]))}: {form}: {last['msg']}") from None
    return found


def changed(content: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """Return the content of a configuration with other values of dotted keys.

    >>> changed({"seed": 1, "model": {"width": 64}}, {"model.width": 32, "finetune.epochs": 5})
    {'seed': 1, 'model': {'width': 32}, 'finetune': {'epochs': 5}}
    """
    found = dict(content)
    for key, value in values.items():
        group, _, rest = key.partition(".")
        found[group] = changed(found.get(group) or {}, {rest: value}) if rest else value
    return found


def distributions(space: Space) -> dict[str, Any]:
    """Return the space as Optuna has it."""
    of = import_module("optuna.distributions")
    found = {}
    for key, values in space.items():
        if isinstance(values, list):
            found[key] = of.CategoricalDistribution(values)
        elif isinstance(values.low, int) and isinstance(values.high, int):
            found[key] = of.IntDistribution(values.low, values.high, values.log, int(values.step or 1))
        else:
            found[key] = of.FloatDistribution(values.low, values.high, values.log, values.step)
    return found


def seed_of(seed: int, trial: int) -> int:
    """Return the seed by which the values of a trial are drawn: by its number alone, whatever came before."""
    return int(np.random.SeedSequence([seed, trial]).generate_state(1)[0])
