"""Speech encoders with random weights, for tests, the demo and benchmarks: real files of models that know nothing.

`python -m avpretext.demo.random_encoder KIND FOLDER [SIZE]` writes one; `tiny` ones have 2 layers and 50 KB.
"""

import sys
from pathlib import Path
from typing import Any

import torch

CONV = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
SIZES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16},
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
}
"""Of the models that were published; large ones have a layer norm in every convolution, as those have."""

NORMALISING = {"wav2vec2", "hubert", "data2vec"}
"""Kinds whose feature extractor brings a signal to mean 0 and deviation 1."""


def write(kind: str, folder: Path, size: str = "tiny", seed: int = 0, **options: Any) -> Path:
    """Write a model and its feature extractor as `save_pretrained` does.

    `kind` is wav2vec2, hubert, data2vec, wavlm, whisper, w2vbert, or bert, a text model; `size` is a key of `SIZES`;
    other options are of the model's configuration.
    """
    import transformers as imported

    transformers: Any = imported  # part of it is typed
    transformers.logging.disable_progress_bar()
    torch.manual_seed(seed)
    model, extractor = _made(kind, size, options)
    model.save_pretrained(folder)
    if extractor is not None:
        extractor.save_pretrained(folder)
    return folder


def _made(kind: str, size: str, options: dict[str, Any]) -> tuple[Any, Any]:
    import transformers

    hub: Any = transformers
    sizes: dict[str, Any] = {**SIZES[size], **options}
    if kind == "bert":
        return hub.BertModel(hub.BertConfig(vocab_size=20, **sizes)), None
    if kind == "whisper":
        return hub.WhisperModel(hub.WhisperConfig(**_whisper(sizes))), hub.WhisperFeatureExtractor()
    if kind == "w2vbert":
        found = hub.Wav2Vec2BertConfig(conv_depthwise_kernel_size=3 if size == "tiny" else 31, **sizes)
        return hub.Wav2Vec2BertModel(found), hub.SeamlessM4TFeatureExtractor()
    kinds = {
        "wav2vec2": (hub.Wav2Vec2Model, hub.Wav2Vec2Config),
        "hubert": (hub.HubertModel, hub.HubertConfig),
        "wavlm": (hub.WavLMModel, hub.WavLMConfig),
        "data2vec": (hub.Data2VecAudioModel, hub.Data2VecAudioConfig),
    }
    model, config = kinds[kind]
    by_size: dict[str, Any] = CONV if size == "tiny" else {}
    if size == "large":
        by_size = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
    if kind == "data2vec":
        by_size = {**by_size, "num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 3 if size == "tiny" else 19}
    extractor = hub.Wav2Vec2FeatureExtractor(
        do_normalize=kind in NORMALISING or size == "large", return_attention_mask=size == "large"
    )
    return model(config(**{**by_size, **sizes})), extractor


def _whisper(sizes: dict[str, Any]) -> dict[str, Any]:
    tokens = {"vocab_size": 20, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    decoder = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16}
    return {
        "d_model": sizes.pop("hidden_size"),
        "encoder_layers": sizes.pop("num_hidden_layers"),
        "encoder_attention_heads": sizes.pop("num_attention_heads"),
        "encoder_ffn_dim": sizes.pop("intermediate_size"),
        **decoder,
        **tokens,
        **sizes,
    }


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "tiny")
