"""Laws of the bounded reader: in order, never far ahead, nothing left running."""

import itertools
import threading

import pytest

from bmjax.data.images.read_bounded import read_bounded


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_results_come_in_the_order_of_the_items(threads, count):
    results = read_bounded(lambda n: n * n, range(count), threads=threads)
    assert list(results) == [n * n for n in range(count)]


@pytest.mark.parametrize(("threads", "ahead"), [(1, 3), (3, 5), (2, 0)])
def test_no_more_is_read_than_was_taken_and_a_bound_ahead(threads, ahead):
    taken = []

    def items():
        for number in itertools.count():
            taken.append(number)
            yield number

    results = read_bounded(lambda n: n, items(), threads=threads, ahead=ahead)
    bound = ahead or 4 * threads
    for number in range(20):
        assert next(results) == number
        assert taken[-1] <= number + bound
    results.close()


def test_an_error_is_raised_in_its_place_and_ends_the_threads():
    def read(number):
        if number == 3:
            raise ValueError("three")
        return number

    before = threading.active_count()
    results = read_bounded(read, range(1000), threads=2)
    assert list(itertools.islice(results, 3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert threading.active_count() == before
