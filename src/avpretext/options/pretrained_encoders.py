"""Options of pre-trained speech encoders, which the stage `encoder` runs, and of their training."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from avpretext.options.base import Count, Options, Place, Positive

KNOWN = {
    "wav2vec2": "facebook/wav2vec2-base",
    "hubert": "facebook/hubert-base-ls960",
    "data2vec": "facebook/data2vec-audio-base",
    "wavlm": "microsoft/wavlm-base-plus",
    "whisper": "openai/whisper-base",
    "w2vbert": "facebook/w2v-bert-2.0",
}
"""Encoder of this name without `hub` and `folder`: the model on the hub that it is."""

Layer = Annotated[int, Field(ge=0, le=1000)]

Pool = Literal["chunks", "clip", "frames"]


class EncoderOptions(Options):
    """A pre-trained speech encoder: where its weights are, and what is kept of its hidden states."""

    folder: Annotated[str | None, Place()] = Field(
        None, description="folder with config.json and model.safetensors; null: the hub's cache"
    )
    hub: Annotated[str | None, Place()] = Field(
        None,
        description="model on the Hugging Face hub, e.g. microsoft/wavlm-base-plus; null: by the entry's name, e.g."
        " wavlm",
    )
    revision: Annotated[str, Place()] = Field("main", description="branch, tag or commit of the model on the hub")
    sha256: Annotated[str | None, Place()] = Field(
        None, description="required SHA-256 of the weights; null: any; the provenance has it in both cases"
    )
    layers: Literal["all"] | Annotated[list[Layer], Field(min_length=1, max_length=1000)] = Field(
        "all", description="layers kept, e.g. [0, 6, 12]; 0: the input of the first layer; all: every layer"
    )
    pool: Pool = Field(
        "chunks",
        description="chunks: a mean per chunk and layer; clip: per clip and layer; frames: every row, 50 per s",
    )
    dtype: Literal["float16", "float32"] = Field("float16", description="type of the stored numbers")
    window_s: Positive = Field(
        30.0, le=600, description="longer clips are encoded in equal pieces of at most this length, in seconds"
    )
    device: Annotated[Literal["cpu", "cuda", "auto"], Place()] = Field("cpu", description="auto: a GPU if there is one")
    batch_s: Annotated[Positive, Place()] = Field(240.0, le=86400, description="GPU: speech per batch, in seconds")
    threads: Annotated[Count, Place()] = Field(
        1, le=4096, description="clips encoded in parallel, each on one CPU core; same bytes for any number"
    )

    @field_validator("layers")
    @classmethod
    def _layers_once(cls, layers: str | list[int]) -> str | list[int]:
        twice = [layer for place, layer in enumerate(layers) if layer in layers[:place]]
        if isinstance(layers, list) and twice:
            raise ValueError(f"layer {twice[0]} is named twice; name each layer once")
        return layers


class TuningOptions(Options):
    """Training of the pre-trained encoder itself, together with what is learnt on it."""

    tune: Literal["frozen", "last_n", "lora", "full"] = Field(
        "frozen",
        description="weights of the encoder that learn; frozen: none; last_n: its last layers; lora: low-rank"
        " adapters (peft); full: all",
    )
    last: Count = Field(2, le=1000, description="last_n: number of layers that learn, from the highest kept layer down")
    rank: Count = Field(8, le=4096, description="lora: rank of the adapters; their alpha is twice the rank")
    learning_rate: Positive = Field(
        1e-4,
        le=10,
        description="AdamW's highest learning rate for the encoder; typical: 1e-5 to 5e-5 for full, more for lora",
    )
    warm_up: float = Field(1.0, ge=0, le=1e6, description="epochs over which this learning rate rises from 0")
    batch_s: Positive = Field(
        60.0,
        le=86400,
        description="speech computed at a time, in seconds; a larger batch is computed in parts, with the same result",
    )
    checkpointing: bool = Field(
        False, description="true: less memory, a third more time: activations are computed again in the backward pass"
    )
    processes: Annotated[Count, Place()] = Field(
        1, le=1024, description="processes that share each batch, each on a GPU of its own, or on a CPU core"
    )
    machines: Annotated[Count, Place()] = Field(
        1,
        le=1024,
        description="machines that share each batch; each runs as many processes; with Slurm, or by torchrun",
    )

    @property
    def tuned(self) -> bool:
        """Whether anything of the encoder learns."""
        return self.tune != "frozen"
