"""The limit on rejects, compared with a slow count, record by record."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import TooManyRejects
from pipeline.events import Reject
from pipeline.stream.reject_limit import RejectLimit


def reject(position: int) -> Reject:
    return Reject(position, "malformed", "", b"", b"")


def trips(limit: RejectLimit, batches: list[list[bool]]) -> int | None:
    """The batch at which the limit stops the worker; True is a reject."""
    for number, batch in enumerate(batches):
        try:
            limit.check(len(batch), [reject(i) for i, bad in enumerate(batch) if bad])
        except TooManyRejects:
            return number
    return None


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=12), max_size=12), st.integers(1, 8))
def test_rejects_in_a_row_are_counted_across_batches(batches: list[list[bool]], most: int) -> None:
    expected, row = None, 0
    for number, batch in enumerate(batches):
        for bad in batch:
            row = row + 1 if bad else 0
            if row >= most and expected is None:
                expected = number
    assert trips(RejectLimit(most, 1.0), batches) == expected


def test_the_share_is_taken_over_the_last_two_thousand_records() -> None:
    half = [i % 2 == 0 for i in range(1000)]
    mostly = [i % 3 != 0 for i in range(1000)]
    good = [False] * 1000
    assert trips(RejectLimit(10**9, 0.5), [good, half, half]) is None
    assert trips(RejectLimit(10**9, 0.5), [good, mostly, mostly]) == 2
    assert trips(RejectLimit(10**9, 0.5), [mostly]) is None  # fewer than 2,000 records


def test_a_good_record_resets_the_count_in_a_row() -> None:
    batch = [True] * 99 + [False]
    assert trips(RejectLimit(100, 1.0), [batch] * 50) is None
