"""Finds the strongly connected components of the win digraph, within which models can be compared.

A finite Bradley-Terry estimate exists exactly when the win digraph is strongly connected (Ford 1957, "Solution of a
ranking problem from binary comparisons", Amer. Math. Monthly 64(8)). The win digraph has an edge from i to j if i won a
vote against j. A tie counts as half a win for each side, so it is an edge in both directions. Different components must
not be rated together, since their order is arbitrary. A standard error does not show this: in one example the
pseudo-inverse gives a plausible standard error of 24 points.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ..errors import BadCounts, Disconnected
from ..vocabulary.arrays import Bool, Float64, Int32, Int64

# Components that a message lists, and models of each.
_SHOWN = 6


def strong_components(W: Float64) -> list[Int64]:
    """Split the models into strongly connected components.

    Args:
        W: float64[K, K], wins of i over j, with half a win for each side of a tie.

    Returns:
        One array for each component: the codes of its models, ascending. Components are sorted by number of votes
        between their models, then by number of models, both descending, then by their lowest code.
    """
    count, label = connected_components(csr_array(np.asarray(W > 0, dtype=np.int8)), directed=True, connection="strong")
    inside = np.where(label[:, None] == label[None, :], W, 0.0).sum(axis=1)
    votes = np.bincount(label, weights=inside, minlength=count)
    parts = [np.flatnonzero(label == k).astype(np.int64) for k in range(count)]
    order = sorted(range(count), key=lambda k: (-votes[k], -len(parts[k]), int(parts[k][0])))
    return [parts[k] for k in order]


def is_strongly_connected(W: Float64) -> bool:
    """Return whether the win digraph is one strongly connected component; false without models.

    Args:
        W: float64[K, K], wins of i over j, with half a win for each side of a tie.
    """
    beats = W > 0
    return len(W) > 0 and _reaches_all(beats) and _reaches_all(beats.T)


def _reaches_all(edges: Bool) -> bool:
    reached = np.zeros(len(edges), dtype=bool)
    reached[0] = True
    fresh = reached
    while fresh.any():
        fresh = edges[fresh].any(axis=0) & ~reached
        reached = reached | fresh
    return bool(reached.all())


def components_of_pairs(models: int, a: Int32, b: Int32, outcome_counts: Int64) -> tuple[list[Int64], Int64]:
    """Split the models into strongly connected components, from pair counts instead of a K × K matrix.

    Args:
        models: K, the number of models.
        a: int32[P], code of the first model of each pair.
        b: int32[P], code of the second model of each pair.
        outcome_counts: int64[P, 4], number of votes by outcome, in the order of `OUTCOMES`.

    Returns:
        Two values: for each component an array with the codes of its models, ascending; and int64, for each component
            the number of votes among its models. Components with the most votes come first.
    """
    none = outcome_counts[:, 2] + outcome_counts[:, 3]
    forth, back = outcome_counts[:, 0] + none > 0, outcome_counts[:, 1] + none > 0
    start, end = np.concatenate([a[forth], b[back]]), np.concatenate([b[forth], a[back]])
    edges = csr_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(models, models))
    count, label = connected_components(edges, directed=True, connection="strong")
    inside = label[a] == label[b]
    votes = np.zeros(count, dtype=np.int64)
    np.add.at(votes, label[a[inside]], outcome_counts[inside].sum(axis=1))
    by_label = np.argsort(label, kind="stable").astype(np.int64)
    parts = np.split(by_label, np.cumsum(np.bincount(label, minlength=count))[:-1]) if models else []
    order = sorted(range(count), key=lambda k: (-int(votes[k]), -len(parts[k]), int(parts[k][0])))
    return [parts[k] for k in order], votes[order]


def label_islands(models: int, a: Int32, b: Int32) -> Int32:
    """Label the islands: the connected components of the graph whose edges are the pairs of models that met.

    Args:
        models: K, the number of models.
        a: int32[P], code of the first model of each pair that met.
        b: int32[P], code of the second model of each pair that met.

    Returns:
        int32[K], the number of each model's island. A model without a vote is an island of its own.
    """
    edges = csr_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(models, models))
    label: Int32 = connected_components(edges, directed=False)[1].astype(np.int32)
    return label


def largest_component(W: Float64) -> tuple[Int64, float]:
    """Find the strongly connected component with the most votes.

    Args:
        W: float64[K, K], wins of i over j, with half a win for each side of a tie.

    Returns:
        Two values: the codes of the component's models, ascending; and the share of all votes that are between these.

    Raises:
        BadCounts: there are no models or no votes.
    """
    total = float(W.sum())
    if total == 0:
        raise BadCounts(f"expected at least one vote, got none on {len(W)} models")
    members = strong_components(W)[0]
    return members, float(W[np.ix_(members, members)].sum()) / total


def require_strongly_connected(W: Float64, names: Sequence[str | int] | None = None) -> None:
    """Raise `Disconnected` unless the win digraph is strongly connected, so that a finite estimate exists.

    Args:
        W: float64[K, K], wins of i over j, with half a win for each side of a tie.
        names: names of the models, by which the error lists the components; None to list codes.

    Raises:
        Disconnected: there are several components.
    """
    if not is_strongly_connected(W):
        parts = strong_components(W)
        expected = "expected one group of models that won and lost against each other, directly or through others"
        raise disconnected_error(parts, names, expected)


def disconnected_error(parts: Sequence[Int64], names: Sequence[str | int] | None, expected: str) -> Disconnected:
    """Build the error that lists the components of a win graph. The message names the first models of each component.

    Args:
        parts: for each component, int64, the codes of its models.
        names: names of the models; None to list codes.
        expected: what was expected, as the beginning of the message.
    """
    labels = range(sum(len(part) for part in parts)) if names is None else names
    named = [[labels[int(code)] for code in part] for part in parts]
    listed = "; ".join(_set_text(part) for part in named[:_SHOWN]) + ("; …" if len(named) > _SHOWN else "")
    return Disconnected(f"{expected}, got {len(named)} components (groups): {listed}", named)


def _set_text(part: Sequence[str | int]) -> str:
    more = f", … {len(part) - _SHOWN} more" if len(part) > _SHOWN else ""
    return "{" + ", ".join(str(name) for name in part[:_SHOWN]) + more + "}"
