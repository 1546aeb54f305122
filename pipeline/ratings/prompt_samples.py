"""Decides which votes on frequent prompts are left out of a rating.

The most frequent 0.5% of the distinct prompts have about a tenth of all votes. They are greetings and riddles that
people try on every model. A rating method may therefore count only a sample of the votes on such a prompt.

Let P be the number of distinct prompts. Sort the prompts by their number of votes, largest first. Let L be the number
of votes of the prompt at position ⌊P/200⌋ + 1, but at least `LEAST`. A prompt with more than L votes is frequent, and
its sample has L votes. All votes on other prompts count.

Among fewer than 200 distinct prompts no prompt is frequent: on such a small board, one prompt may have a large part of
the votes for good reason.
"""

import numpy as np

from ..vocabulary.arrays import Bool, Int64

LEAST = 10
"""A prompt with at most this many votes is never frequent."""

PER_FREQUENT = 200
"""At most 1/PER_FREQUENT of the distinct prompts are frequent."""


def threshold(spectrum: Int64) -> int:
    """Return L, the largest number of votes that a prompt may have without being frequent, as the module defines it.

    Args:
        spectrum: int64[2, n]. The first row has the numbers of votes that occur among the prompts, each once,
            ascending. The second row has, for each number in the first row, how many prompts have exactly that
            number of votes.

    >>> threshold(np.array([[1, 40, 700], [990, 9, 1]])), threshold(np.array([[1, 700], [999, 1]]))
    (40, 10)
    >>> threshold(np.array([[1, 700], [198, 1]])), threshold(np.array([[1, 700], [199, 1]]))
    (700, 10)
    """
    votes, prompts = spectrum
    if not len(votes):
        return LEAST
    known = int(prompts.sum())
    place = known - 1 - known // PER_FREQUENT
    return max(LEAST, int(votes[np.searchsorted(np.cumsum(prompts), place, side="right")]))


def outside_samples(prompt: Int64) -> Bool:
    """Return bool[n], true for the votes on frequent prompts that are outside the sample of their prompt.

    The sample of a frequent prompt consists of its first L votes in the order of the array, where L is the result of
    `threshold`.

    Args:
        prompt: int64[n], a number for the prompt of each vote, 0 for a vote without a prompt.

    >>> votes = np.array([*range(1, 300), *[7] * 15, 0])
    >>> np.flatnonzero(outside_samples(votes)).tolist()
    [308, 309, 310, 311, 312, 313]
    """
    known = np.flatnonzero(prompt)
    _, group, votes = np.unique(prompt[known], return_inverse=True, return_counts=True)
    group = group.ravel()
    most = threshold(np.stack(np.unique(votes, return_counts=True)).astype(np.int64))
    rows = np.flatnonzero((votes > most)[group])
    rows = rows[np.argsort(group[rows], kind="stable")]
    ordered = group[rows]
    start = np.searchsorted(ordered, ordered)
    outside = np.zeros(len(prompt), dtype=np.bool_)
    outside[known[rows[np.arange(len(rows)) - start >= most]]] = True
    return outside
