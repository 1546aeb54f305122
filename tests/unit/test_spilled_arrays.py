"""Large arrays in temporary files keep their values when their pages are given back, and small ones stay in memory."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from pipeline.spilled_arrays import SMALLEST, SpilledArrays, resident_bytes, spilled_arrays
from pipeline.vocabulary.large_arrays import have_place, keep, new_large

_VALUES = 8 << 20
_NEVER = 1 << 20


def test_values_survive_when_their_pages_are_given_back() -> None:
    values = np.arange(_VALUES)
    with spilled_arrays(resident_mb=_NEVER) as arrays:
        assert arrays is not None
        kept = keep(values)
        full = resident_bytes()
        arrays.give_back()
        assert full - resident_bytes() > 0.9 * values.nbytes
        kept[::1000] += 1
        arrays.give_back()
    values[::1000] += 1
    assert np.array_equal(kept, values)


def test_pages_are_given_back_while_the_process_is_too_large() -> None:
    with spilled_arrays(resident_mb=_NEVER):
        kept = keep(np.arange(_VALUES))
    before = resident_bytes()
    with spilled_arrays(resident_mb=0, least_mapped_mb=0) as arrays:
        assert arrays is not None
        more = keep(np.arange(_VALUES))
        while resident_bytes() > before + more.nbytes // 2:
            time.sleep(0.01)
        assert np.array_equal(more, kept)


def test_small_arrays_stay_in_memory_and_share_no_file() -> None:
    arrays = SpilledArrays()
    small = arrays.allocate((SMALLEST // 8 - 1,), np.dtype(np.int64))
    large = [arrays.allocate((SMALLEST // 8, 3), np.dtype(np.int64)) for _ in range(3)]
    assert small.base is None and all(one.base is not None for one in large)
    for number, one in enumerate(large):
        one[...] = number
    assert [int(one.min()) for one in large] == [int(one.max()) for one in large] == [0, 1, 2]


def test_without_a_place_an_array_is_not_copied() -> None:
    values = np.arange(10)
    assert keep(values) is values and not have_place()
    assert new_large((2, 3), np.int8).shape == (2, 3)
    with spilled_arrays():
        assert have_place()
        constant = np.broadcast_to(np.int8(1), 10)
        assert keep(constant) is constant


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("values", [SMALLEST, 20 * SMALLEST])
def test_an_array_stays_in_memory_if_the_disk_has_no_room(values: int) -> None:
    with _files_of_at_most(SMALLEST):
        array = SpilledArrays().allocate((values,), np.dtype(np.int8))
    array[...] = 7
    assert array.base is None and int(array.sum()) == 7 * values
