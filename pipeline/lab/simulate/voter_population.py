"""Draws the numbers of votes, accounts, languages and networks of voters, and the prompts of votes.

The distributions match published figures of the real board. It has 1.80 million votes by 493,600 voters (3.65 each).
The most active 1% of voters cast 16% of the votes, and 7.3% of the prompts are repeats.
"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.scoring.window_counter import network_hash
from pipeline.vocabulary.arrays import Float64, Int8, Int16, Int64
from pipeline.vocabulary.time import DAY, SECOND

VOTES_PER_VOTER = 3.65
TIE_SHARE = 0.32  # of simulated boards without real pairs
# Every voter casts one vote and the rest follow a power law with this exponent. With 3.65 votes each the
# busiest 1% must cast .217 of the rest to cast 16% of all; .01^(1 − 1/α) = .217 gives α = 1.50 for endless
# streams, and 1.47 is right for 200,000 votes, where the tail is cut off.
_ALPHA = 1.47
_REPEATS = 0.073

# Round figures, English most: no detector depends on them.
LANGUAGES = {
    "en": 0.60, "zh": 0.10, "ru": 0.09, "de": 0.05, "ja": 0.04, "es": 0.04, "fr": 0.03, "ko": 0.03, "pt": 0.02
}  # fmt: skip
CATEGORIES = {
    "general": 0.40, "coding": 0.22, "creative_writing": 0.13, "math": 0.11, "instruction_following": 0.08,
    "long_query": 0.06,
}  # fmt: skip

# Numbers reserved for private use (RFC 6996): they name no real operator. Popularity falls as 1/rank.
NETWORKS = tuple(f"AS{64512 + k}" for k in range(300))

# One account in ten is made on the day of its first vote; the others' ages are log-uniform up to 400 days: about
# 40% of voters are "new" (7 days) when they first vote.
_SAME_DAY = 0.1
_OLDEST_DAYS = 400.0
_NEW_DAYS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class VoterAccounts:
    """The account data of V voters.

    Attributes:
        since: int64[V], time at which the account was created, in microseconds since 1970 UTC, a whole second.
        language: int8[V], position in LANGUAGES.
        network: int16[V], position in NETWORKS.
    """

    since: Int64
    language: Int8
    network: Int16


def draw_votes_per_voter(rng: np.random.Generator, votes: int, voters: int) -> Int64:
    """Draw the number of votes of each voter, int64[voters]. Each is at least 1, and their sum is `votes`.

    Voters at the beginning of the array tend to cast more votes.
    """
    weight = ((np.arange(voters) + 0.5) / voters) ** (-1 / _ALPHA)
    return 1 + rng.multinomial(votes - voters, weight / weight.sum())


def draw_accounts(rng: np.random.Generator, first_vote: Int64, *, new: bool) -> VoterAccounts:
    """Draw the account of each of V voters. An account is created before the voter's first vote.

    Args:
        rng: random number generator.
        first_vote: int64[V], time of each voter's first vote, in microseconds since 1970 UTC.
        new: whether all accounts are at most two days old at the first vote.
    """
    n = len(first_vote)
    days = np.exp(rng.uniform(0, math.log(_OLDEST_DAYS), n))
    same_day = rng.uniform(0, 1, n)
    age = np.where(rng.random(n) < _SAME_DAY, same_day, days)
    if new:
        age = same_day * _NEW_DAYS
    popularity = 1 / np.arange(1, len(NETWORKS) + 1)
    return VoterAccounts(
        since=(first_vote - (age * DAY).astype(np.int64)) // SECOND * SECOND,
        language=_pick(rng, np.array(list(LANGUAGES.values())), n).astype(np.int8),
        network=_pick(rng, popularity, n).astype(np.int16),
    )


def draw_categories(rng: np.random.Generator, n: int) -> Int8:
    """Draw the category of each of n prompts. Returns int8[n], positions in CATEGORIES."""
    return _pick(rng, np.array(list(CATEGORIES.values())), n).astype(np.int8)


def draw_prompts(rng: np.random.Generator, n: int) -> Int64:
    """Draw the prompt of each of n votes. Returns int64[n], numbers of prompts.

    The number of a prompt is the position of the first vote with this prompt. A repeat copies the prompt of an earlier
    vote that is chosen with equal probability. So popular prompts become more popular, and their popularity follows a
    power law (Simon 1955, Biometrika 42).
    """
    source = np.arange(n)
    repeats = np.flatnonzero(rng.random(n) < _REPEATS)
    repeats = repeats[repeats > 0]
    source[repeats] = (rng.random(len(repeats)) * repeats).astype(np.int64)
    # Resolve copies of copies: each round halves the distance to the original.
    while not np.array_equal(source, further := source[source]):
        source = further
    return source


def network_hashes() -> Int64:
    """Return the hashes by which windows count the votes of networks: int64[n], in the order of NETWORKS."""
    return np.array([network_hash(name) for name in NETWORKS], dtype=np.int64)


def _pick(rng: np.random.Generator, weight: Float64, n: int) -> Int64:
    edges = np.cumsum(weight)
    return np.searchsorted(edges, rng.uniform(0, edges[-1], n), side="right")
