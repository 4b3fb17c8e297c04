"""Clips whose classes can be heard, as shards of sound, and the hidden states of a tiny encoder for them."""

from pathlib import Path
from typing import Any

import numpy as np

from avpretext import shards
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.demo import random_encoder
from avpretext.flow.artefacts import schema_of
from avpretext.sound import encoder

from .conftest import CLASSES, TinyCorpus

RATE = 16_000
TRAINING = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01}


def signal_of(row: dict[str, Any]) -> np.ndarray:
    """Return a tone of the class's pitch among noise, of 0.3 to 0.45 s."""
    rng = np.random.default_rng(sum(row["clip_id"].encode()))
    times = np.arange(int(rng.integers(4800, 7200))) / RATE
    pitch_hz = 150 * 2 ** CLASSES.index(row["label"])
    return 0.2 * np.sin(2 * np.pi * pitch_hz * times) + rng.normal(0, 0.05, len(times))


def write_audio(corpus: TinyCorpus, name: str = "audio") -> list[Path]:
    """Write the sound of a corpus as two shards of `split.audio`."""
    paths = [corpus.folder / f"{name}{shard}.parquet" for shard in (0, 1)]
    for shard, path in enumerate(paths):
        write_shard(path, {row["clip_id"]: signal_of(row) for row in corpus.rows[shard::2]})
    return paths


def write_shard(path: Path, clips: dict[str, np.ndarray]) -> Path:
    """Write signals as a shard of `split.audio`."""
    import io

    import soundfile

    rows = []
    for clip_id, signal in clips.items():
        file = io.BytesIO()
        soundfile.write(file, signal, RATE, format="FLAC", subtype="PCM_16")
        row = dict.fromkeys(schema_of("split.audio").names)
        row |= {"clip_id": clip_id, "speaker": "s", "samples": len(signal), "video_frames": 0, "mix": "mean"}
        row |= {"duration_s": len(signal) / RATE, "content": clip_id, "fps": 25.0, "clipped": 0.0, "fingerprint": []}
        rows.append({**row, "audio": {"bytes": file.getvalue(), "path": f"{clip_id}.flac"}})
    shards.write_table(path, rows, schema_of("split.audio"), {})
    return path


def learning(folder: Path, tune: str = "frozen", encoder: dict[str, Any] | None = None, **changes: Any) -> Config:
    """Return small options with the encoder in a folder; `encoder` and `changes` replace single ones, by group."""
    tuning = {"tune": tune, "last": 1, "rank": 2, "learning_rate": 0.003, **(encoder or {})}
    options = {"folder": str(folder), "dtype": "float32", **changes.pop("heard", {})}
    groups: dict[str, Any] = {
        "corpora": {"tiny": {"path": ".", "use": []}},
        "encoders": {"tiny": options},
        "chunks": {"length_s": 0.2, "count": 3},
        "model": {"features": ["tiny"], "encoder": "layers", "width": 8},
        "pretrain": {**TRAINING, "seeds": 1},
        "finetune": {**TRAINING, "seeds": 1, "encoder": tuning},
    }
    for name, values in changes.items():
        groups[name] = {**groups.get(name, {}), **values}
    return parse(groups)


def encode(audio: list[Path], settings: Config, folder: Path) -> list[Path]:
    """Run the stage `encoder` on shards of sound."""
    paths = [folder / f"encoder{place}.parquet" for place in range(len(audio))]
    for one, path in zip(audio, paths, strict=True):
        encoder.run("tiny", one, settings, path)
    return paths


def model(kind: str, folder: Path, **options: Any) -> Path:
    """Write a tiny model whose layers differ from each other, without dropout unless it is asked for."""
    still = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0}
    quiet = still if kind not in ("whisper", "w2vbert") else {}
    return random_encoder.write(kind, folder, **{**quiet, **options})
