"""One BLAS thread for the small matrices of a board.

A Cholesky factor of 129 × 129 takes 0.3 ms; BLAS splits it all the same, and on a machine with other work its
threads then wait for each other: a search of 500 fits took 0.5 s on one thread and 4 to 8 s on two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _controller() -> ThreadpoolController:
    # Looking for the libraries takes milliseconds, so it is done once; numpy and scipy are loaded by then.
    return ThreadpoolController()


def single_blas_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function with BLAS on one thread, and give BLAS its threads back."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with _controller().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited
