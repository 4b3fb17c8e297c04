"""Clips are worked on in parallel, come back in order, and never pile up."""

import threading
import time

import pytest

from avpretext.pool import ordered_map


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_keep_the_order(threads):
    def work(number: int) -> int:
        time.sleep(0.002 * (7 - number))
        return number * number

    assert list(ordered_map(work, range(7), threads)) == [number * number for number in range(7)]


def test_no_more_than_the_threads_are_ahead_of_the_reader():
    started = []
    for number in ordered_map(lambda item: started.append(item) or item, range(20), 3):
        time.sleep(0.002)
        assert max(started) <= number + 3


def test_an_error_reaches_the_reader_and_leaves_no_thread():
    def work(number: int) -> int:
        if number == 2:
            raise ValueError(number)
        return number

    before = threading.active_count()
    with pytest.raises(ValueError, match="2"):
        list(ordered_map(work, range(10), 2))
    assert threading.active_count() == before
