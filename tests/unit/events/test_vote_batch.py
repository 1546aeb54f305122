"""Votes as columns."""

import hashlib
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from functools import partial

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import (
    VoteBatch,
    to_columns,
)
from pipeline.events.pseudonym import pseudonym
from pipeline.events.vote_batch import first_occurrences
from pipeline.stream.decoding import PseudonymCache
from pipeline.vocabulary.time import NO_TIME, from_microseconds, to_microseconds
from pipeline.vocabulary.vote_flags import (
    DEDUPLICATED,
    IDENTITY_LEAK,
    NOT_ANONYMOUS,
    REFUSAL,
    RULES,
    STATED,
)
from tests.unit.events.sample_events import (
    EVENT,
    FULL,
    KEY,
    times,
    votes_of,
)
from tests.unit.vocabulary.test_vote_flags import stated_value


def name_of(voter_id: str) -> int:
    return pseudonym(KEY, voter_id)


def batch_of(*records_: dict[str, object], key: bytes = KEY) -> VoteBatch:
    offset = np.arange(len(records_), dtype=np.int64)
    return to_columns(
        votes_of(*records_),
        np.zeros(len(records_), dtype=np.int32),
        offset,
        offset + 5,
        PseudonymCache(partial(pseudonym, key)),
    )


def test_columns_equal_the_fields_of_the_votes() -> None:
    batch = batch_of(FULL, {**EVENT, "winner": "both_bad"})
    digest = hashlib.sha256(b"v-1").digest()
    assert len(batch) == 2
    assert batch.key.dtype == np.uint64
    assert batch.key[0].tolist() == [int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")]
    assert batch.side[0] == int.from_bytes(digest, "big") & 1
    assert batch.outcome.tolist() == [0, 3]
    assert batch.voter.tolist() == [name_of("alice@example.org"), 0]
    assert batch.has_voter.tolist() == [True, False]
    assert batch.cast_at.tolist() == [1719835200_000000] * 2
    assert batch.voter_since.tolist() == [1719835200_000000 - 86400_000000, NO_TIME]
    assert batch.style.tolist() == [[5, 1, 2, 3, 4, 6, 1, 2, 3, 4], [-1] * 10]
    assert (batch.vote_id, batch.model_a, batch.model_b) == (["v-1"] * 2, ["ant"] * 2, ["bee"] * 2)
    assert (batch.language, batch.category) == (["de", None], ["maths", None])
    prompt = int.from_bytes(hashlib.sha256(b"p1").digest()[:8], "big", signed=True)
    assert (batch.prompt.tolist(), batch.network) == ([prompt, 0], ["n1", None])
    assert (batch.offset.tolist(), batch.appended_at.tolist()) == ([0, 1], [5, 6])
    flags = (NOT_ANONYMOUS << 5) + (REFUSAL << 5) + DEDUPLICATED + (IDENTITY_LEAK << 5)
    assert (batch.flags.tolist(), batch.turn.tolist()) == ([flags, 0], [3, 0])
    assert (batch.session.tolist(), batch.categories) == ([name_of("\0session\0s-1"), 0], ['["code","maths"]', None])


@pytest.mark.parametrize("field", STATED)
def test_flags_say_what_was_stated(field: str) -> None:
    flags = batch_of(*({**EVENT, field: value} for value in (None, True, False))).flags.tolist()
    assert [stated_value(one, field) for one in flags] == [None, True, False]
    assert flags[0] == 0
    assert sum(one & RULES for one in flags) == {"anonymous": 1, "refusal": 2, "deduplicated": 4}.get(field, 8)


def test_the_categories_of_a_vote_are_all_that_it_names() -> None:
    named = [
        (None, None),
        ("b", None),
        ("b", []),
        ("b", ["b", "b"]),
        ("b", ["c", "a", "c"]),
        (None, ["b"]),
        (None, ["b", "a"]),
    ]
    batch = batch_of(*({**EVENT, "category": one, "categories": several} for one, several in named))
    assert batch.categories == [None, None, None, None, '["a","b","c"]', '["b"]', '["a","b"]']
    assert batch.category == [one for one, _ in named]


def test_a_session_is_never_a_voter_and_may_be_nobodys() -> None:
    records = [
        {**EVENT, "voter_id": "s"},
        {**EVENT, "session": "s"},
        {**EVENT, "session": "s"},
        {**EVENT, "session": "3.0"},
    ]
    batch = batch_of(*records, {**EVENT, "session": "3"}, {**EVENT, "session": "none"}, {**EVENT, "session": ""})
    assert len({batch.voter[0], batch.session[1]}) == 2
    assert batch.session[1] == batch.session[2] != 0
    assert batch.session[3] == batch.session[4] != batch.session[1]
    assert batch.session[5:].tolist() == [0, 0]


def test_the_key_and_the_side_follow_the_id_for_many_ids() -> None:
    ids = [f"vote {n}" for n in range(300)]
    batch = batch_of(*({**EVENT, "vote_id": i} for i in ids))
    for i, (high, low), side in zip(ids, batch.key.tolist(), batch.side.tolist(), strict=True):
        number = int(hashlib.sha256(i.encode()).hexdigest(), 16)
        assert (high << 64 | low, side) == (number >> 128, number & 1)
    assert 100 < batch.side.sum() < 200


def test_an_empty_batch_has_columns_too() -> None:
    batch = batch_of()
    assert len(batch) == 0
    assert batch.key.shape == (0, 2)
    assert batch.style.shape == (0, 10)


@given(st.lists(times, min_size=1, max_size=5))
def test_times_are_exact_to_the_microsecond(cast: list[datetime]) -> None:
    batch = batch_of(*({**EVENT, "cast_at": t.isoformat(), "voter_since": t.isoformat()} for t in cast))
    exact = [(t - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for t in cast]
    assert batch.cast_at.tolist() == batch.voter_since.tolist() == exact
    assert [to_microseconds(t) for t in cast] == exact
    assert [from_microseconds(n) for n in exact] == cast


def test_times_are_exact_for_many_instants() -> None:
    # A double of seconds times a million falls below the whole number for one instant in a hundred.
    exact = np.random.default_rng(1).integers(0, 4 * 10**15, 5000).tolist()
    votes = [msgspec.structs.replace(votes_of(EVENT)[0], cast_at=from_microseconds(n)) for n in exact]
    zero = np.zeros(len(votes), dtype=np.int64)
    assert to_columns(votes, zero.astype(np.int32), zero, zero, PseudonymCache(name_of)).cast_at.tolist() == exact


def test_an_offset_from_utc_does_not_change_the_time() -> None:
    east = datetime(2024, 7, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    batch = batch_of({**EVENT, "cast_at": east.isoformat()}, EVENT)
    assert batch.cast_at[0] == batch.cast_at[1]


@given(st.lists(st.integers(0, 5), max_size=9))
def test_take_selects_rows_of_every_column(rows: list[int]) -> None:
    batch = batch_of(*({**(FULL if n % 2 else EVENT), "vote_id": str(n)} for n in range(6)))
    for taken, index in (
        (batch.take(np.array(rows, dtype=np.int64)), rows),
        (batch.take(np.isin(np.arange(6), rows)), sorted(set(rows))),
    ):
        assert len(taken) == len(index)
        for field in fields(VoteBatch):
            whole, part = getattr(batch, field.name), getattr(taken, field.name)
            assert type(part) is type(whole)
            assert np.asarray(part).tolist() == np.asarray([whole[i] for i in index]).tolist()


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 2**64 - 1])), max_size=20))
def test_the_first_occurrence_of_an_id_is_that_of_a_slow_loop(pairs: list[tuple[int, int]]) -> None:
    expected = [pairs.index(pair) for pair in pairs]
    key = np.array(pairs, dtype=np.uint64).reshape(-1, 2)
    assert first_occurrences(key).tolist() == expected
    assert first_occurrences(np.asfortranarray(key)).tolist() == expected
