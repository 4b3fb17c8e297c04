"""Memory of scoring is below what the rules request."""

from pathlib import Path

import numpy as np
from tests.held import IS_TOLD, most_held_mb

from avpretext import shards
from avpretext.config import EvaluateOptions
from avpretext.evaluation import evaluate
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.run import needs

CLASSES = np.array(["anger", "fear", "neutral"])


def write_predictions(path: Path, name: str, clips: int) -> Path:
    """Write predictions of one fold and three seeds, of random probabilities."""
    rng, size = np.random.default_rng(0), 6 * clips
    probabilities = rng.dirichlet(np.ones(3), size).astype(np.float32)
    columns = {
        "initialisation": [name] * size, "fold": [0] * size, "seed": np.repeat([0, 1, 2], 2 * clips),
        "pretraining": [None] * size, "split": np.tile(np.repeat(["dev", "test"], clips), 3).tolist(),
        "clip_id": [f"clip{number % clips:06d}" for number in range(size)],
        "speaker": [f"speaker{number % 40}" for number in range(size)],
        "label": rng.choice(CLASSES, size).tolist(), "predicted": CLASSES[probabilities.argmax(1)].tolist(),
        "truth": [[1.0, 0.0, 0.0]] * size, "probabilities": probabilities.tolist(),
    }  # fmt: skip
    shards.write_table(path, columns, schema_of("finetune.predictions"), provenance("finetune"))
    return path


def score(files: list[Path], output: Path) -> None:
    evaluate.run(files, EvaluateOptions(bootstrap=100, permutations=100), 1, output)


@IS_TOLD
def test_memory_grows_with_the_predictions_by_no_more_than_the_rule_requests(tmp_path: Path) -> None:
    held, read = [], []
    for clips in (500, 15_000):
        files = [write_predictions(tmp_path / f"{name}{clips}", name, clips) for name in ("scratch", "energy")]
        read.append(sum(path.stat().st_size for path in files) / 1e6)
        held.append(most_held_mb(score, files, tmp_path / str(clips)))
        assert held[-1] < needs.SCORES.of(read[-1])
    assert held[1] - held[0] < needs.SCORES.per_mb * (read[1] - read[0])
    assert held[1] - held[0] > 20
