"""Writes the sentence about the intervals of a board on which few voters cast most votes."""

from __future__ import annotations

from pipeline.ratings.clustered_sandwich import LEAST_VOTERS


def few_voters_sentence(voters: float) -> str:
    """Return a sentence, without its capital and its full stop, about intervals if there are few voters.

    Args:
        voters: the effective number of voters, below LEAST_VOTERS.

    >>> few_voters_sentence(3.04)
    'few voters cast most votes, as if 3.0 voters had cast all in equal shares (10 are needed); each interval is the \
wider of one by voter and one of independent votes, and may still be too narrow'
    """
    return (
        f"few voters cast most votes, as if {voters:.1f} voters had cast all in equal shares ({LEAST_VOTERS} are "
        "needed); each interval is the wider of one by voter and one of independent votes, and may still be too narrow"
    )
