"""One BLAS thread for small matrices.

A Cholesky factor of 129 × 129 takes 0.3 ms, yet BLAS splits it over its threads, which wait for each other on a busy
machine: a search of 500 fits took 0.5 s with one thread and 4 to 8 s with two.
"""

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _controller() -> ThreadpoolController:
    # Finding the loaded libraries takes milliseconds; numpy and scipy are loaded before the first call.
    return ThreadpoolController()


def single_blas_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function to run with one BLAS thread; the limit ends with the call."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with _controller().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited
