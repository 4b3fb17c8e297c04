"""Cost of training a pre-trained encoder: processor time and memory of one step on a CPU, one thread.

    python benchmarks/encoder_training.py lora --batch 20 --clip 2 [--batch_s 60] [--checkpointing] [--size base]

Weights are random, in WavLM's architecture, and so is the sound. `memory` is the peak with the step beside that before
it, for each second of speech in the batch; its slope between two batches is what `batch_s` costs.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from avpretext.config_file import parse
from avpretext.demo import random_encoder
from avpretext.training.encoder_front import EncoderFront
from avpretext.training.encoder_start import open_encoder
from avpretext.training.sounds import Sounds

RATE = 16_000


def peak_mb() -> float:
    """Return the peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def front(folder: Path, options: argparse.Namespace) -> EncoderFront:
    """Return an encoder that learns, in training mode."""
    tuning = {"tune": options.tune, "batch_s": options.batch_s, "checkpointing": options.checkpointing}
    config = parse(
        {
            "corpora": {"any": {"path": ".", "use": []}},
            "encoders": {"any": {"folder": str(folder)}},
            "model": {"features": ["any"], "encoder": "layers"},
            "finetune": {"encoder": tuning},
        }
    )
    opened = open_encoder(config, config.finetune.encoder, torch.device("cpu"))
    numbers = len(opened.by.layers) * opened.shared.speech.size
    weights = opened.shared.first_weights(0)
    return EncoderFront(opened.shared, weights, {}, torch.zeros(numbers), torch.ones(numbers)).train()


def main() -> None:
    """Print processor time and memory of one step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tune", choices=("last_n", "lora", "full"))
    parser.add_argument("--batch", type=int, default=20, help="speech in the batch, in seconds")
    parser.add_argument("--clip", type=int, default=2, help="length of a clip, in seconds")
    parser.add_argument("--batch_s", type=float, default=60.0)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--size", default="base", choices=("base", "large"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng, clips = np.random.default_rng(0), options.batch // options.clip
    signals = [rng.normal(0, 3000, RATE * options.clip).astype(np.int16) for _ in range(clips)]
    with tempfile.TemporaryDirectory() as folder:
        learning = front(random_encoder.write("wavlm", Path(folder), options.size), options)
    before, start = peak_mb(), time.process_time()
    learning(Sounds(signals, torch.arange(clips), torch.device("cpu"))).square().mean().backward()
    taken = time.process_time() - start
    print(
        f"{taken / options.batch:.2f} s per second of speech, peak {before:.0f} MB before, {peak_mb():.0f} MB with it"
    )


if __name__ == "__main__":
    main()
