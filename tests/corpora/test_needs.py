"""Memory of `folds` is below what its rule requests."""

from pathlib import Path

import numpy as np
import pytest
from tests.corpora.test_folds import Made, run, write_corpus
from tests.held import IS_TOLD, most_held_mb

from avpretext.run import needs

FRAMES = 120
"""Of the fingerprint of two seconds."""

AUDIO_MB = 0.024
"""What two seconds take in a shard of `split.audio`; benchmarks/size.md."""


def divide(folder: Path) -> None:
    run(folder, {"name": "speaker_kfold", "folds": 4})


@IS_TOLD
@pytest.mark.parametrize("count", [500, 8000])
def test_memory_is_below_what_the_rule_requests_with_millions_of_pairs_of_equal_frames(
    tmp_path: Path, count: int
) -> None:
    words = np.random.default_rng(0).integers(1 << 16, size=(count, FRAMES)).tolist()
    clips = [
        Made(f"clip{number:06d}", f"speaker{number % 40}", "xy"[number // 40 % 2], fingerprint=words[number])
        for number in range(count)
    ]
    write_corpus(tmp_path / "mine", clips)
    assert most_held_mb(divide, tmp_path) < needs.FOLDS.of(count * AUDIO_MB)
