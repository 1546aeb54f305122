"""Votes outside the samples of frequent prompts, against a slow count."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ratings.prompt_samples import LEAST, PER_FREQUENT, outside_samples


def _slow(prompt: list[int]) -> list[bool]:
    votes = Counter(one for one in prompt if one)
    ordered = sorted(votes.values())
    most = max(LEAST, ordered[len(ordered) - 1 - len(ordered) // PER_FREQUENT]) if ordered else LEAST
    seen: Counter[int] = Counter()
    outside = []
    for one in prompt:
        outside.append(bool(one) and seen[one] >= most)
        seen[one] += 1
    return outside


@given(
    distinct=st.integers(0, 900),
    repeats=st.lists(st.tuples(st.integers(-5, 900), st.integers(1, 60)), max_size=12),
    seed=st.integers(0, 99),
)
def test_the_first_votes_on_a_frequent_prompt_are_its_sample(distinct: int, repeats: list, seed: int) -> None:
    prompt = [*range(1, distinct + 1), *(one for one, times in repeats for _ in range(times))]
    np.random.default_rng(seed).shuffle(prompt)
    assert outside_samples(np.array(prompt, dtype=np.int64)).tolist() == _slow(prompt)
