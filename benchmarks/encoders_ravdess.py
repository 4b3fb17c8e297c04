"""Compare chunk encoders and aggregators on RAVDESS audio: EmoBox folds 1 to 4, test actors unseen, dev apart.

python benchmarks/encoders_ravdess.py DATA [--seeds 2] [--only NAME ...] [--cache FILE.npz]
DATA holds the clips (.flac or .wav, 16 kHz) under their RAVDESS names.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import opensmile
import soundfile
import torch
from numpy.typing import NDArray

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.corpora.protocols import published_folds
from avpretext.corpora.readers import ravdess
from avpretext.progress import progress
from avpretext.training.data import SpeechChunks, chunk_grid, concatenate, cut_clips
from avpretext.training.finetune import run_once
from avpretext.training.fold_parts import Fold
from avpretext.training.labelled_clips import LabelledClips, clips_of_fold

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
PUBLISHED = {"encoder": "lstm", "width": 130, "layers": 2, "dropout": 0.5, "head_dropout": 0.0, "step_frames": 2}
Case = Mapping[str, Mapping[str, object]]
CASES: dict[str, Case] = {
    "blstm, mean": {"model": {"encoder": "blstm"}},
    "blstm, gated": {"model": {"encoder": "blstm", "aggregator": "gated"}},
    "blstm, rnn_attention": {"model": {"encoder": "blstm", "aggregator": "rnn_attention"}},
    "blstm, self_attention": {"model": {"encoder": "blstm", "aggregator": "self_attention"}},
    "conv_gru, mean": {"model": {"encoder": "conv_gru"}},
    "conv of 2 layers, mean": {"model": {"encoder": "conv", "layers": 2}},
    "blstm, mean, each speaker normalised": {"model": {"encoder": "blstm", "normalise": "speaker"}},
    "published lstm, mean": {"model": PUBLISHED},
}
Frames = dict[str, NDArray[np.float32]]


def extract(folder: Path, cache: Path | None) -> tuple[Frames, list[str]]:
    """Return the ComParE_2016 descriptors (T, 65) of each clip, and their names."""
    if cache and cache.exists():
        with np.load(cache) as stored:
            clips = np.split(stored["x"], np.cumsum(stored["n"])[:-1])
            return dict(zip(stored["names"].tolist(), clips, strict=True)), stored["cols"].tolist()
    smile = opensmile.Smile(opensmile.FeatureSet.ComParE_2016, opensmile.FeatureLevel.LowLevelDescriptors)
    files = sorted([*folder.glob("*.flac"), *folder.glob("*.wav")])
    frames = {file.stem: describe(smile, file) for file in progress(files, total=len(files), label="openSMILE")}
    if cache:
        lengths = [len(clip) for clip in frames.values()]
        stacked = np.concatenate(list(frames.values()))
        np.savez(cache, x=stacked, n=lengths, names=list(frames), cols=smile.feature_names)
    return frames, smile.feature_names


def describe(smile: opensmile.Smile, file: Path) -> NDArray[np.float32]:
    """Return one row for each 10 ms of the clip."""
    samples, rate = soundfile.read(file, dtype="float32")
    rows = smile.process_signal(np.clip(samples, -1, 0.9999), rate).to_numpy(np.float32)
    wanted = max(1, len(samples) // 160)
    return np.pad(rows, ((0, max(0, wanted - len(rows))), (0, 0)), mode="edge")[:wanted]


def measure(case: Case, frames: Frames, channels: list[str], seeds: int) -> dict[str, float]:
    """Return UAR over the test clips of each fold, mean over seeds, and CPU seconds per run."""
    config = parse({"corpora": {"ravdess": {"path": ".", "use": []}}, **case})
    speakers = {clip_id: clip_id[-2:] for clip_id in frames}
    cut = cut_clips(frames, speakers, channels, chunk_grid(config.chunks, config.model.step_frames))
    chunks = concatenate({"ravdess": cut})
    numbers = [int(name.rpartition("/")[2][6:8]) - 1 for name in chunks.clip_ids]
    clips = LabelledClips(chunks, np.eye(len(EMOTIONS), dtype=np.float32)[numbers], "hard", list(EMOTIONS))
    scores, begin = {}, time.process_time()
    for fold in emobox_folds(chunks, config.seed):
        normalised = clips_of_fold(clips, fold, config.model)
        scores[f"fold {fold.number + 1}"] = float(
            np.mean([test_uar(normalised, fold, seed, config) for seed in range(seeds)])
        )
    seconds = (time.process_time() - begin) / (len(scores) * seeds)
    return {"UAR": float(np.mean(list(scores.values()))), **scores, "CPU seconds per run": seconds}


def emobox_folds(chunks: SpeechChunks, seed: int) -> list[Fold]:
    """Return EmoBox's folds whose actors are there, two dev actors drawn by seed."""
    actors = [speaker.rpartition("/")[2] for speaker in chunks.speakers]
    division = published_folds(actors, ravdess.READER.protocols["emobox"], 2, seed, "emobox")
    of_actor: dict[str, set[str]] = {}
    for name, actor in zip(chunks.clip_ids, actors, strict=True):
        of_actor.setdefault(actor, set()).add(name)
    return [
        Fold(fold.number, {
            part: frozenset().union(*(of_actor[actor] for actor in getattr(fold, part)))
            for part in ("train", "dev", "test")
        })
        for fold in division.folds
    ]  # fmt: skip


def test_uar(clips: LabelledClips, fold: Fold, seed: int, config: Config) -> float:
    """Return the unweighted average recall over the test clips."""
    test = run_once(clips, fold, seed, None, config).predictions[-1]
    number = {name: row for row, name in enumerate(clips.chunks.clip_ids)}
    labels = clips.values[[number[name] for name in test.names]].argmax(1)
    predicted = test.probabilities.argmax(1)
    return float(np.mean([(predicted[labels == label] == label).mean() for label in np.unique(labels)]))


def main() -> None:
    """Print one Markdown row per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    frames, channels = extract(arguments.data, arguments.cache)
    header = ["encoder, aggregator", "UAR", *(f"fold {number}" for number in range(1, 5)), "CPU seconds per run"]
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for name in arguments.only:
        values = measure(CASES[name], frames, channels, arguments.seeds)
        print("| " + " | ".join([name, *(f"{value:.3f}" for value in values.values())]) + " |", flush=True)


if __name__ == "__main__":
    main()
