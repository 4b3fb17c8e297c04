"""What every group of options is made of."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

LABELLED_TASKS = ("energy", "activation", "emotion")
"""The pretext tasks that have pseudo-labels of their own, each with a stage `labels_{task}`."""

TASKS = (*LABELLED_TASKS, "clusters")
"""The pretext tasks, in the order in which sets of them are named."""

Task = Literal["energy", "activation", "emotion", "clusters"]
Aggregator = Literal["mean", "gated", "rnn_attention", "self_attention", "self_attention_published"]
Loss = Literal["base", "penalty"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Options(BaseModel):
    """A group of options; a key that is not among them is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
