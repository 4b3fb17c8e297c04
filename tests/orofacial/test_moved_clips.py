"""Speech on the video grid, scales, pieces and folds of orofacial training."""

import numpy as np
import pytest
import torch

from avpretext.errors import UserError
from avpretext.options.orofacial import OrofacialOptions
from avpretext.orofacial.moved_clips import divide, is_silent, on_video_grid, speaker_leaks, stacked_names, whole
from avpretext.orofacial.movement_training import concordances, movement_loss
from avpretext.orofacial.orofacial_model import BlendshapeMap, MovementScale, SpeechScale, pieces
from avpretext.training.loop import Target

RNG = np.random.default_rng(4)


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def test_a_video_frame_hears_the_mean_of_the_10_ms_frames_about_it() -> None:
    ramp = column(*range(12))
    assert on_video_grid(ramp, 3, 25.0, 0).ravel().tolist() == [1.0, 4.0, 8.0]
    assert on_video_grid(ramp, 4, 50.0, 0).ravel().tolist() == [0.5, 2.0, 4.0, 6.0]


def test_what_has_no_value_is_left_out_of_the_mean() -> None:
    frames = column(1, np.nan, 3, np.nan, np.nan, np.nan, np.nan)
    heard = on_video_grid(frames, 2, 25.0, 0).ravel()
    assert heard.tolist()[0] == 2.0
    assert heard[1] == 3.0
    assert np.isnan(on_video_grid(column(np.nan, np.nan), 1, 25.0, 0)).all()


def test_more_video_than_sound_repeats_the_end() -> None:
    assert on_video_grid(column(1, 2, 3, 4, 5), 4, 25.0, 0).ravel().tolist() == [2.0, 4.0, 5.0, 5.0]


def test_a_context_is_the_frames_on_both_sides_side_by_side() -> None:
    heard = on_video_grid(column(*range(12)), 3, 25.0, 1)
    assert heard.tolist() == [[0, 0, 1], [3, 4, 5], [7, 8, 9]]
    assert stacked_names(["a", "b"], 1) == ["a@-1", "b@-1", "a@+0", "b@+0", "a@+1", "b@+1"]


def test_silence_is_that_nothing_varies() -> None:
    assert is_silent(np.full((5, 3), 0.25, np.float32))
    assert is_silent(np.zeros((0, 3), np.float32))
    assert not is_silent(column(0, 0, 1e-3))


@pytest.mark.parametrize("components", [0, 4])
def test_outputs_become_the_movement_that_they_were_made_of(components: int) -> None:
    movement = (RNG.normal(size=(200, 3)) @ RNG.normal(size=(3, 6))).astype(np.float32)
    scale = MovementScale.of(movement, components)
    assert len(scale.weights) == (6 if components == 0 else 3), "three directions are all there are"
    outputs = scale.outputs(movement)
    np.testing.assert_allclose(outputs.std(axis=0), 1, atol=1e-3)
    np.testing.assert_allclose(scale.movement(outputs), movement, atol=1e-4)
    assert scale.weights.mean() == pytest.approx(1)


def test_weighted_errors_of_components_are_those_of_the_movement() -> None:
    movement = RNG.normal(size=(300, 5)).astype(np.float32) * [3, 2, 1, 0.5, 0.1]
    scale = MovementScale.of(movement.astype(np.float32), 5)
    said = movement + RNG.normal(size=movement.shape)
    apart = np.square(scale.outputs(movement) - scale.outputs(said.astype(np.float32))).mean(axis=0) * scale.weights
    variance = np.square(movement - movement.mean(axis=0)).mean(axis=0).sum()
    assert apart.mean() == pytest.approx(np.square(movement - said).mean(axis=0).sum() / variance, rel=1e-3)


def test_blendshapes_that_hang_linearly_on_movement_are_found() -> None:
    movement = RNG.normal(size=(500, 4)).astype(np.float32)
    shown = (movement @ np.array([[0.05, 0], [0, 0.02], [0, 0], [0.03, 0]]) + [0.5, 0.3]).astype(np.float32)
    found = BlendshapeMap.of(movement, shown)
    np.testing.assert_allclose(found(movement), shown.clip(0, 1), atol=0.01)
    assert (found(100 * movement) <= 1).all()


def test_speech_is_in_deviations_and_gaps_are_the_mean() -> None:
    scale = SpeechScale.of([column(1, 3), column(np.nan, 5)])
    np.testing.assert_allclose(scale.mean, 3)
    np.testing.assert_allclose(scale.normalised(column(3, 5, np.nan, 1e6)).ravel(), [0, np.sqrt(1.5), 0, 3], rtol=1e-5)
    constant = SpeechScale.of([column(2, 2)])
    assert constant.normalised(column(2)).tolist() == [[0.0]]


def test_pieces_are_whole_and_no_longer_than_asked() -> None:
    for frames in (1, 9, 10, 11, 25):
        cut = pieces(frames, 10)
        assert [place for piece in cut for place in range(frames)[piece]] == list(range(frames))
        assert max(piece.stop - piece.start for piece in cut) <= 10


def test_concordance_is_lins_over_the_frames_that_count() -> None:
    predicted = torch.tensor([[[1.0], [2.0], [4.0], [99.0]]])
    actual = torch.tensor([[[0.0], [1.0], [2.0], [0.0]]])
    counted = torch.tensor([[True, True, True, False]])
    assert float(concordances(predicted, actual, counted)) == pytest.approx(0.5)


@pytest.mark.parametrize(("kind", "loss"), [("mse", 2.0), ("ccc", 0.5), ("both", 2.5)])
def test_the_loss_of_a_movement_by_hand(kind: str, loss: float) -> None:
    predicted = torch.tensor([[[1.0], [2.0], [4.0], [99.0]]])
    target = Target(torch.tensor([[[0.0], [1.0], [2.0], [0.0]]]), torch.tensor([[1.0, 1.0, 1.0, 0.0]]))
    found = movement_loss(predicted, target, torch.ones(1), kind)  # type: ignore[arg-type]
    assert float(found) == pytest.approx(loss)
    unseen = Target(target.labels, torch.zeros(1, 4))
    assert float(movement_loss(predicted, unseen, torch.ones(1))) == 0


NAMES = [f"c/{speaker}{number}" for speaker in "abcdef" for number in range(2)]
SPEAKER_OF = {name: f"c/{name[2]}" for name in NAMES}


def test_every_clip_tests_once_with_nobody_heard_before() -> None:
    folds = divide(SPEAKER_OF, OrofacialOptions(folds=3, dev_speakers=1), seed=1)
    assert sorted(name for fold in folds for name in fold.test) == NAMES
    assert not speaker_leaks(folds, SPEAKER_OF)
    for fold in folds:
        assert len(fold.dev) == 2
        assert sorted([*fold.train, *fold.dev, *fold.test]) == NAMES


def test_leaving_one_clip_out_says_that_speakers_leak() -> None:
    folds = divide(SPEAKER_OF, OrofacialOptions(protocol="leave_one_clip_out"), seed=1)
    assert [fold.test for fold in folds] == [(name,) for name in NAMES]
    assert speaker_leaks(folds, SPEAKER_OF)


def test_the_model_that_is_kept_hears_all_but_its_dev_speakers() -> None:
    fold = whole(SPEAKER_OF, OrofacialOptions(dev_speakers=2), seed=1)
    assert len(fold.dev) == 4
    assert sorted([*fold.train, *fold.dev]) == NAMES


def test_too_few_speakers_is_said_with_the_fix() -> None:
    with pytest.raises(UserError, match=r"2 speakers have clips; 4 folds need as many: set orofacial\.protocol"):
        divide(dict(list(SPEAKER_OF.items())[:4]), OrofacialOptions(), seed=1)
    with pytest.raises(UserError, match=r"set orofacial\.folds to 3"):
        divide(dict(list(SPEAKER_OF.items())[:6]), OrofacialOptions(), seed=1)
