"""What a run records: alerts that say something new, the ranges, and the families of e-LOND, on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from pipeline import jobs
from pipeline.backlog import BacklogFindings
from pipeline.backlog.answer_styles import StyleFinding
from pipeline.backlog.model_periods import PeriodFinding
from pipeline.backlog.pool_rounds import PooledFinding
from pipeline.errors import Usage
from pipeline.events.pseudonym import format_pseudonym
from pipeline.evidence.multiple_testing import ELond
from pipeline.jobs.backlog.backlog_alerts import BacklogAlerts, whole_hours
from pipeline.jobs.backlog.backlog_input import BacklogInput
from pipeline.jobs.backlog.evaluation_run import EvaluationRun
from pipeline.jobs.custody import operator_actions
from pipeline.store.alerting import alert_lifecycle, alert_queries, public_alerts
from pipeline.store.db import schema
from pipeline.store.votes import backlog_runs, unchecked_votes
from pipeline.vocabulary.time import DAY, HOUR, parse_rfc3339
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, Board, event, using

SETTINGS = OPTIONS.model_copy(update={"method": "none"})
VOTES = 600


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    url = f"sqlite:///{tmp_path / 'board.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with using(SETTINGS.model_copy(update={"ledger": str(tmp_path / "ledger")})):
        made = Board(url, tmp_path, SETTINGS)
        made.vote(VOTES)
        yield made


def given(board: Board, since: int | None = None) -> BacklogInput:
    with board.store() as store, store.read() as connection:
        return BacklogInput.read(connection, unchecked_votes.unpreceded_ranges(connection), since=since)


def findings(one: BacklogInput, pools: Sequence[Any] = (), periods: Sequence[Any] = (), **more: Any) -> BacklogFindings:
    evaluated, unusual = np.ones(len(one.votes.names), dtype=np.bool_), np.zeros(len(one.votes.names), dtype=np.bool_)
    found = BacklogFindings(1, 0, evaluated, [], list(pools), {}, list(periods), unusual)
    return replace(found, **more)


def pool(*members: int, log_e: float = 12.0, accomplices: bool = False) -> PooledFinding:
    """A group that promotes the first model."""
    who, votes = np.array(members, dtype=np.int64), 20 * len(members)
    return PooledFinding(0, "promotes", log_e, who, np.full(len(who), 0.95), float(len(who)), votes, accomplices)


def record(
    board: Board, one: BacklogInput, found: BacklogFindings, kind: Any = "reevaluate", start: ELond | None = None
) -> dict[str, Any]:
    with board.store() as store, store.write() as connection:
        backlog_runs.lock_runs(connection)
        start = start or backlog_runs.state_before(connection, kind, one.ranges, 0.1)
        assert SETTINGS.key is not None
        run = EvaluationRun(kind, one, SETTINGS.key, "never", 0.1, lambda: None)
        return run.record(connection, found, BacklogAlerts(one, found), start)


def alerts(board: Board, **where: Any) -> list[dict[str, Any]]:
    with board.store() as store, store.read() as connection:
        rows = connection.execute(sa.select(schema.alert).filter_by(**where).order_by(schema.alert.c.opened_at))
        return [{**row, "evidence": json.loads(row["evidence"])} for row in rows.mappings()]


def resolve(board: Board, alert_id: str) -> None:
    with board.store() as store, store.write() as connection:
        alert_lifecycle.change_state(connection, alert_id, "resolve", "op", "known", 1)


def state(board: Board) -> tuple[int, int]:
    with board.store() as store, store.read() as connection:
        now = backlog_runs.newest_state(connection, 0.1)
    return now.submitted, now.rejected


def test_a_voter_who_was_erased_meanwhile_gets_no_alert(board: Board) -> None:
    board.refresh()
    one = given(board)
    erased = int(np.flatnonzero(one.votes.names == _pseudonym(board, "voter 7"))[0])
    assert operator_actions.erase(board.url, voter_id="voter 7", reason="asked")["erased"] == VOTES // 30
    kept = (erased + 1) % 30
    report = record(board, one, findings(one, [pool(erased, kept)]))
    name = format_pseudonym(int(one.votes.names[erased]))
    subjects = {row["subject"] for row in alerts(board, subject_kind="voter")}
    assert subjects == {format_pseudonym(int(one.votes.names[kept]))}
    assert name not in json.dumps([report, alerts(board)])
    assert report["found"] == 2


def _pseudonym(board: Board, voter_id: str) -> int:
    with board.store() as store:
        return store.pseudonym(voter_id)


def test_public_alerts_about_models_have_whole_hours_around_the_votes(board: Board) -> None:
    one = given(board)
    first, end = one.period(np.array([3]))
    period = PeriodFinding(1, first + 7, end - 7, "promotes", 15.0, 9, 4)
    record(board, one, findings(one, [pool(3)], [period]))
    told = alerts(board, subject_kind="model")
    assert len(told) == 2
    with board.store() as store, store.read() as connection:
        for row in told:
            shown = public_alerts.publish_alert(alert_queries.find_alert(connection, row["alert_id"]))
            times = row["evidence"].get("window") or row["evidence"]["period"]
            texts = [*times, shown["opened_at"], shown["window"]]
            assert all(parse_rfc3339(text) % HOUR == 0 for text in texts), texts
            begin, until = (parse_rfc3339(text) for text in times)
            assert begin <= first
            assert end <= until
            if row["detector"] == "model_period":
                inside = (one.votes.at >= first + 7) & (one.votes.at < end - 7)
                on_it = (one.votes.model_a == 1) | (one.votes.model_b == 1)
                assert shown["selected"]["votes"] >= int((inside & on_it).sum()) > 0


def test_a_change_of_style_names_its_weeks_and_proposes_to_leave_no_votes_out(board: Board) -> None:
    one = given(board)
    first, end = one.period()
    changed = StyleFinding(1, first, end, "longer answers", 15.0, 9, 4)
    (found,) = record(board, one, findings(one, styles=[changed]))["findings"]
    assert (found["detector"], found["direction"]) == ("model_style", "longer answers than in other weeks")
    assert found["proposes"] == "inspect"
    (row,) = alerts(board, detector="model_style")
    with board.store() as store, store.read() as connection:
        shown = alert_queries.find_alert(connection, row["alert_id"])
        assert "it gives longer answers than in all others" in public_alerts.publish_alert(shown)["evidence"]["what"]
        with pytest.raises(Usage, match="is about no votes that could be left out"):
            alert_queries.select_votes(shown)


def test_a_resolved_alert_about_a_model_stays_resolved_while_the_weeks_slide(board: Board) -> None:
    one = given(board)
    first, end = one.period()
    period = PeriodFinding(1, first, first + 28 * DAY, "promotes", 15.0, 9, 4)
    styled = StyleFinding(1, first, first + 28 * DAY, "longer answers", 15.0, 9, 4)
    record(board, one, findings(one, [pool(3, 4)], [period], styles=[styled]))
    for row in alerts(board, subject_kind="model"):
        resolve(board, row["alert_id"])
    later = given(board, since=(first + end) // 2)
    members = [int(np.flatnonzero(later.votes.names == one.votes.names[v])[0]) for v in (3, 4)]
    assert later.period(np.array(members))[0] > one.period(np.array([3, 4]))[0]
    for night in range(1, 4):
        weeks: dict[str, Any] = {"first": first + night * DAY, "end": first + (28 + night) * DAY}
        found = findings(later, [pool(*members)], [replace(period, **weeks)], styles=[replace(styled, **weeks)])
        record(board, later, found)
    assert {row["state"] for row in alerts(board, subject_kind="model")} == {"resolved"}
    assert len(alerts(board, subject_kind="model")) == 3
    weeks = {"first": first + 28 * DAY, "end": first + 56 * DAY}
    record(board, later, findings(later, [], [replace(period, **weeks)], styles=[replace(styled, **weeks)]))
    for detector in ("model_period", "model_style"):
        states = [row["state"] for row in alerts(board, detector=detector)]
        assert states.count("open") == 1, "other weeks are news"


def test_new_votes_of_the_group_open_a_resolved_alert_again(board: Board) -> None:
    one = given(board)
    record(board, one, findings(one, [pool(3, 4)]))
    (about,) = alerts(board, subject_kind="model")
    resolve(board, about["alert_id"])
    board.vote(VOTES)
    more = given(board)
    record(board, more, findings(more, [pool(3, 4)]))
    assert "open" in {row["state"] for row in alerts(board, subject_kind="model")}


def test_votes_in_another_partition_are_compared_by_time_with_those_of_a_resolved_alert(board: Board) -> None:
    one = given(board)
    record(board, one, findings(one, [pool(3)]))
    for row in alerts(board):
        resolve(board, row["alert_id"])
    board.read_topic("topic", *(event(n) for n in range(VOTES, VOTES + 30)))
    more = given(board)
    (old, last, _), (new, place, _) = one.last_vote(3), more.last_vote(3)
    assert (old != new, place < last) == (True, True), "the newer vote has the smaller offset, in another partition"
    record(board, more, findings(more, [pool(3)]))
    opened = [row for row in alerts(board, subject_kind="voter") if row["state"] == "open"]
    assert [(row["partition_no"], row["offset"]) for row in opened] == [(new, place)], "new votes are news"

    for row in alerts(board):
        resolve(board, row["alert_id"])
    record(board, more, findings(more, [pool(3)]))
    record(board, one, findings(one, [pool(3)]))
    assert {row["state"] for row in alerts(board, subject_kind="voter")} == {"resolved"}, "older votes are none"


@pytest.mark.parametrize(("days", "opened"), [(13, 0), (14, 0), (15, 1), (26, 1)])
def test_a_period_is_news_if_more_than_half_of_it_is_after_the_resolved_one(
    board: Board, days: int, opened: int
) -> None:
    one = given(board)
    first = one.period()[0] // HOUR * HOUR
    period = PeriodFinding(1, first, first + 28 * DAY, "promotes", 15.0, 9, 4)
    record(board, one, findings(one, [], [period]))
    resolve(board, alerts(board, detector="model_period")[0]["alert_id"])
    slid = replace(period, first=first + days * DAY, end=first + (28 + days) * DAY)
    record(board, one, findings(one, [], [slid]))
    assert [row["state"] for row in alerts(board, detector="model_period")].count("open") == opened


def test_a_tested_group_counts_as_a_discovery_beside_accomplices_in_the_other_direction(board: Board) -> None:
    one = given(board)
    tested = replace(pool(5, 6), direction="demotes")
    record(board, one, findings(one, [pool(3, 4, accomplices=True), tested]))
    assert state(board) == (1, 1)


def test_new_members_name_the_alert_that_is_already_open(board: Board) -> None:
    one = given(board)
    record(board, one, findings(one, [pool(3, 4)]))
    (about,) = alerts(board, subject_kind="model")
    later = given(board, since=one.period()[0] + HOUR)
    record(board, later, findings(later, [pool(3, 4, 5, 6)]))
    assert len(alerts(board, subject_kind="model")) == 1
    assert {row["evidence"]["group"] for row in alerts(board, subject_kind="voter")} == {about["alert_id"]}
    keys = {"INTEGRITY_VOTER_KEY": SETTINGS.voter_key, "INTEGRITY_LEDGER": str(board.folder / "ledger")}
    words = ("alerts", "exclude", about["alert_id"], "--reason", "a farm", "--json", "--store", board.url)
    decided = called(*words, settings=keys)
    assert decided.returncode == 0, decided
    with board.store() as store, store.read() as connection:
        assert len(alert_queries.group_members(connection, about["alert_id"])) == 4


def test_members_follow_a_group_that_is_told_under_a_new_id(board: Board) -> None:
    one = given(board)
    record(board, one, findings(one, [pool(3, 4)]))
    (about,) = alerts(board, subject_kind="model")
    resolve(board, about["alert_id"])
    board.vote(VOTES)
    later = given(board, since=one.period()[0] + HOUR)
    record(board, later, findings(later, [pool(3, 4, 5)]))
    (opened,) = [row for row in alerts(board, subject_kind="model") if row["state"] == "open"]
    assert opened["alert_id"] != about["alert_id"]
    with board.store() as store, store.read() as connection:
        assert len(alert_queries.group_members(connection, opened["alert_id"])) == 3
    before = alerts(board)
    record(board, later, findings(later, [pool(3, 4, 5)]))
    assert alerts(board) == before, "a repeated run changes nothing"


def test_two_groups_of_one_model_in_one_run_are_one_alert_that_names_all(board: Board) -> None:
    one = given(board)
    found = findings(one, [pool(3, 4, log_e=20.0, accomplices=True), pool(5, 6, log_e=8.0)])
    record(board, one, found)
    (about,) = alerts(board, subject_kind="model")
    with board.store() as store, store.read() as connection:
        assert len(alert_queries.group_members(connection, about["alert_id"])) == 4
    before = alerts(board)
    record(board, one, found)
    assert alerts(board) == before


def test_a_run_that_could_test_nothing_is_no_family(board: Board) -> None:
    one = given(board)
    nothing = findings(one, evaluated=np.zeros(30, dtype=np.bool_))
    for _ in range(3):
        record(board, one, nothing, "backfill")
    assert state(board) == (0, 0)
    assert _unchecked(board) == VOTES
    record(board, one, findings(one), "backfill")
    assert state(board) == (1, 0), "the first that tests is one"


def test_an_incomplete_run_over_the_same_votes_is_one_family_and_its_votes_stay_unchecked(board: Board) -> None:
    one = given(board)
    partly = findings(one, [pool(3, 4)], evaluated=np.arange(30) > 0)
    for _ in range(3):
        record(board, one, partly, "backfill")
        assert _unchecked(board) == VOTES
    assert state(board) == (1, 1)
    record(board, one, findings(one), "backfill")
    assert _unchecked(board) == 0


def test_a_run_that_was_recorded_meanwhile_does_not_swallow_a_family(board: Board) -> None:
    one = given(board)
    start = ELond(0.1, 0, 0)
    record(board, one, findings(one), "backfill")
    record(board, one, findings(one, [pool(3, 4)]), "reevaluate", start)
    assert state(board) == (2, 1)
    record(board, one, findings(one, [pool(3, 4)]), "reevaluate", start)
    assert state(board) == (2, 1), "the same votes again"


def test_votes_without_a_voter_stay_unchecked_after_a_backfill_and_are_told(board: Board) -> None:
    nameless = [{k: v for k, v in event(VOTES + n).items() if k != "voter_id"} for n in range(17)]
    board.read(*nameless)
    one = given(board)
    record(board, one, findings(one), "backfill")
    assert _unchecked(board) == 17
    report = jobs.backfill(board.url, check=True)
    assert (report["votes"], report["votes_without_voter"], report["unchecked"]) == (0, 17, 17)
    keys = {"INTEGRITY_VOTER_KEY": SETTINGS.voter_key, "INTEGRITY_LEDGER": str(board.folder / "ledger")}
    shown = called("backfill", "--check", "--store", board.url, settings={**keys, "COLUMNS": "200"})
    assert shown.returncode == 1
    assert "17 votes name no voter" in shown.stdout
    told = called("doctor", "--store", board.url, settings={**keys, "COLUMNS": "200"})
    assert "17 votes were never checked" in told.stdout
    assert board.refresh()["coverage"]["unchecked"] == 17
    with board.store() as store, store.read() as connection:
        assert unchecked_votes.count_unchecked(connection, {1: 0}) == 0


def _unchecked(board: Board) -> int:
    with board.store() as store, store.read() as connection:
        return unchecked_votes.count_unchecked(connection)


def test_whole_hours_contain_the_period() -> None:
    assert whole_hours((HOUR, 2 * HOUR)) == (HOUR, 2 * HOUR)
    assert whole_hours((HOUR + 1, 2 * HOUR + 1)) == (HOUR, 3 * HOUR)
