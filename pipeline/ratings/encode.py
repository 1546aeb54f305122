"""Votes as text → votes as codes.

Laws: an outcome that is not one of the four is an error, never a tie (a peer that scored unknown labels as
ties turned every rating into NaN); a model against itself is an error; the axis is the sorted names, so it
does not depend on the order of the votes.

Not handled: other spellings of an outcome ("tie (bothbad)"); `pipeline.formats` maps those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from pipeline.errors import BadCounts
from pipeline.ratings.checks import Codes

OUTCOMES = ("model_a", "model_b", "tie", "both_bad")
_OUTCOME_CODES = {name: code for code, name in enumerate(OUTCOMES)}


def encode_battles(
    model_a: Iterable[Any], model_b: Iterable[Any], winner: Iterable[Any]
) -> tuple[tuple[str, ...], Codes, Codes, Codes]:
    """Turn three columns of text into the model axis and three columns of codes.

    Args:
        model_a: N names; a list, a numpy array or a pandas column.
        model_b: N names.
        winner: N outcomes, each one of `OUTCOMES`.

    Returns:
        The sorted model names, then int32[N] codes of model a, model b and the outcome.

    Raises:
        BadCounts: columns of different lengths, a name that is not text, or an unknown outcome; the message
            gives the 0-based row and the value.
    """
    left, right, outcomes = _texts(model_a), _texts(model_b), _texts(winner)
    if not len(left) == len(right) == len(outcomes):
        lengths = f"{len(left)} model_a, {len(right)} model_b, {len(outcomes)} winner"
        raise BadCounts(f"expected columns of one length, got {lengths}")
    models = _axis(left, right)
    index = {name: code for code, name in enumerate(models)}
    result = _lookup(_OUTCOME_CODES, outcomes)
    if (result < 0).any():
        row = int(np.argmax(result < 0))
        raise BadCounts(f"expected a winner in {OUTCOMES}, got {outcomes[row]!r} at row {row}")
    return models, _lookup(index, left), _lookup(index, right), result


def _texts(column: Iterable[Any]) -> Sequence[Any]:
    # Plain strings keep their hash between look-ups; numpy's own scalars are made anew for each.
    return column.tolist() if hasattr(column, "tolist") else list(column)


def _axis(left: Sequence[Any], right: Sequence[Any]) -> tuple[str, ...]:
    try:
        names = set(left) | set(right)
    except TypeError:  # an unhashable value: the scan below finds it
        names = {None}
    if not all(_is_name(name) for name in names):
        row, name = next((row, x) for row, x in enumerate(_alternate(left, right)) if not _is_name(x))
        raise BadCounts(f"expected a model name, got {name!r} at row {row // 2}")
    return tuple(sorted(names))


def _lookup(index: dict[str, int], column: Sequence[Any]) -> Codes:
    try:
        return np.fromiter(map(index.get, column, repeat(-1)), np.int32, len(column))
    except TypeError:  # an unhashable value is as unknown as any other
        return np.array([index.get(v, -1) if isinstance(v, str) else -1 for v in column], dtype=np.int32)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _alternate(left: Sequence[Any], right: Sequence[Any]) -> Iterator[Any]:
    for pair in zip(left, right, strict=True):
        yield from pair
