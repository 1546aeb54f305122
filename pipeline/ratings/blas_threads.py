"""Limits BLAS to one thread for small matrices.

A Cholesky factorisation of a 129 × 129 matrix takes 0.3 ms. BLAS splits even that over its threads, and on a busy
machine the threads wait for each other: a search of 500 fits took 0.5 s with one thread and 4 to 8 s with two.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, wraps
from threading import Lock
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _controller() -> ThreadpoolController:
    # Finding the loaded libraries takes milliseconds; numpy and scipy are loaded before the first call.
    return ThreadpoolController()


class _Limit:
    """Limits BLAS to one thread in this process while at least one `with` block is between `enter` and `leave`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._blocks = ExitStack()
        self._inside = 0

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._blocks.enter_context(_controller().limit(limits=1, user_api="blas"))
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._blocks.close()


_LIMIT = _Limit()


@contextmanager
def limited_blas() -> Iterator[None]:
    """Let BLAS use one thread within a `with` block.

    The limit holds for the whole process. Blocks of several threads may overlap: the limit ends with the last of them.
    """
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()


def single_blas_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function so that BLAS uses one thread during each call of it."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with limited_blas():
            return function(*args, **kwargs)

    return limited
