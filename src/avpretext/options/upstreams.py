"""Options of `snakemake upstreams`: what a speech model hears, and how it learns, beside each other."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, Field, model_validator

from avpretext.options.base import Options, Place
from avpretext.options.training import FinetuneOptions, ModelOptions, PretrainOptions

GROUPS: dict[str, type[BaseModel]] = {"model": ModelOptions, "pretrain": PretrainOptions, "finetune": FinetuneOptions}
"""The groups of the configuration that an upstream may change."""

SHARED = ("seeds",)
"""Options of these groups that all upstreams share: paired tests need the same runs."""


class UpstreamOptions(Options):
    """Input and training of the models that `snakemake upstreams` compares; the first is the reference."""

    model: dict[str, Any] = Field(
        {}, description="options of model, e.g. {features: [wavlm]}; encoder and channels follow features unless named"
    )
    pretrain: dict[str, Any] = Field({}, description="options of pretrain; not seeds, threads, device")
    finetune: dict[str, Any] = Field({}, description="options of finetune; not seeds, threads, device")

    @model_validator(mode="after")
    def _runs_are_shared(self) -> Self:
        for group, options in GROUPS.items():
            fields = options.model_fields
            placed = [name for name, field in fields.items() if any(isinstance(mark, Place) for mark in field.metadata)]
            for name in getattr(self, group):
                if name in (*SHARED, *placed):
                    raise ValueError(f"{group}.{name} must be the same for all upstreams: set it in {group} itself")
        return self


def changed(options: BaseModel, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as plain values with changes; of a group within them, those that are named.

    >>> from avpretext.options.training import ClusterOptions
    >>> changed(ClusterOptions(), {"count": 3})
    {'count': 3, 'iterations': 20}
    """
    plain = options.model_dump()
    for name, value in changes.items():
        own = getattr(options, name, None)
        plain[name] = changed(own, value) if isinstance(own, BaseModel) and isinstance(value, Mapping) else value
    return plain
