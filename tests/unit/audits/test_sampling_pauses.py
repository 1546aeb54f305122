"""Periods in which voters were not shown a model: by hand, and against a slow reference."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from pipeline.audits.sampling import DailyAppearances
from pipeline.audits.sampling_pauses import LEVEL, SamplingPause, sampling_pauses

FIRST = date(2026, 1, 1)


def label(day: int) -> str:
    return (FIRST + timedelta(days=day)).isoformat()


def shown(battles: list[int], **seen: list[int]) -> DailyAppearances:
    days, columns = len(battles), np.array(list(seen.values()), dtype=np.int64).T
    labels = tuple(label(day) for day in range(days))
    declared = np.full(columns.shape, np.nan)
    return DailyAppearances(tuple(seen), labels, np.array(battles, dtype=np.int64), columns, declared)


def since(*models: str) -> dict[str, str]:
    return dict.fromkeys(models, label(0))


def test_a_model_that_was_shown_again_had_a_pause() -> None:
    board = shown([100] * 200, quiet=[10] * 60 + [0] * 80 + [10] * 60, steady=[10] * 200)
    found = sampling_pauses(board, since("quiet", "steady"), {}, 10, 52)
    assert found == {"quiet": SamplingPause("quiet", label(60), label(139), 80, 0, True)}
    assert found["quiet"].what == "0 votes in 80 days from 2026-03-02 to 2026-05-20, then shown again"


def test_a_pause_with_a_few_votes_keeps_them() -> None:
    board = shown([100] * 200, few=[10] * 60 + [0] * 40 + [3] + [0] * 39 + [10] * 60)
    assert sampling_pauses(board, since("few"), {}, 10, 52)["few"].votes == 3


def test_a_notice_after_the_pause_does_not_undo_it() -> None:
    board = shown([100] * 200, late=[10] * 60 + [0] * 140, told=[10] * 60 + [0] * 140, soon=[10] * 60 + [0] * 140)
    over = {"late": label(150), "told": label(60), "soon": label(100)}
    found = sampling_pauses(board, since("late", "told", "soon"), over, 10, 52)
    assert list(found) == ["late"]
    assert found["late"].what == "0 votes in 90 days from 2026-03-02 to 2026-05-30, before its removal was announced"


def test_a_pause_that_lasts_is_left_to_the_audit_of_removals() -> None:
    board = shown([100] * 200, gone=[10] * 60 + [0] * 140)
    assert sampling_pauses(board, since("gone"), {}, 10, 52) == {}


def test_a_model_before_its_first_vote_or_publication_does_not_pause() -> None:
    board = shown([100] * 200, later=[0] * 100 + [10] * 100, private=[10] * 20 + [0] * 80 + [10] * 100)
    public = {"later": label(0), "private": label(90)}
    assert sampling_pauses(board, public, {}, 10, 52) == {}


def test_a_model_that_is_rarely_shown_or_a_quiet_board_does_not_pause() -> None:
    rare = ([1] + [0] * 19) * 10
    board = shown([100] * 200, rare=rare)
    assert sampling_pauses(board, since("rare"), {}, 10, 52) == {}
    holiday = shown([100] * 60 + [1] * 80 + [100] * 60, model=[10] * 60 + [0] * 80 + [10] * 60)
    assert sampling_pauses(holiday, since("model"), {}, 10, 52) == {}


def test_models_that_the_registry_does_not_know_are_left_out() -> None:
    board = shown([100] * 200, quiet=[10] * 60 + [0] * 80 + [10] * 60)
    assert sampling_pauses(board, {}, {}, 10, 52) == {}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_pauses_are_those_of_a_search_through_all_windows(data: st.DataObject) -> None:
    days, length = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 12))
    votes = data.draw(st.integers(0, 4))
    rate = [data.draw(st.sampled_from([0, 0, 1, 9])) for _ in range(4)]
    seen = [rate[min(day * 4 // days, 3)] for day in range(days)]
    battles = [max(s, data.draw(st.sampled_from([1, 20, 60]))) for s in seen]
    begin, end = data.draw(st.integers(0, days)), data.draw(st.integers(0, days))
    over = {"m": label(end)} if data.draw(st.booleans()) else {}
    stop = end if over else days

    in_pause: list[tuple[int, int]] = []
    for start in range(begin, stop - length + 1):
        known = [day for day in range(begin, start + length) if any(seen[begin : day + 1])]
        before = [day for day in known if day < start]
        window = range(start, start + length)
        x, m = sum(seen[day] for day in window), sum(battles[day] for day in window)
        a, n = sum(seen[day] for day in before), sum(battles[day] for day in before)
        if x <= votes and fisher_exact([[x, m - x], [a, n - a]], alternative="less").pvalue <= LEVEL:
            if in_pause and start <= in_pause[-1][1] - length + 1:
                in_pause[-1] = in_pause[-1][0], start + length
            else:
                in_pause.append((start, start + length))
    found = sampling_pauses(shown(battles, m=seen), {"m": label(begin)}, over, votes, length).get("m")
    expected = max(in_pause, key=lambda run: run[1] - run[0], default=None)
    again = expected is not None and any(seen[expected[1] :])
    if expected is None or not (again or over):
        assert found is None
    else:
        first, last = expected
        while last - first > length and seen[first]:
            first += 1
        while last - first > length and seen[last - 1]:
            last -= 1
        assert found == SamplingPause("m", label(first), label(last - 1), last - first, sum(seen[first:last]), again)
