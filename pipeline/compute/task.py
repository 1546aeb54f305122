"""Runs a function on an item in a worker, and carries its error to the caller.

An error comes back as a value, for two reasons. First, the caller retries after the loss of a worker, but must not
retry after an error of the function. Second, an exception whose constructor takes other arguments than its message
cannot be unpickled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.ratings.blas_threads import single_blas_thread

if TYPE_CHECKING:
    from pipeline.compute.runner import Item

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """The result of a function that ended without an error, as a worker returns it.

    Attributes:
        result: what the function returned.
    """

    result: Result


@dataclass(frozen=True, slots=True)
class Failed:
    """The error of a function, as a worker returns it: in parts that can be pickled.

    Attributes:
        kind: class of the error.
        args: arguments of the error, as the exception has them.
        given: the arguments of the constructor with which the caller creates the error again. They can differ from
            `args`: for an OSError they include the name of the file.
        state: attributes of the error.
        traceback: the traceback in the worker, as text.
    """

    kind: type[Exception]
    args: tuple[Any, ...]
    given: tuple[Any, ...]
    state: dict[str, Any]
    traceback: str

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """Split an error into parts that can be pickled."""
        given = error.__reduce__()[1]
        return cls(type(error), error.args, tuple(given), dict(error.__dict__), "".join(format_exception(error)))

    def error(self) -> Exception:
        """Return the error that the function raised, with the traceback of the worker as a note."""
        try:
            error = self.kind(*self.given)
        except Exception:  # its constructor takes other arguments
            error = self.kind.__new__(self.kind)
        error.args = self.args
        error.__dict__.update(self.state)
        error.add_note(f"In a worker:\n{self.traceback}")
        return error


@single_blas_thread
def attempt(function_and_item: tuple[Callable[[Any], Result], Item]) -> Done[Result] | Failed:
    """Apply a function to an item, and return its result or its error as a value.

    BLAS uses one thread, so that its sums do not depend on the worker's processors.

    Function and item are passed as one tuple. Dask would keep an argument that is an instance of one of our classes on
    a single worker, and lose the argument with this worker.
    """
    function, item = function_and_item
    try:
        return Done(function(item))
    except Exception as error:
        return Failed.of(error)


def name_item(error: Exception, name: str) -> None:
    """Add a note that names the item to an error, unless the error's message already names it."""
    if name not in str(error):
        error.add_note(f"The error is of the {name}.")
