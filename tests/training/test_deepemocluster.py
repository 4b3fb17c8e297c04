"""DeepEmoCluster: what learns and what does not, whom it hears, steps as plain torch takes them, same bytes."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional

from avpretext import shards
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.models.cluster_network import make_deepemocluster
from avpretext.models.losses import concordance
from avpretext.training import deepemocluster
from avpretext.training.data import SpeechChunks, chunk_grid
from avpretext.training.deepemocluster import Optimisers, unlabelled_rows
from avpretext.training.fold_parts import read_folds
from avpretext.training.loop import Target
from avpretext.training.objectives import Attributes
from avpretext.training.spectrograms import Sound, read_spectrograms

from .conftest import CLASSES, TinyCorpus, config

BANDS = 8
SMALL: dict[str, Any] = {
    "variants": ["head_trained", "as_published"],
    "clusters": 4,
    "epochs": 2,
    "batch_size": 8,
    "width": 4,
    "step_frames": 2,
}


def write_log_mel(corpus: TinyCorpus) -> list[Path]:
    """Write spectrograms in which one band is loud: which one tells the class."""
    path = corpus.folder / "log_mel.parquet"
    rows = []
    for clip in corpus.rows:
        rng = np.random.default_rng([ord(letter) for letter in clip["clip_id"]])
        values = rng.normal(size=(int(rng.integers(15, 60)), BANDS))
        if clip["label"]:
            values[:, 1 + 2 * CLASSES.index(clip["label"])] += 3
        rows += [
            {"clip_id": clip["clip_id"], "frame": frame, "time_s": frame * 0.01}
            | {f"mel[{band}]": value for band, value in enumerate(values[frame].tolist())}
            for frame in range(len(values))
        ]
    shards.write_table(path, rows, schema_of("log_mel", {"mel[*]": [f"mel[{band}]" for band in range(BANDS)]}), {})
    return [path]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> TinyCorpus:
    corpus = TinyCorpus(tmp_path_factory.mktemp("heard")).write()
    write_log_mel(corpus)
    return corpus


def one_fold(folder: Path, clips_each: int = 6) -> TinyCorpus:
    """Return a corpus with the first of its folds alone."""
    corpus = TinyCorpus(folder, clips_each=clips_each).write()
    write_log_mel(corpus)
    corpus.write_folds([row for row in corpus.fold_rows() if row["fold"] == 0])
    return corpus


def run(corpus: TinyCorpus, output: Path, kind: str = "hard", index: bool = True, **options: Any) -> pl.DataFrame:
    features = {corpus.name: {"log_mel": [corpus.folder / "log_mel.parquet"]}}
    settings = config(deepemocluster={**SMALL, **options})
    without = {corpus.name: corpus.index} if index else {}
    targets = {corpus.name: corpus.targets(kind)}
    deepemocluster.run(features, without, targets, corpus.folds, settings, output, 1)
    return shards.read(output / "predictions.parquet")


@pytest.mark.parametrize("kind", ["hard", "multi_label", "distribution", "attribute"])
def test_every_clip_is_predicted_once_by_each_system_for_every_kind_of_target(
    heard: TinyCorpus, tmp_path: Path, kind: str
) -> None:
    predictions = run(heard, tmp_path, kind, epochs=1, seeds=1 + (kind == "hard"))
    assert predictions["initialisation"].unique(maintain_order=True).to_list() == [
        "deepemocluster",
        "deepemocluster_as_published",
    ]
    test = predictions.filter(split="test")
    assert len(test) == 2 * (1 + (kind == "hard")) * len(heard.rows)
    assert not test.select("initialisation", "seed", "clip_id").is_duplicated().any()
    shares = np.array(predictions["probabilities"].to_list())
    assert np.isfinite(shares).all()
    if kind in ("hard", "distribution"):
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    corpus = one_fold(tmp_path)
    for name in ("first", "again"):
        torch.rand(3)
        run(corpus, tmp_path / name)
    for name in ("predictions.parquet", "history.parquet"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_history_has_losses_clusters_and_dev_score_of_every_epoch(heard: TinyCorpus, tmp_path: Path) -> None:
    run(heard, tmp_path)
    history = shards.read(tmp_path / "history.parquet").filter(initialisation="deepemocluster", fold=0)
    first, second = (set(history.filter(epoch=epoch)["measure"]) for epoch in (1, 2))
    assert first >= {"unlabelled_loss", "cluster_loss", "label_loss", "loss", "uar", "score", "labelled_largest_share"}
    assert second - first == {"unlabelled_nmi", "labelled_nmi"}
    assert history.filter(pl.col("measure").str.ends_with("_nmi"))["value"].is_between(0, 1).all()


def test_classes_that_can_be_heard_are_learnt(tmp_path: Path) -> None:
    corpus = one_fold(tmp_path, clips_each=18)
    predictions = run(corpus, tmp_path / "out", variants=["head_trained"], epochs=20, batch_size=4)
    test = predictions.filter(split="test")
    assert (test["label"] == test["predicted"]).mean() > 0.7  # type: ignore[operator]


def network_and_batch() -> tuple[Any, torch.Tensor, torch.Tensor]:
    """In float64: the first step of Adam is of one size however small a gradient is, and so is that of rounding."""
    torch.manual_seed(0)
    network = make_deepemocluster(10, BANDS, 4, clusters=3, outputs=1, seed=1).double()
    return network, torch.randn(12, 10, BANDS, dtype=torch.float64), torch.arange(12) % 3


def attribute() -> tuple[Attributes, Target]:
    values = np.random.default_rng(0).normal(size=(12, 1)).astype(np.float32)
    objective = Attributes(values)
    return objective, objective.target(values)


@pytest.mark.parametrize("head_trained", [True, False])
def test_the_head_learns_or_stays_bit_for_bit_as_it_was_drawn_while_the_trunk_learns(head_trained: bool) -> None:
    network, chunks, clusters = network_and_batch()
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimisers = Optimisers(network, head_trained)
    objective, target = attribute()
    optimisers.name_clusters(chunks, clusters)
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters() if "label" in name)
    optimisers.name_both(chunks, clusters, target, objective)
    for name, value in network.named_parameters():
        assert torch.equal(value, before[name]) == ("label" in name and not head_trained), name


@pytest.mark.parametrize("head_trained", [True, False])
def test_a_step_of_each_phase_is_what_plain_torch_does(head_trained: bool) -> None:
    network, chunks, clusters = network_and_batch()
    optimisers = Optimisers(network, head_trained)
    objective, target = attribute()
    plain, _, _ = network_and_batch()
    plain.load_state_dict(network.state_dict())

    torch.manual_seed(5)
    first = optimisers.name_clusters(chunks, clusters)
    second = optimisers.name_both(chunks, clusters, target, objective)

    torch.manual_seed(5)
    learnt = {name: value for name, value in plain.named_parameters() if head_trained or "label" not in name}
    top = {name: value for name, value in learnt.items() if name.startswith("cluster_top")}
    rest = {name: value for name, value in learnt.items() if name not in top}
    plain.train()
    loss = functional.cross_entropy(plain(chunks).clusters, clusters)
    assert loss.item() == pytest.approx(first)
    gradients = dict(zip(learnt, torch.autograd.grad(loss, list(learnt.values()), allow_unused=True), strict=True))
    with torch.no_grad():
        for name, value in learnt.items():
            if gradients[name] is not None:
                value -= (0.05 if name in top else 1e-3) * gradients[name]
    answer = plain(chunks)
    of_clusters = functional.cross_entropy(answer.clusters, clusters)
    of_labels = 1 - concordance(answer.labels, target.labels)
    assert second == pytest.approx((of_clusters.item(), of_labels.item()))
    gradients = dict(zip(learnt, torch.autograd.grad(of_clusters + of_labels, list(learnt.values())), strict=True))
    with torch.no_grad():
        for name, value in top.items():
            value -= 0.05 * gradients[name]
        for name, value in rest.items():
            value -= 1e-3 * gradients[name]
            # The first step of Adam: both moments, their bias corrected, are the gradient and its square.
            value -= 5e-4 * gradients[name] / (gradients[name].abs() + 1e-8)
    for name, value in network.named_parameters():
        torch.testing.assert_close(value, dict(plain.named_parameters())[name], rtol=1e-6, atol=1e-9)


def test_variants_begin_alike_and_differ(heard: TinyCorpus, tmp_path: Path) -> None:
    predictions = run(heard, tmp_path)
    trained, published = (
        predictions.filter(initialisation=name) for name in ("deepemocluster", "deepemocluster_as_published")
    )
    assert not trained["probabilities"].equals(published["probabilities"])
    history = shards.read(tmp_path / "history.parquet").filter(epoch=1, measure="unlabelled_loss")
    losses = history.sort("fold")["value"].to_list()
    assert losses[0::2] == losses[1::2]  # the head does not take part in the first pass


def test_nobody_hears_the_speakers_that_choose_and_test(heard: TinyCorpus) -> None:
    table = read_folds(heard.folds)
    names = [f"tiny/{row['clip_id']}" for row in heard.rows] + ["more/x_0", "more/x_1", "twin/s0_0", "twin/new"]
    unlabelled = {
        "tiny": {row["clip_id"]: row["speaker"] for row in heard.rows},
        "more": {"x_0": "s0", "x_1": "other"},  # another corpus, whose s0 is somebody else
        "twin": {"s0_0": "s0", "new": "s1"},  # the same folder under another name
    }
    rows = unlabelled_rows(names, unlabelled, table, table.folds[0])
    # s0 and s3 test fold 0, s1 and s4 choose its epoch.
    assert {name.split("/")[1][:2] for name in np.array(names)[rows] if name.startswith("tiny")} == {"s2", "s5"}
    assert [name for name in np.array(names)[rows] if not name.startswith("tiny")] == ["more/x_0", "more/x_1"]


def test_training_clips_are_heard_where_there_is_nothing_else(tmp_path: Path) -> None:
    corpus = one_fold(tmp_path)
    both = [run(corpus, tmp_path / str(index), index=index, epochs=1) for index in (True, False)]
    assert both[0].equals(both[1])


def test_spectrograms_are_power_in_deviations_of_the_training_frames(heard: TinyCorpus) -> None:
    grid = chunk_grid(config(chunks={"length_s": 0.1, "count": 6}).chunks, 2)  # 60 frames: no chunk is longer
    speakers = {"tiny": {row["clip_id"]: row["speaker"] for row in heard.rows}}
    heard_clips = read_spectrograms({"tiny": {"log_mel": [heard.folder / "log_mel.parquet"]}}, speakers, grid)
    assert heard_clips.steps.shape == (36, 6, 5, BANDS)
    frames = shards.read(heard.folder / "log_mel.parquet")
    columns = [f"mel[{band}]" for band in range(BANDS)]
    train = frames.filter(pl.col("clip_id").str.starts_with("s1"))
    rows = np.flatnonzero([name.startswith("tiny/s1") for name in heard_clips.clip_ids])
    power = np.exp(train.select(columns).to_numpy().astype(np.float64))
    own = np.exp(frames.filter(clip_id="s4_2").select(columns).to_numpy()[:10].astype(np.float64))
    expected = (own.reshape(5, 2, BANDS).mean(1) - power.mean(0)) / power.std(0)
    sound = Sound(heard_clips, rows, torch.device("cpu"))
    batch = sound.batch(np.array([heard_clips.clip_ids.index("tiny/s4_2")]), np.array([0]))
    np.testing.assert_allclose(batch[0].numpy(), expected.clip(-3, 3), rtol=1e-3, atol=1e-4)


def test_what_is_missing_or_padding_is_zero() -> None:
    steps = torch.full((1, 1, 3, 2), 5.0)
    steps[0, 0, 0, 0] = torch.nan
    mask = torch.tensor([[[True, True, False]]])
    moments = np.array([[[4, 4]], [[4, 4]], [[8, 8]]], dtype=np.float64)  # mean 1, deviation 1
    sound = Sound(
        SpeechChunks(["a"], ["a"], ["mel[0]", "mel[1]"], steps, mask, moments), np.array([0]), torch.device("cpu")
    )
    assert sound.batch(np.array([0]), np.array([0])).tolist() == [[[0, 3], [3, 3], [0, 0]]]


def test_mistakes_are_told(heard: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"deepemocluster\.clusters = 500: there are only \d+ chunks"):
        run(heard, tmp_path, clusters=500)
    with pytest.raises(UserError, match="no log_mel features of tiny are given"):
        deepemocluster.run({}, {}, {"tiny": heard.targets()}, heard.folds, config(), tmp_path, 1)
