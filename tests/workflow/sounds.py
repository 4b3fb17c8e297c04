"""A corpus of sounds with labels of the user's own, and a quick configuration for it."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.workflow.project import small_config
from tests.workflow.test_corpora import write_csv

QUICK: dict[str, Any] = {
    **small_config(), "pretrain": {"task_sets": [["energy"]], "epochs": 1}, "finetune": {"seeds": 1, "epochs": 1},
    "export": {"initialisations": []}, "baseline": {"normalise": []},
}  # fmt: skip
MINE = {
    "path": "sounds", "reader": "folder", "table": "table.csv", "use": ["pretrain", "finetune"], "video": False,
    "shards": 1, "targets": ["mood"], "protocol": {"name": "partitions"}, "synthetic": True,
}  # fmt: skip


def make_sounds(folder: Path) -> None:
    """Write a corpus of sounds that swell and fade, and a table of the user's own with their labels and partitions."""
    (folder / "sounds").mkdir(parents=True)
    time_s = np.arange(16_000) / 16_000
    rows = []
    for number in range(18):
        swell = 0.1 + 0.4 * np.sin(np.pi * (1 + number % 3) * time_s) ** 2
        tone = np.sin((700 + 40 * number) * (1 + number % 2) * time_s)
        soundfile.write(folder / "sounds" / f"{number}.wav", swell * tone, 16_000)
        part = ("train", "train", "train", "train", "dev", "test")[number // 3]
        rows.append(
            {"path": f"{number}.wav", "speaker": f"s{number // 3}", "mood": ("glad", "sad")[number % 2], "fold": part}
        )
    write_csv(folder / "table.csv", rows)
