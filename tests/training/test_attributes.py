"""Arousal, valence and dominance learnt together: the mean of their CCCs, by hand and on a corpus to be learnt."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import EvaluateOptions, FinetuneOptions, ModelOptions
from avpretext.errors import UserError
from avpretext.evaluation import evaluate
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.models.network import make_network
from avpretext.training import finetune
from avpretext.training.objectives import TASK, Objective, make_objective
from avpretext.training.target_rows import read_targets

from .conftest import CHANNELS, NAMES, TinyCorpus, config
from .test_finetune import EASY, WIDE

OPTIONS = FinetuneOptions()
TRUTH = np.array([[1, 10], [2, 30], [3, 20]], np.float32)
SAID = np.array([[2, 10], [2, 30], [5, 20]], np.float32)
"""CCC of the first: 2 * 1 / (2/3 + 2 + 1) = 6/11, with population moments; of the second: 1."""


def logits_that_say(values: NDArray[np.float32], objective: Objective) -> torch.Tensor:
    """Return the logits of these predictions, which are deviations, as targets are."""
    return objective.target(values).labels


def test_loss_and_score_are_the_mean_over_the_attributes() -> None:
    objective = make_objective("attributes", TRUTH, OPTIONS)
    logits, targets = {TASK: logits_that_say(SAID, objective)}, {TASK: objective.target(TRUTH)}
    mean = (6 / 11 + 1) / 2
    measures = objective.score(logits, targets)
    assert measures["ccc"] == pytest.approx(mean, rel=1e-5)
    assert measures["loss"] == pytest.approx(1 - mean, rel=1e-5)
    assert float(objective.loss(logits, targets)) == pytest.approx(1 - mean, rel=1e-4)
    assert objective.predictions(logits[TASK]) == pytest.approx(SAID, rel=1e-5), "each in its own unit"


@pytest.mark.parametrize("place", range(3))
def test_a_head_whose_other_outputs_are_zero_teaches_the_body_as_that_of_one_attribute(place: int) -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(8, 3, generator=generator).numpy()
    steps, mask = torch.randn(8, 2, 6, 4, generator=generator), torch.ones(8, 2, 6, dtype=torch.bool)
    options = ModelOptions(encoder="conv", width=8, layers=1, dropout=0, head_dropout=0)
    joint, single = (make_network(4, options, {TASK: outputs}, 1) for outputs in (3, 1))
    weights = {name: value for name, value in joint.state_dict().items() if "fc2" not in name}
    single.load_state_dict({**single.state_dict(), **weights})
    with torch.no_grad():
        for network, row in ((joint, place), (single, 0)):
            network.heads[TASK].fc2.weight.zero_()[row] = torch.linspace(-1, 1, 8)
            network.heads[TASK].fc2.bias.zero_()
    losses = []
    for network, kind, values in ((joint, "attributes", truth), (single, "attribute", truth[:, [place]])):
        objective = make_objective(kind, values, OPTIONS)
        loss = objective.loss(network(steps, mask), {TASK: objective.target(values)})
        loss.backward()
        losses.append(loss.item())
    assert losses[0] == pytest.approx((losses[1] + 2) / 3), "a constant has CCC 0"
    for name in ("encoder.blocks.0.conv.weight", "encoder.project.0.weight", f"heads.{TASK}.fc1.weight"):
        of_joint, of_single = (dict(network.named_parameters())[name].grad for network in (joint, single))
        assert of_joint is not None
        assert of_single is not None
        assert float(of_single.abs().max()) > 1e-3
        torch.testing.assert_close(3 * of_joint, of_single, rtol=1e-3, atol=1e-5)


def test_an_attribute_that_is_constant_is_named() -> None:
    values = np.array([[1, 4, 2], [3, 4, 5]], np.float32)
    with pytest.raises(UserError, match=r"all training clips have the value 4 of 'dominance'; there is nothing"):
        make_objective("attributes", values, OPTIONS, names=NAMES["attributes"])


class LinearCorpus(TinyCorpus):
    """Clips whose mean in each of three channels is a mixture of three attributes, of 1 to 7."""

    mixture = np.array([[1.0, 0.3, 0.0], [-0.4, 1.0, 0.2], [0.2, -0.3, 1.0]])

    def __post_init__(self) -> None:
        super().__post_init__()
        self.attributes = np.random.default_rng(4).uniform(1, 7, (len(self.rows), 3))

    def write(self) -> "LinearCorpus":
        rng = np.random.default_rng(5)
        mixed = (self.attributes - 4) @ self.mixture
        speech = [
            {"clip_id": row["clip_id"], "frame": frame, "time_s": frame * 0.01, "energy": 0.1, "loudness": 1.0}
            | dict(zip(CHANNELS, [*(means + rng.normal(0, 0.5, 3)), rng.normal()], strict=True))
            for row, means in zip(self.rows, mixed, strict=True)
            for frame in range(40)
        ]
        described = schema_of("speech", {"DESCRIPTOR": CHANNELS})
        shards.write_table(self.folder / "speech0.parquet", speech, described, {})
        shards.write_table(self.folder / "speech1.parquet", [], described, {})
        targets = [
            {**row, "label": None, "values": values.tolist()}
            for row, values in zip(self.rows, self.attributes, strict=True)
        ]
        made_by = provenance("targets", {}, kind="attributes", classes=NAMES["attributes"], target="attributes")
        ordered = sorted(targets, key=lambda row: str(row["clip_id"]))
        shards.write_table(self.targets("attributes"), ordered, schema_of("targets"), made_by)
        self.write_folds(self.fold_rows(), "attributes.speaker_kfold")
        return self


def ccc(truth: NDArray[np.float64], said: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Lin's coefficient of each column, by its formula."""
    covariance = ((truth - truth.mean(0)) * (said - said.mean(0))).mean(0)
    apart = truth.var(0) + said.var(0) + (truth.mean(0) - said.mean(0)) ** 2
    return np.asarray(2 * covariance / apart)


def test_attributes_that_are_linear_in_the_features_are_learnt_each(tmp_path: Path) -> None:
    corpus = LinearCorpus(tmp_path, clips_each=20).write()
    tables = {"tiny": corpus.targets("attributes")}
    settings = config(model=WIDE, finetune=EASY)
    features = {"tiny": {"speech": corpus.speech}}
    finetune.run("scratch", [], features, tables, corpus.folds, None, settings, tmp_path / "out", 1)
    tested = shards.read(tmp_path / "out" / "predictions.parquet").filter(split="test")
    truth, said = (np.array(tested[name].to_list(), np.float64) for name in ("truth", "probabilities"))
    found = ccc(truth, said)
    assert found.min() > 0.6, "chance is 0"
    assert tested["predicted"].null_count() == tested.height == len(corpus.rows)
    known = read_targets(tables).values
    assert truth[0] == pytest.approx(known[f"tiny/{tested['clip_id'][0]}"])

    options = EvaluateOptions(bootstrap=50, permutations=50)
    evaluate.run([tmp_path / "out" / "predictions.parquet"], options, 1, tmp_path / "scores")
    metrics = shards.read(tmp_path / "scores" / "metrics.parquet").filter(measure="ccc")
    of_each = dict(metrics.drop_nulls("class").select("class", "value").iter_rows())
    assert of_each == pytest.approx(dict(zip(NAMES["attributes"], found, strict=True)))
    assert metrics.filter(pl.col("class").is_null())["value"].item() == pytest.approx(found.mean())


def test_corpora_that_are_learnt_together_have_the_same_attributes(tiny: TinyCorpus, tmp_path: Path) -> None:
    made_by = provenance("targets", {}, kind="attributes", classes=["arousal", "valence"], target="attributes")
    rows = [{**tiny.rows[0], "label": None, "values": [1.0, 2.0]}]
    shards.write_table(tmp_path / "other.parquet", rows, schema_of("targets"), made_by)
    with pytest.raises(UserError, match=r"other has not all of the attributes arousal, dominance, valence"):
        read_targets({"tiny": tiny.targets("attributes"), "other": tmp_path / "other.parquet"})
