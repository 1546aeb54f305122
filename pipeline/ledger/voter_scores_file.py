"""Writes and reads `voter-scores.parquet`: sums over voters, from which clustered intervals are computed.

Public votes do not name voters, so a reader cannot compute these sums (`ratings.voter_scores`). The operator states
them. With the sums and the public votes, a reader computes the intervals again.

The file is Parquet with the columns

    view     string, raw or defended
    model_a  string
    model_b  string, not before model_a in the order of the view's models
    value    float32: in a row with two models the entry of B = Σ s sᵀ, in a row of a model with itself Σ s⁴

The vector s has one value for each model: what the votes of one voter add to the gradient of the model's strength. The
diagonal of B is minus the sum of the rest of its row. Pairs with the value 0 are left out. A view's models are those
that have a row with themselves, in the order of these rows.
"""

import io
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import Refuted
from ..ratings.voter_scores import VoterScores
from ..vocabulary.arrays import Float64
from . import size_limits

PATH = "voter-scores.parquet"
"""Path of the file of voters' scores in a bundle."""

VIEWS = ("raw", "defended")
"""The views with sums, in the order of the file."""

# The diagonal is a difference of numbers in single precision.
_ROUNDING = 1e-5
_TEXT = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema([("view", _TEXT), ("model_a", _TEXT), ("model_b", _TEXT), ("value", pa.float32())])


def as_published(scores: VoterScores) -> VoterScores:
    """Round sums over voters to the precision of the file. Published intervals are computed from the rounded sums."""
    upper = np.triu(scores.scatter, 1).astype(np.float32).astype(np.float64)
    return VoterScores(scores.models, _with_diagonal(upper), scores.fourth.astype(np.float32).astype(np.float64))


def _with_diagonal(upper: Float64) -> Float64:
    both = upper + upper.T
    return np.asarray(both - np.diag(both.sum(axis=1)))


def write(views: Mapping[str, VoterScores]) -> bytes:
    """Build the content of the file from the sums over voters of each view.

    Args:
        views: name of a view → its sums over voters.
    """
    sink = io.BytesIO()
    tables = [_table(view, scores) for view, scores in views.items()]
    pq.write_table(pa.concat_tables(tables).unify_dictionaries(), sink, compression="zstd")
    return sink.getvalue()


def _table(view: str, scores: VoterScores) -> pa.Table:
    a, b = np.nonzero(np.triu(scores.scatter, 1))
    own = np.arange(len(scores.models))
    names = pa.array(scores.models, pa.string())
    first, second = (
        pa.DictionaryArray.from_arrays(pa.array(np.concatenate([own, one]), pa.int32()), names) for one in (a, b)
    )
    value = np.concatenate([scores.fourth, scores.scatter[a, b]]).astype(np.float32)
    of = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(value)), pa.int32()), pa.array([view]))
    return pa.table([of, first, second, pa.array(value)], schema=_SCHEMA)


def read(data: bytes, models: int) -> dict[str, VoterScores]:
    """Read the file `voter-scores.parquet`.

    Args:
        data: content of the file.
        models: largest number of models of a view.

    Returns:
        View → the sums over voters of this view. A view that the file lacks is absent.

    Raises:
        Refuted: reason `voter_scores`: the file is not Parquet with these columns, a number is not finite, Σ s⁴ or a
            variance is below 0, a view or a model is unknown, or an entry is repeated. Reason `limit`: the file or the
            number of models of a view is too large.
    """
    rows = 2 * models * (models + 1) // 2
    file, _ = size_limits.open_parquet(data, PATH, "voter_scores", rows, row_bytes=32)
    if file.schema_arrow.names != _SCHEMA.names:
        raise Refuted("voter_scores", PATH, f"expected columns {', '.join(_SCHEMA.names)}")
    try:
        table = file.read(use_threads=False).cast(
            pa.schema([*((name, pa.string()) for name in _SCHEMA.names[:3]), ("value", pa.float64())])
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refuted("voter_scores", PATH, f"expected a Parquet file: {error}") from None
    view, first, second, value = (column.to_pylist() for column in table.columns)
    if None in view or None in first or None in second or None in value or not np.isfinite(value).all():
        raise Refuted("voter_scores", PATH, "expected a view, two models and a finite number in every row")
    found: dict[str, VoterScores] = {}
    for name in dict.fromkeys(view):
        if name not in VIEWS:
            raise Refuted("voter_scores", PATH, f"expected the views {', '.join(VIEWS)}, got {name}")
        at = [k for k, one in enumerate(view) if one == name]
        found[name] = _scores(name, models, [first[k] for k in at], [second[k] for k in at], [value[k] for k in at])
    return found


def _scores(view: str, most: int, first: list[str], second: list[str], value: list[float]) -> VoterScores:
    own = [k for k, (a, b) in enumerate(zip(first, second, strict=True)) if a == b]
    if len(own) > most:
        raise Refuted("limit", f"{PATH}, view {view}", f"expected at most {most:,} models, got {len(own):,}")
    models = tuple(first[k] for k in own)
    place = {name: at for at, name in enumerate(models)}
    fourth = np.array([value[k] for k in own])
    if len(place) < len(models) or (fourth < 0).any():
        raise Refuted("voter_scores", f"{PATH}, view {view}", "expected each model once with itself, from 0")
    upper = np.zeros((len(models), len(models)))
    pairs = [(a, b, x) for a, b, x in zip(first, second, value, strict=True) if a != b]
    if any(a not in place or b not in place for a, b, _ in pairs):
        raise Refuted("voter_scores", f"{PATH}, view {view}", "expected a row with itself for every model")
    for a, b, x in pairs:
        if place[a] > place[b] or upper[place[a], place[b]]:
            raise Refuted("voter_scores", f"{PATH}, view {view}, {a}, {b}", "expected each pair of models once")
        upper[place[a], place[b]] = x
    scatter = _with_diagonal(upper)
    if (np.diag(scatter) < -_ROUNDING * np.abs(scatter).max(initial=1.0)).any():
        raise Refuted("voter_scores", f"{PATH}, view {view}", "expected no negative sum of squares")
    return VoterScores(models, scatter, fourth)
