"""Counts the votes of clusters, such as voters, and draws whole clusters with replacement, for the bootstrap."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from ..vocabulary.arrays import Float64, Int32, Int64
from ..vocabulary.large_arrays import keep, new_large, pieces
from .clustered_sandwich import voter_clusters
from .pair_counts import PairCounts


@dataclass(frozen=True, slots=True, eq=False)
class ClusterVotes:
    """The votes of each of G clusters, such as voters, in the cells of pair counts.

    Attributes:
        votes: sparse float64[3P, G], number of votes of each cluster in each cell. The rows are the P cells in which a
            won, then the P cells in which b won, then the P cells without a winner.
    """

    votes: csr_array

    @classmethod
    def of(cls, counts: PairCounts, a: Int32, b: Int32, outcome: Int32, cluster: Int64) -> "ClusterVotes":
        """Count the votes of each cluster.

        Args:
            counts: the N votes as pair counts.
            a, b, outcome: int32[N], codes of the models and of the outcome of each vote.
            cluster: int64[N], equal for votes of one cluster; −1 for a vote that is a cluster of its own.
        """
        number, _ = voter_clusters(cluster)
        pairs, size = len(counts.a), len(counts.models)
        keys = counts.a.astype(np.int64) * size + counts.b
        cell = new_large((len(number),), np.int32)
        for piece in pieces(len(number)):
            first, second, given = (column[piece] for column in (a, b, outcome))
            pair = np.searchsorted(keys, np.minimum(first, second).astype(np.int64) * size + np.maximum(first, second))
            # The outcome for the first model of the pair: 0 won, 1 lost, 2 neither.
            result = np.where((first > second) & (given < 2), 1 - given, np.minimum(given, 2))
            cell[piece] = result * pairs + pair
        order = keep(np.argsort(cell, kind="stable"))
        member, ones = new_large((len(number),), np.int32), new_large((len(number),), np.float64)
        for piece in pieces(len(number)):
            member[piece], ones[piece] = number[order[piece]], 1.0
        starts = np.append(0, np.cumsum(np.bincount(cell, minlength=3 * pairs))).astype(np.int32)
        shape = (3 * pairs, int(number.max()) + 1 if len(number) else 0)
        return cls(csr_array((ones, member, starts), shape=shape))

    def draw(self, rng: np.random.Generator) -> Float64:
        """Draw as many clusters as there are, with replacement; return float64[3P], their votes in each cell."""
        size = self.votes.shape[1]
        times = np.bincount(rng.integers(0, size, size), minlength=size).astype(np.float64)
        result: Float64 = self.votes @ times
        return result
