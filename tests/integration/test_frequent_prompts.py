"""Frequent prompts: which votes stay in the sample, as decided at each seal, on both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline import jobs
from pipeline.jobs.custody import operator_actions
from pipeline.ratings.prompt_samples import LEAST
from pipeline.store.db import schema
from pipeline.store.log import frequent_prompts, sealed_boards
from pipeline.vocabulary.packing import unpack_integers
from pipeline.vocabulary.vote_flags import FREQUENT_PROMPT
from tests.integration.board_of_votes import OPTIONS, Board, event, using


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """An empty board."""
    url = str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))
    with using(OPTIONS):
        yield Board(url, tmp_path)


class SlowSample:
    """The rule, vote by vote and prompt by prompt."""

    def __init__(self) -> None:
        self.votes: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()

    def seal(self, votes: list[dict[str, Any]]) -> set[str]:
        """The ids of a segment's votes that are outside the samples."""
        asked = [vote for vote in votes if vote.get("prompt_hash")]
        self.votes.update(vote["prompt_hash"] for vote in asked)
        counts = sorted(self.votes.values())
        most = max(LEAST, counts[len(counts) - 1 - len(counts) // 200]) if counts else LEAST
        outside = set()
        for prompt in sorted({vote["prompt_hash"] for vote in asked}):
            ids = sorted((vote["vote_id"] for vote in asked if vote["prompt_hash"] == prompt), key=_order)
            left = max(0, most - self.kept[prompt]) if self.votes[prompt] > most else len(ids)
            self.kept[prompt] += min(left, len(ids))
            outside |= set(ids[left:])
        return outside


def _order(vote_id: str) -> int:
    return int.from_bytes(sha256(vote_id.encode()).digest()[:8], "big") & (2**63 - 1)


def asks(n: int, prompts: int = 400) -> dict[str, Any]:
    """A vote: a third on one of three greetings, the others on prompts of their own or nearly so."""
    frequent = f"greeting {n % 7 // 3}" if n % 3 == 0 else None
    return event(n, prompt_hash=None if n % 11 == 0 else frequent or f"prompt {n * 7919 % prompts}")


def outside(board: Board) -> set[str]:
    """The ids of the votes that are outside their samples."""
    v, f = schema.vote.c, schema.frequent_vote.c
    with board.store() as store, store.read() as connection:
        joined = sa.join(
            schema.vote, schema.frequent_vote, sa.and_(v.partition_no == f.partition_no, v.offset == f.offset)
        )
        return set(connection.scalars(sa.select(v.vote_id).select_from(joined)))


@pytest.mark.long
def test_each_seal_decides_as_the_rule_says_and_nothing_is_decided_again(board: Board) -> None:
    slow, expected, votes = SlowSample(), set[str](), [asks(n) for n in range(1_500)]
    for first, end in ((0, 12), (12, 700), (700, 701), (701, 1_000), (1_000, 1_500)):
        board.read(*votes[first:end])
        jobs.seal(board.url)
        expected |= slow.seal(votes[first:end])
        assert outside(board) == expected
    assert len(expected) > 100
    with board.store() as store, store.read() as connection:
        p, t = schema.prompt_count.c, schema.sealed_total.c
        stored = connection.execute(sa.select(p.votes, p.kept)).all()
        assert sorted(map(tuple, stored)) == sorted((slow.votes[one], slow.kept[one]) for one in slow.votes)
        packed = connection.scalar(sa.select(t.counts).where(t.name == "prompts"))
        spectrum = unpack_integers(bytes(packed)).reshape(2, -1).T
        assert sorted(map(tuple, spectrum.tolist())) == sorted(Counter(slow.votes.values()).items())
        flagged = sealed_boards.read_boards(connection, 1_500)[sealed_boards.ALL]
        assert flagged[flagged[:, 4] & FREQUENT_PROMPT > 0][:, 5].sum() == len(expected)
    assert jobs.verify_ledger(board.url)["votes"] == 1_500


def test_the_sample_of_a_frequent_prompt_has_as_many_votes_as_the_threshold(board: Board) -> None:
    votes = [event(n, prompt_hash="hello" if n % 2 else f"prompt {n % 600}") for n in range(600)]
    board.read(*votes)
    jobs.seal(board.url)
    assert len(outside(board)) == 300 - LEAST
    board.read(*(event(n, prompt_hash="hello") for n in range(600, 650)))
    jobs.seal(board.url)
    assert outside(board) >= {f"vote {n}" for n in range(600, 650)}


def test_few_votes_on_a_prompt_and_votes_without_one_are_never_outside(board: Board) -> None:
    board.read(*(event(n, prompt_hash="hello") for n in range(LEAST)), *(event(n) for n in range(100, 300)))
    board.read(*(event(n, prompt_hash=None) for n in range(300, 400)))
    jobs.seal(board.url)
    assert outside(board) == set()


@pytest.mark.parametrize(("others", "frequent"), [(198, 0), (199, 1)])
def test_a_log_of_fewer_than_200_prompts_has_no_frequent_one(board: Board, others: int, frequent: int) -> None:
    board.read(*(event(n, prompt_hash="hello" if n < 100 else f"prompt {n}") for n in range(100 + others)))
    jobs.seal(board.url)
    assert len(outside(board)) == frequent * (100 - LEAST)


def test_what_does_not_count_is_no_vote_on_a_prompt(board: Board) -> None:
    far = "2027-01-01T00:00:00Z"
    board.read(*(event(n, prompt_hash="hello", **({"cast_at": far} if n % 2 else {})) for n in range(2 * LEAST)))
    board.read(*(event(n, prompt_hash="bye") for n in range(100, 104)))
    jobs.seal(board.url)
    with board.store() as store, store.read() as connection:
        p, v = schema.prompt_count.c, schema.vote.c
        assert connection.scalar(sa.select(sa.func.count()).where(v.fate == 2)) == LEAST
        assert sorted(connection.scalars(sa.select(p.votes))) == [4, LEAST]
    assert outside(board) == set()


def test_an_erased_or_retracted_vote_stays_where_it_was_decided(board: Board) -> None:
    board.read(*(event(n, prompt_hash="hello" if n % 2 else f"prompt {n}") for n in range(500)))
    jobs.seal(board.url)
    before = outside(board)
    gone = min(before)
    operator_actions.retract(board.url, gone, "a test's", "ann")
    operator_actions.erase(board.url, vote_id=max(before))
    jobs.seal(board.url)
    assert outside(board) == before
    with board.store() as store, store.read() as connection:
        flagged = sealed_boards.read_boards(connection, 501)[sealed_boards.ALL]
        assert flagged[flagged[:, 4] & FREQUENT_PROMPT > 0][:, 5].sum() == len(before) - 1
    jobs.verify_ledger(board.url)


def test_looking_prompts_up_and_reading_all_of_them_decide_the_same(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frequent_prompts, "_MOST_SEARCHED", 0)
    slow, expected, votes = SlowSample(), set[str](), [asks(n) for n in range(900)]
    for first, end in ((0, 700), (700, 720), (720, 900)):
        board.read(*votes[first:end])
        jobs.seal(board.url)
        expected |= slow.seal(votes[first:end])
    assert outside(board) == expected
