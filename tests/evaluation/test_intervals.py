"""Intervals and tests: hand-worked cases, and how often they are right on made-up speakers."""

import itertools

import numpy as np
import pytest

from avpretext.evaluation import intervals, metrics


def accuracy(matrices: np.ndarray) -> np.ndarray:
    return metrics.overall_scores(matrices)["war"]


def speakers(rights: list[int], clips: int = 10) -> np.ndarray:
    """Return confusion matrices of speakers with so many of their clips right; shape (speakers, 1, 2, 2)."""
    half = clips / 2
    return np.array([[[[right / 2, half - right / 2], [half - right / 2, right / 2]]] for right in rights])


def test_pooling_with_weights_is_the_sum_of_the_chosen_speakers() -> None:
    matrices = speakers([2, 4, 8])
    pooled = intervals.pooled(matrices, np.array([[2.0, 0, 1]]))
    np.testing.assert_allclose(pooled[0], 2 * matrices[0] + matrices[2])


def test_resamples_draw_as_many_speakers_as_there_are_and_repeat_with_the_seed() -> None:
    weights = intervals.draw_resamples(7, 50, [1, 2])
    assert (weights.sum(axis=1) == 7).all()
    np.testing.assert_array_equal(weights, intervals.draw_resamples(7, 50, [1, 2]))
    assert not np.array_equal(weights, intervals.draw_resamples(7, 50, [2, 2]))


def test_bootstrap_of_two_speakers_takes_each_combination_as_often_as_theory_says() -> None:
    scores = intervals.score(speakers([0, 10]), accuracy, intervals.draw_resamples(2, 20_000, [1]))
    shares = [float((scores == value).mean()) for value in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.01)


def test_interval_is_wider_than_plain_percentiles_by_students_factor() -> None:
    scores = np.random.default_rng(0).normal(0, 1, 200_000)
    low, high = intervals.interval(scores, 8, 0.95)
    # t quantile with 7 degrees of freedom 2.3646, times sqrt(8 / 7)
    assert (low, high) == (pytest.approx(-2.528, abs=0.06), pytest.approx(2.528, abs=0.06))


def test_no_interval_from_one_speaker() -> None:
    assert np.isnan(intervals.interval(np.ones(10), 1, 0.95)).all()


def test_interval_covers_the_truth_about_as_often_as_it_promises() -> None:
    rng = np.random.default_rng(5)
    covered = []
    for trial in range(200):
        rights = rng.binomial(20, np.clip(rng.normal(0.6, 0.1, 8), 0, 1))
        weights = intervals.draw_resamples(8, 400, [trial])
        low, high = intervals.interval(intervals.score(speakers(rights.tolist(), 20), accuracy, weights), 8, 0.95)
        covered.append(low <= 0.6 <= high)
    assert 0.90 <= np.mean(covered) <= 0.99


def mean_of(sums: np.ndarray) -> np.ndarray:
    return sums[..., 1] / sums[..., 0]


def differences(values: np.ndarray) -> np.ndarray:
    """Return sums whose mean over speakers is that of `values`, shape (speakers, seeds)."""
    return np.stack([np.ones_like(values), values], axis=-1)


def estimated(values: np.ndarray, trainings: int, resamples: int = 300) -> intervals.Estimate:
    sums = differences(values)
    weights = intervals.draw_resamples(len(values), resamples, [1])
    resampled = mean_of(intervals.pooled(sums, weights))
    return intervals.estimate(mean_of(intervals.pooled(sums)), resampled, len(values), trainings)


def test_standard_error_and_degrees_of_freedom_are_those_of_the_formula_worked_out_by_hand() -> None:
    speakers, seeds = np.array([-0.3, -0.1, 0.1, 0.3]), np.array([0.0, 0.1, 0.5])
    found = estimated(0.2 + speakers[:, None] + seeds, trainings=3, resamples=100_000)
    by_speaker = speakers.var(ddof=1) / 4  # the same for each seed, so it is their covariance too
    by_training = seeds.var(ddof=1) / 3
    assert found.value == pytest.approx(0.4)
    assert found.spread == pytest.approx(seeds.std(ddof=1))
    assert found.std_error == pytest.approx(np.sqrt(by_speaker + by_training), rel=0.01)
    degrees = (by_speaker + by_training) ** 2 / (by_training**2 / 2 + by_speaker**2 / 3)
    assert found.df == pytest.approx(degrees, rel=0.02)
    low, high = found.interval(0.95)
    assert (low + high) / 2 == pytest.approx(0.4)
    assert low < 0 < high
    assert 0.05 < found.p_value < 1


def test_seeds_of_one_pretraining_count_as_one_training() -> None:
    speakers, luck = np.array([-0.1, 0.0, 0.1, 0.2]), np.array([0.0, 0.3, 0.1])
    of_each = speakers[:, None] + luck
    once, twice = estimated(of_each, 3), estimated(np.concatenate([of_each, of_each], axis=1), 3)
    assert twice.std_error == pytest.approx(once.std_error)
    assert estimated(np.concatenate([of_each, of_each], axis=1), 6).std_error < once.std_error


def test_of_one_training_the_interval_is_that_over_speakers() -> None:
    speakers = np.array([0.1, 0.4, 0.3, 0.5, 0.2])
    found = estimated(speakers[:, None], 1, resamples=50_000)
    assert np.isnan(found.spread)
    assert found.df == 4
    assert found.std_error == pytest.approx(speakers.std(ddof=1) / np.sqrt(5), rel=0.01)


def test_what_does_not_vary_is_no_proof() -> None:
    assert estimated(np.zeros((4, 2)), 2).p_value == 1
    assert np.isnan(estimated(np.full((4, 2), 0.3), 2).p_value)
    single = estimated(np.array([[0.3, 0.2]]), 2)
    assert np.isnan([single.std_error, single.p_value, *single.interval(0.95)]).all()


def draws(trials: int, speakers: int, seeds: int, of_speaker: float, of_training: float) -> np.ndarray:
    """Return differences whose expectation is 0, shape (trials, speakers, seeds)."""
    rng = np.random.default_rng([speakers, seeds])
    return (
        rng.normal(0, of_speaker, (trials, speakers, 1))
        + rng.normal(0, of_training, (trials, 1, seeds))
        + rng.normal(0, 0.1, (trials, speakers, seeds))
    )


@pytest.mark.parametrize(
    ("speakers", "seeds", "of_speaker", "of_training", "before"),
    [
        (10, 3, 0.08, 0.02, 0.94),
        (10, 3, 0.08, 0.05, 0.88),
        (10, 5, 0.02, 0.05, 0.77),
        (24, 4, 0.08, 0.05, 0.78),
        (60, 3, 0.08, 0.05, 0.58),
        (60, 5, 0.08, 0.0, 0.95),
    ],
)
def test_intervals_cover_other_speakers_and_other_trainings_as_often_as_they_promise(
    speakers: int, seeds: int, of_speaker: float, of_training: float, before: float
) -> None:
    """`before` is what intervals over speakers alone cover: the fewer, the more trainings differ."""
    covered, over_speakers, rejected = [], [], []
    for values in draws(700, speakers, seeds, of_speaker, of_training):
        found = estimated(values, seeds, resamples=200)
        low, high = found.interval(0.95)
        covered.append(low <= 0 <= high)
        rejected.append(found.p_value < 0.05)
        low, high = estimated(values.mean(axis=1, keepdims=True), 1, resamples=200).interval(0.95)
        over_speakers.append(low <= 0 <= high)
    assert 0.92 <= np.mean(covered) <= 0.985
    assert 0.015 <= np.mean(rejected) <= 0.08
    assert np.mean(over_speakers) == pytest.approx(before, abs=0.04)


def test_exact_test_equals_all_sign_flips_by_hand() -> None:
    first, second = [9, 8, 7, 9, 6], [5, 6, 7, 4, 7]
    result = intervals.paired_test(speakers(first), speakers(second), accuracy, 5000, [1])
    differences = np.subtract(first, second)
    flipped = [abs(np.dot(signs, differences)) for signs in itertools.product([1, -1], repeat=5)]
    assert result.test == "exact"
    assert result.p_value == np.mean(np.array(flipped) >= abs(differences.sum()))


def test_every_speaker_better_gives_the_smallest_p_there_is() -> None:
    result = intervals.paired_test(speakers([9] * 6), speakers([5] * 6), accuracy, 5000, [1])
    assert result.p_value == 2 / 2**6


def test_same_predictions_give_p_of_one() -> None:
    same = speakers([3, 5, 8])
    assert intervals.paired_test(same, same, accuracy, 5000, [1]).p_value == 1


def test_sampled_test_agrees_with_the_exact_one() -> None:
    rng = np.random.default_rng(2)
    first, second = (speakers(rng.integers(3, 9, 10).tolist()) for _ in range(2))
    exact = intervals.paired_test(first, second, accuracy, 5000, [1])
    sampled = intervals.paired_test(first, second, accuracy, 1000, [1])
    assert (exact.test, sampled.test) == ("exact", "sampled")
    assert sampled.p_value == pytest.approx(exact.p_value, abs=0.05)


def test_test_rejects_about_as_rarely_as_it_promises_when_nothing_differs() -> None:
    rng = np.random.default_rng(3)
    p_values = [
        intervals.paired_test(
            *(speakers(rng.binomial(10, 0.6, 8).tolist()) for _ in range(2)), accuracy, 300, [1]
        ).p_value
        for _ in range(200)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.09


def test_without_a_score_there_is_no_p() -> None:
    nothing = np.zeros((4, 1, 2, 2))
    assert np.isnan(intervals.paired_test(speakers([1, 2, 3, 4]), nothing, accuracy, 100, [1]).p_value)


def test_any_shape_of_sums_is_pooled_and_exchanged() -> None:
    def mean(sums: np.ndarray) -> np.ndarray:
        return sums[..., 1] / sums[..., 0]

    first, second = (np.array([[[1.0, value]] for value in values]) for values in ([3, 4, 5], [1, 2, 1]))
    assert intervals.score(first, mean) == 4
    assert intervals.score(first, mean, np.array([[0.0, 0, 3], [1, 1, 1]])).tolist() == [5, 4]
    assert intervals.paired_test(first, second, mean, 100, [1]).p_value == 2 / 2**3


def test_holm_leaves_out_what_could_not_be_tested() -> None:
    corrected = intervals.holm([0.02, float("nan"), 0.03])
    assert corrected[::2] == pytest.approx([0.04, 0.04])
    assert np.isnan(corrected[1])


def test_holm_by_hand() -> None:
    assert intervals.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert intervals.holm([0.6, 0.7]) == [1.0, 1.0]
