"""The limit of BLAS to one thread, in a process whose threads overlap."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import scipy.linalg
from threadpoolctl import threadpool_info, threadpool_limits

from pipeline.ratings.blas_threads import limited_blas

assert np.__name__ and scipy.linalg.__name__  # their BLAS is loaded


def threads() -> set[int]:
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_the_limit_lasts_until_the_last_of_overlapping_blocks_ends() -> None:
    with threadpool_limits(3, user_api="blas"):
        before = threads()
        one, other = ExitStack(), ExitStack()
        one.enter_context(limited_blas())
        other.enter_context(limited_blas())
        one.close()
        assert threads() == {1}, "the block that is still open lost its limit"
        other.close()
        assert threads() == before != {1}, "the limit outlived all blocks"
