"""Defines how a pass is run: a runner applies a function to every item, on the engine that INTEGRITY_COMPUTE names.

A pass is a map and a reduce: the engine applies the function to the items, and the caller adds up the results. Results
come in the order of the items, so sums of floats have the same digits on every engine. The caller reduces each result
as it comes. So the memory of the caller is bounded by its sums and the items and results in flight. The memory of a
worker is bounded by one item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar


class Item(Protocol):
    """An item to which a pass applies its function, such as a segment or a part of the votes. It can be pickled."""

    @property
    def name(self) -> str:
        """The name of the item in messages."""

    @property
    def sent_bytes(self) -> int:
        """About how many bytes are sent to a worker with the item; 0 if the item has only paths of files."""


ItemT = TypeVar("ItemT", bound=Item)
Result = TypeVar("Result")


class Runner(Protocol):
    """Applies a function to every item of a pass, on one of the engines.

    Attributes:
        in_process: whether functions run in threads of this process, and so may keep what they read.
    """

    in_process: bool

    def map(self, function: Callable[[ItemT], Result], items: Iterable[ItemT]) -> Iterator[Result]:
        """Yield the result of a function for each item, in the order of the items.

        Items are taken from `items` in the thread of the caller. The number of items that are taken before their
        results are yielded is bounded.

        Args:
            function: reads the item and changes nothing, since it may run twice; can be pickled.
            items: the items.

        Raises:
            Exception: the error of `function`, in place of the result of its item. A note of the error names the item.
            Unavailable: the workers ended several times while they worked on the same items.
        """
