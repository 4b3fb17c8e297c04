"""The loop: it learns, every clip once an epoch, and the same seed gives the same weights."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from avpretext.config import LoopOptions, ModelOptions
from avpretext.models.network import SpeechNetwork, make_network
from avpretext.training.loop import (
    Batch,
    ClipSet,
    Target,
    TrainingState,
    ahead,
    augment,
    batch_loss,
    epochs,
    learning_rate,
    logits_of,
    mixed_precision,
    running_mean,
    shuffled_batches,
    start,
)

PLAIN = {"noise": 0.0, "channel_dropout": 0.0, "mixup": 0.0, "time_mask": 0.0}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """As each run of the product has; several threads wait for each other on a busy machine."""
    torch.set_num_threads(1)


def random_clips(count: int = 24) -> ClipSet:
    generator = torch.Generator().manual_seed(3)
    steps = torch.randn(count, 3, 10, 5, generator=generator)
    labels = torch.randint(4, (count,), generator=generator)
    return ClipSet(steps, torch.ones(count, 3, 10, dtype=torch.bool), {"ser": Target(labels, torch.ones(count))})


def network(encoder: str = "conv") -> SpeechNetwork:
    options = ModelOptions.model_validate(
        {"encoder": encoder, "width": 16, "layers": 1, "dropout": 0.2, "head_dropout": 0}
    )
    return make_network(5, options, {"ser": 4}, 1)


def cross_entropy(logits: dict[str, torch.Tensor], targets: dict[str, Target]) -> torch.Tensor:
    return functional.cross_entropy(logits["ser"], targets["ser"].labels)


def accuracy(logits: dict[str, torch.Tensor], targets: dict[str, Target]) -> dict[str, float]:
    return {"score": float((logits["ser"].argmax(1) == targets["ser"].labels).double().mean())}


def fit(encoder: str = "conv", **options: float) -> TrainingState:
    settings = LoopOptions.model_validate({"epochs": 60, "patience": 60, "batch_size": 8, **options})
    state = start(network(encoder), settings, 7)
    clips = random_clips()
    for _ in epochs(state, clips, clips, cross_entropy, accuracy, settings):  # type: ignore[arg-type]
        pass
    return state


@pytest.mark.parametrize("encoder", ["conv", "conv_gru", "blstm", "lstm"])
def test_it_learns_random_labels_of_a_tiny_set_by_heart(encoder: str) -> None:
    assert fit(encoder, learning_rate=0.01, **PLAIN).best_score == 1.0


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before() -> None:
    first = fit(epochs=3).network.state_dict()
    torch.rand(17)
    second = fit(epochs=3).network.state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_patience_stops_and_the_best_epoch_is_kept() -> None:
    scores = iter([0.1, 0.5, 0.4, 0.5, 0.2, 0.9])
    settings = LoopOptions(epochs=6, patience=3, batch_size=8)
    state = start(network(), settings, 1)
    clips = random_clips()
    weights = [
        {name: value.clone() for name, value in after.averaged.module.state_dict().items()}
        for after in epochs(state, clips, clips, cross_entropy, lambda *_: {"score": next(scores)}, settings)  # type: ignore[arg-type]
    ]
    assert (state.epoch, state.best_epoch, state.best_score) == (5, 2, 0.5)
    assert all(torch.equal(value, weights[1][name]) for name, value in state.best.items())


def test_without_dev_all_epochs_are_trained_and_the_last_is_kept() -> None:
    settings = LoopOptions(epochs=4, patience=1, batch_size=8)
    state = start(network(), settings, 1)
    for _ in epochs(state, random_clips(), None, cross_entropy, accuracy, settings):  # type: ignore[arg-type]
        pass
    assert (state.epoch, state.best_epoch) == (4, 4)
    assert all(torch.equal(value, state.best[name]) for name, value in state.averaged.module.state_dict().items())
    assert [(row.epoch, row.split) for row in state.history] == [(epoch, "train") for epoch in (1, 2, 3, 4)]


def test_dev_chooses_among_the_same_epochs_that_are_trained_without_it() -> None:
    """What dev is changes which weights are kept, never how they are learnt."""
    settings = LoopOptions(epochs=3, patience=9, batch_size=8)
    states = [start(network(), settings, 1) for _ in range(2)]
    for state, dev in zip(states, (random_clips(), None), strict=True):
        torch.manual_seed(5)
        for _ in epochs(state, random_clips(), dev, cross_entropy, accuracy, settings):  # type: ignore[arg-type]
            pass
    first, second = (state.network.state_dict() for state in states)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_averaged_weights_are_the_running_mean_worked_out_by_hand() -> None:
    state = start(network(), LoopOptions(), 1)
    present, averaged = state.network.state_dict(), state.averaged.module.state_dict()
    bias, counter = "heads.ser.fc2.bias", "encoder.blocks.0.norm.num_batches_tracked"
    move, means = running_mean(state, 0.15), []
    for value in (1, 2, 3):
        present[bias].fill_(value)
        present[counter].fill_(value)
        move()
        means.append(float(averaged[bias][0]))
    # Kept of the mean: nothing of the start; then min(.15, 2/11) and min(.15, 3/12), both the decay.
    assert means == pytest.approx([1.0, 0.15 * 1 + 0.85 * 2, 0.15 * 1.85 + 0.85 * 3])
    state.averaged.n_averaged.fill_(1)
    running_mean(state, 0.99)()  # min(.99, 2/11) of 2.8275, the rest of 3
    assert float(averaged[bias][0]) == pytest.approx(2 / 11 * 2.8275 + 9 / 11 * 3)
    assert (int(averaged[counter]), int(state.averaged.n_averaged)) == (3, 2)


def test_mixup_mixes_a_batch_with_itself_and_each_loss_by_its_share() -> None:
    clips = random_clips(8)
    options = LoopOptions.model_validate({**PLAIN, "mixup": 0.4})
    seen = []

    class Recorder(torch.nn.Module):
        def forward(self, steps: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
            seen.append(steps)
            return {"ser": steps.sum((1, 2, 3))}

    def labels(_: object, targets: dict[str, Target]) -> torch.Tensor:
        return targets["ser"].labels.double() @ torch.arange(8.0, dtype=torch.float64)

    torch.manual_seed(3)
    value = batch_loss(Recorder(), clips, labels, options)  # type: ignore[arg-type]
    torch.manual_seed(3)
    share = float(torch.distributions.Beta(0.4, 0.4).sample())
    rows = torch.randperm(8)
    assert torch.allclose(seen[0], share * clips.steps + (1 - share) * clips.steps[rows])
    own, other = clips.targets["ser"].labels.double(), clips.targets["ser"].labels[rows].double()
    assert float(value) == pytest.approx(
        float((share * own + (1 - share) * other) @ torch.arange(8.0, dtype=torch.float64))
    )


@pytest.mark.parametrize("encoder", ["conv", "conv_gru", "blstm", "lstm", "transformer"])
def test_bfloat16_gives_nearly_the_same_loss_and_gradients_in_float32(encoder: str) -> None:
    clips = random_clips()
    losses = []
    for mixed in (False, True):
        model = network(encoder).eval()
        logits = logits_of(model, clips.steps, clips.mask, mixed)
        assert logits["ser"].dtype == torch.float32
        loss = cross_entropy(logits, clips.targets)
        loss.backward()  # type: ignore[no-untyped-call]
        assert all(weight.grad is not None and weight.grad.dtype == torch.float32 for weight in model.parameters())
        losses.append((float(loss.detach()), logits["ser"].detach()))
    assert losses[0][0] == pytest.approx(losses[1][0], abs=1e-2)
    assert not torch.equal(losses[0][1], losses[1][1])


def test_mixed_precision_is_for_a_gpu_alone(capsys: pytest.CaptureFixture[str]) -> None:
    mixed_precision.cache_clear()
    asked = [("float32", "cpu"), ("float32", "cuda"), ("mixed", "cuda"), ("mixed", "cpu"), ("mixed", "cpu")]
    assert [mixed_precision(*how) for how in asked] == [False, False, True, False, False]
    assert capsys.readouterr().err.splitlines() == ["precision: mixed is for a GPU alone: float32 on cpu"]


def test_every_clip_comes_once_an_epoch_in_batches_of_nearly_one_size() -> None:
    batches = shuffled_batches(33, 16, torch.Generator().manual_seed(0))
    assert sorted(torch.cat(batches).tolist()) == list(range(33))
    assert sorted(map(len, batches)) == [11, 11, 11]


def test_the_learning_rate_falls_by_half_a_cosine() -> None:
    options = LoopOptions(epochs=4, learning_rate=1.0)
    assert [round(learning_rate(epoch, options), 3) for epoch in (1, 2, 3, 4)] == [1.0, 0.854, 0.5, 0.146]


def test_the_body_learns_at_its_own_rate() -> None:
    settings = LoopOptions(epochs=2, batch_size=8, learning_rate=1e-3, weight_decay=0.0)
    clips, moved = random_clips(), {}
    for rate in (1.0, 1e-6):
        state = start(network(), settings, 7, rate)
        before = {name: value.detach().clone() for name, value in state.network.named_parameters()}
        for _ in epochs(state, clips, clips, cross_entropy, accuracy, settings):  # type: ignore[arg-type]
            pass
        moved[rate] = {
            name: float((p.detach() - before[name]).abs().max()) for name, p in state.network.named_parameters()
        }
    assert all(way > 1e-4 for way in moved[1.0].values())
    assert {name for name, way in moved[1e-6].items() if way > 1e-4} == {
        name for name in moved[1.0] if name.startswith("heads.")
    }


def test_what_is_hidden_in_one_clip_stays_hidden_beside_clips_where_it_is_not() -> None:
    steps, mask = torch.ones(6, 2, 8, 3), torch.ones(6, 2, 8, dtype=torch.bool)
    steps[:3, ..., 1] = 0
    changed = augment(steps, mask, LoopOptions(noise=0.5))
    assert not changed[:3, ..., 1].any()
    assert changed[3:, ..., 1].any()


def test_augmentation_keeps_padding_silent_and_can_be_switched_off() -> None:
    clips = random_clips()
    mask = torch.arange(10).expand(24, 3, 10) < 6
    steps = clips.steps * mask.unsqueeze(-1)
    assert torch.equal(augment(steps, mask, LoopOptions.model_validate(PLAIN)), steps)
    changed = augment(steps, mask, LoopOptions(noise=0.5, channel_dropout=0.3, time_mask=0.5))
    assert not changed[~mask].any()
    assert not torch.equal(changed, steps)


def test_a_time_mask_silences_one_stretch_of_a_chunk_no_longer_than_asked() -> None:
    steps, mask = torch.ones(50, 4, 20, 2), torch.ones(50, 4, 20, dtype=torch.bool)
    torch.manual_seed(0)
    silent = augment(steps, mask, LoopOptions.model_validate({**PLAIN, "time_mask": 0.5}))[..., 0] == 0
    assert int(silent.sum(-1).max()) <= 10
    assert silent.any()
    borders = (silent[..., 1:] & ~silent[..., :-1]).sum(-1) + silent[..., 0]
    assert int(borders.max()) <= 1


def test_the_state_names_everything_that_training_goes_on_from() -> None:
    names = {field.name for field in dataclasses.fields(TrainingState)}
    assert names == {
        "network",
        "averaged",
        "optimiser",
        "batches",
        "epoch",
        "best_epoch",
        "best_score",
        "best",
        "history",
    }


def test_reading_ahead_gives_the_same_batches_in_their_order() -> None:
    clips, parts = random_clips(), list(torch.split(torch.randperm(24), 5))
    begun: list[int] = []

    def take(rows: torch.Tensor) -> Batch:
        begun.append(len(rows))
        return clips.take(rows)

    for number, (batch, rows) in enumerate(zip(ahead(take, parts), parts, strict=True), 1):
        assert torch.equal(batch.steps, clips.steps[rows])
        assert len(begun) <= number + 1
    assert begun == [5, 5, 5, 5, 4]


def test_an_error_of_reading_ahead_is_raised_where_the_batch_is_wanted() -> None:
    def take(rows: torch.Tensor) -> Batch:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead(take, [torch.arange(2)]))
