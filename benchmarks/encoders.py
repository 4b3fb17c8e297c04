"""Cost of a pre-trained encoder beside openSMILE, and of training on what it leaves.

    taskset -c 0 python benchmarks/encoders.py speech WAVS [--sizes base large] [--clips 60]
    python benchmarks/encoders.py training [--clips 7442] [--folds 1] [--seeds 3]

`speech`: seconds of one core for each second of speech, in turn for every clip, so that all see the same machine.
Weights are random: they cost what learnt ones cost. `training`: fine-tuning on random vectors of a corpus's size.
Times are the processor's, of this process.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import opensmile
import soundfile
import torch
from numpy.typing import NDArray

from avpretext.config_file import parse
from avpretext.demo import random_encoder
from avpretext.options.pretrained_encoders import EncoderOptions
from avpretext.sound import encoder_files
from avpretext.sound.encoder_model import SpeechEncoder
from avpretext.training import finetune, labelled_clips
from avpretext.training.data import EncodedBy, SpeechChunks
from avpretext.training.fold_parts import Fold
from avpretext.training.labelled_clips import LabelledClips

RATE = 16_000
KINDS = {"base": ("wav2vec2", "wavlm", "whisper", "w2vbert"), "large": ("wav2vec2", "wavlm", "w2vbert")}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read(folder: Path, count: int) -> list[NDArray[np.float32]]:
    """Return the clips whose names come first, at 16 kHz."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".flac"))
    clips = [soundfile.read(file, dtype="float32") for file in files[:: max(1, len(files) // count)][:count]]
    assert all(rate == RATE and signal.ndim == 1 for signal, rate in clips), "mono at 16 kHz is expected"
    return [signal for signal, _ in clips]


def ways(sizes: list[str], folder: Path) -> dict[str, Callable[[NDArray[np.float32]], object]]:
    """Return what is timed, by name."""
    found: dict[str, Callable[[NDArray[np.float32]], object]] = {}
    for name, level in (("descriptors", "LowLevelDescriptors"), ("functionals", "Functionals")):
        smile = opensmile.Smile(opensmile.FeatureSet.ComParE_2016, opensmile.FeatureLevel[level])
        found[f"ComParE_2016 {name}"] = lambda signal, smile=smile: smile(signal, RATE)
    for size in sizes:
        for kind in KINDS[size]:
            before = peak_mb()
            options = EncoderOptions(folder=str(random_encoder.write(kind, folder / f"{kind}-{size}", size)))
            model = SpeechEncoder(encoder_files.find(kind, options), options)
            weights = sum(value.numel() for value in model._model.parameters()) * 4 / 1e6
            name = f"{kind}, {size} size ({len(model.layers) - 1} layers of {model.size}, {weights:.0f} MB)"
            print(f"{name}: peak memory {before:.0f} to {peak_mb():.0f} MB", file=sys.stderr)
            found[name] = lambda signal, model=model: model.rows([signal])
    return found


def speech(arguments: argparse.Namespace) -> None:
    """Print the table of cost per second of speech."""
    torch.set_num_threads(1)
    clips = read(arguments.folder, arguments.clips)
    seconds = sum(map(len, clips)) / RATE
    with tempfile.TemporaryDirectory() as folder:
        timed = ways(arguments.sizes, Path(folder))
        spent = dict.fromkeys(timed, 0.0)
        for way in timed.values():
            way(clips[0])
        for place, clip in enumerate(clips):
            for name, way in timed.items():
                begin = time.process_time()
                way(clip)
                spent[name] += time.process_time() - begin
            print(f"{place + 1}/{len(clips)}", end="\r", file=sys.stderr)
    print(f"{len(clips)} clips, {seconds:.0f} s of speech; peak memory of the process {peak_mb():.0f} MB\n")
    print("| what | seconds of one core per second of speech | times ComParE's descriptors |\n|---|---:|---:|")
    for name, total in spent.items():
        print(f"| {name} | {total / seconds:.3f} | {total / spent['ComParE_2016 descriptors']:.1f} |")


def training(arguments: argparse.Namespace) -> None:
    """Print how long fine-tuning takes on random vectors."""
    torch.set_num_threads(1)
    count, layers, size = arguments.clips, arguments.layers, arguments.size
    rng = np.random.default_rng(0)
    steps = torch.empty(count, arguments.chunks, layers, size, dtype=torch.float16)
    for block in steps.split(256):
        block.copy_(torch.from_numpy(rng.normal(size=block.shape).astype(np.float16)))
    by = EncodedBy("random", "wavlm", None, list(range(layers)), {}, {})
    names = [f"c/{place:05d}" for place in range(count)]
    speakers = [f"c/{place % 91}" for place in range(count)]
    mask = torch.ones(steps.shape[:3], dtype=torch.bool)
    channels = [f"random[{place}]" for place in range(size)]
    chunks = SpeechChunks(names, speakers, channels, steps, mask, np.full((1, count, 1), 250.0), by)
    values = np.eye(6, dtype=np.float32)[rng.integers(6, size=count)]
    clips = LabelledClips(chunks, values, "hard", [f"class {place}" for place in range(6)])
    content = {"corpora": {"c": {"path": ".", "use": []}}, "model": {"features": ["random"], "encoder": "layers"}}
    config = parse({**content, "finetune": {"patience": 30}})
    for number in range(arguments.folds):
        part = [place % 91 % 5 for place in range(count)]
        of_part = {"test": number, "dev": (number + 1) % 5}
        chosen = {name: frozenset(np.array(names)[np.array(part) == place]) for name, place in of_part.items()}
        fold = Fold(number, {**chosen, "train": frozenset(names) - chosen["test"] - chosen["dev"]})
        begin = time.process_time()
        normalised = labelled_clips.clips_of_fold(clips, fold, config.model)
        prepared = time.process_time() - begin
        for seed in range(arguments.seeds):
            begin = time.process_time()
            run = finetune.run_once(normalised, fold, seed, None, config)
            epochs = max(row.epoch for row in run.history)
            spent = time.process_time() - begin
            print(
                f"fold {number}, seed {seed}: {spent:.1f} s of processor for {epochs} epochs;"
                f" fold prepared in {prepared:.1f} s; peak memory {peak_mb():.0f} MB"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    of_speech = commands.add_parser("speech")
    of_speech.add_argument("folder", type=Path)
    of_speech.add_argument("--sizes", nargs="+", default=["base", "large"])
    of_speech.add_argument("--clips", type=int, default=60)
    of_speech.set_defaults(run=speech)
    of_training = commands.add_parser("training")
    for name, value in (("clips", 7442), ("chunks", 5), ("layers", 13), ("size", 768), ("folds", 1), ("seeds", 3)):
        of_training.add_argument(f"--{name}", type=int, default=value)
    of_training.set_defaults(run=training)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
