"""Incidents over a store: one campaign is one incident, decisions are about the whole of it, and can be undone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs import incident_decisions, moderation
from pipeline.open_store import now
from pipeline.scoring.signals import AlertSignal, ClearedSignal
from pipeline.store.alerting import alert_lifecycle, alert_queries, incident_grouping, incident_table, operators_log
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import exclusion_list, snapshots
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.time import DAY, HOUR, format_rfc3339, to_microseconds
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, START, Board, event, using

SYBILS = 60
WHO = Operator("erin", "cli", "test")
SETTINGS = {"INTEGRITY_VOTER_KEY": OPTIONS.voter_key, "INTEGRITY_ANCHOR": ""}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """600 honest votes, and three each of sixty accounts for `dog` on two networks."""
    url = str(tmp_path / "board.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    with using(OPTIONS):
        made = Board(url, tmp_path)
        made.vote(600)
        rivals = ("ant", "bee", "cat")
        made.read(
            *(
                event(
                    1_000 + n,
                    voter_id=f"sybil {n % SYBILS}",
                    model_a="dog",
                    model_b=rivals[n % 3],
                    winner="model_a",
                    network=f"farm {n % 2}",
                )
                for n in range(3 * SYBILS)
            )
        )
        made.refresh()
        yield made


def signal(
    board: Board, number: int, what: str = "promotes", model: str | None = "dog", direction: str = "biased", **more: Any
) -> AlertSignal:
    with board.store() as store:
        subject = format_pseudonym(store.pseudonym(f"sybil {number}"))
    best = {"what": what, "share": 1.0, **({"model": model} if model else {})}
    evidence = {"votes": 3, "ties": 0, "snapshot": 1, "proved": True, "likeliest": [best]}
    given = {"severity": "warning", "e_value": 900.0, "level": 1, **more}
    at = to_microseconds(START) + number
    return AlertSignal(
        "voter_bias", "voter", subject, direction, partition=1, offset=600 + number, at=at, evidence=evidence, **given
    )  # type: ignore[arg-type]


def raise_alerts(board: Board, *signals: AlertSignal) -> list[str]:
    with board.store() as store, store.write() as connection:
        opened = alert_lifecycle.open_alerts(connection, signals, {}, now())
        incident_grouping.regroup(connection)
        return opened


def campaign(board: Board) -> str:
    """Alerts about every sybil, and about the board; the id of their incident."""
    window: dict[str, Any] = {
        "window": [to_microseconds(START) + at for at in (0, 3 * DAY)],
        "what": "of 180 votes it won 180",
    }
    first, end = window["window"]
    evidence = {**window, "votes": 180, "won": 180, "expected": 50.0, "network": "farm 0"}
    cohort = AlertSignal(
        "cohort_bias", "model", "dog", "promoted by network farm 0", "critical", 1e5, 2, 0, first, end, evidence
    )
    raise_alerts(board, *(signal(board, n) for n in range(SYBILS)), cohort)
    (found,) = listed(board)
    return str(found["id"])


def listed(board: Board) -> list[dict[str, Any]]:
    with board.store() as store, store.read() as connection:
        return incident_table.read_public(connection)


def decide(board: Board, what: Any, *given: Any) -> dict[str, Any]:
    with board.store() as store, store.write() as connection:
        return dict(what(connection, *given))


def ratings(board: Board) -> list[dict[str, Any]]:
    board.refresh()
    with board.store() as store, store.read() as connection:
        newest = snapshots.latest(connection)
        assert newest is not None
        return snapshots.read_rows(connection, newest.snapshot_id, "defended")


def test_a_campaign_is_one_incident_with_all_its_alerts(board: Board) -> None:
    found = campaign(board)
    (one,) = listed(board)
    assert (one["alerts"], one["accounts"], one["votes"]) == (SYBILS + 1, SYBILS, 3 * SYBILS)
    assert one["about"] == [{"kind": "model", "name": "dog", "effect": "lifted"}]
    assert (one["severity"], one["state"]) == ("critical", "open")
    with board.store() as store, store.read() as connection:
        shown, private = incident_decisions.find_incident(connection, found[:5])
    assert len(shown["alert_ids"]) == SYBILS + 1
    assert (len(private["voters"]), private["networks"]) == (SYBILS, ["farm 0", "farm 1"])
    public = json.dumps(one)
    assert not any(secret in public for secret in [*private["voters"], *private["networks"]])


def test_exclude_and_restore_act_on_the_whole_and_undo_each_other(board: Board) -> None:
    found, before = campaign(board), ratings(board)
    done = decide(board, incident_decisions.change_exclusions, found, "exclude", WHO, "bought")
    assert (done["targets"], done["next_refresh"]) == (SYBILS, {"votes_in": 0, "votes_out": 3 * SYBILS})
    without = ratings(board)
    assert without != before
    decide(board, incidents_regrouped)
    (one,) = listed(board)
    assert (one["votes_left_out"], one["excluded_by"]) == (3 * SYBILS, ["erin"])
    with pytest.raises(Usage, match="left out already, or will be"):
        decide(board, incident_decisions.change_exclusions, found, "exclude", WHO, "again")
    decide(board, incident_decisions.change_exclusions, found, "restore", WHO, "a mistake")
    assert json.dumps(ratings(board)) == json.dumps(before)
    with board.store() as store, store.read() as connection:
        actions = [one["action"] for one in operators_log.list_entries(connection, 10)]
    assert actions[:2] == ["incident.restore", "incident.exclude"]


def incidents_regrouped(connection: Connection) -> dict[str, Any]:
    incident_grouping.regroup(connection)
    return {}


def test_ranks_are_those_before_and_after_and_votes_out_of_force_are_no_part_of_them(board: Board) -> None:
    found, begun = campaign(board), to_microseconds(START)
    (one,) = listed(board)
    newest = {name: one["rank"][name] for name in ("raw", "defended")}
    assert one["rank"] == {**newest, "before": None, "after": None}
    with board.store() as store, store.write() as connection:
        # As if the only snapshot were from a day before the campaign.
        connection.execute(sa.update(schema.snapshot).values(published_at=begun - DAY))
    decide(board, incident_decisions.change_exclusions, found, "exclude", WHO, "bought")
    assert listed(board)[0]["awaits_refresh"] is True
    board.refresh()
    decide(board, incidents_regrouped)
    (one,) = listed(board)
    assert one["awaits_refresh"] is False
    assert (one["rank"]["raw"], one["rank"]["before"], one["rank"]["after"]) == (newest["raw"],) * 3
    assert one["rank"]["defended"] > one["rank"]["raw"]


def test_a_vote_that_two_exclusions_leave_out_is_counted_once(board: Board) -> None:
    found = campaign(board)
    first, end = (format_rfc3339(to_microseconds(START) + days * DAY) for days in (-1, 30))
    with board.store() as store, store.write() as connection:
        about = next(one for one in alert_queries.list_alerts(connection) if one["subject"]["id"] == "dog")
        target = f"votes:from={first},to={end},model=dog,network=farm 0"
        exclusion_list.add_entry(connection, "exclude", "votes", target[6:], "bought", "erin", now(), about["id"])
    decide(board, incidents_regrouped)
    assert listed(board)[0]["votes_left_out"] == 3 * SYBILS // 2
    decide(board, incident_decisions.change_exclusions, found, "exclude", WHO, "bought")
    assert listed(board)[0]["votes_left_out"] == 3 * SYBILS


def test_what_the_policy_leaves_out_stays_until_the_incident_is_resolved(board: Board) -> None:
    raise_alerts(board, *(signal(board, n, severity="critical", e_value=2e4, level=2) for n in range(3)))
    board.refresh()
    (one,) = listed(board)
    with pytest.raises(Usage, match="left out already, or will be"):
        decide(board, incident_decisions.change_exclusions, one["id"], "exclude", WHO, "x")
    with pytest.raises(Usage, match="nobody excluded votes"):
        decide(board, incident_decisions.change_exclusions, one["id"], "restore", WHO, "x")
    with board.store() as store, store.read() as connection:
        whole = moderation.preview_resolve(connection, one["alert_ids"])
        part = moderation.preview_resolve(connection, one["alert_ids"][:1])
    assert (whole.votes_in, whole.votes_out, part.votes_in) == (9, 0, 3)
    done = decide(board, incident_decisions.change_state, one["id"], "ack", WHO, "known")
    assert done["next_refresh"] == {"votes_in": 0, "votes_out": 0}
    done = decide(board, incident_decisions.change_state, one["id"], "resolve", WHO, "a class")
    assert (done["alerts"], done["next_refresh"]) == (3, {"votes_in": 9, "votes_out": 0})
    board.refresh()
    with board.store() as store, store.read() as connection:
        assert exclusion_list.read_active(connection) == []
    done = decide(board, incident_decisions.change_state, one["id"], "reopen", WHO, "no class")
    assert [entry["action"] for entry in history(board, one["id"])] == ["ack", "resolve", "reopen"]
    assert listed(board)[0]["state"] == "open"


def test_exclude_and_restore_leave_policies_and_other_people_alone(board: Board) -> None:
    critical = [signal(board, n, severity="critical", e_value=2e4, level=2) for n in range(2)]
    raise_alerts(board, *critical, *(signal(board, n) for n in range(2, 5)))
    (one,) = listed(board)
    with board.store() as store:
        bobs = f"voter:{format_pseudonym(store.pseudonym('sybil 4'))}"
        with store.write() as connection:
            moderation.change_exclusion(connection, "exclude", bobs, Operator("bob", "cli", "test"), "known to bob")
    # The policy has not run yet, but the next refresh applies it: 0 and 1 are its own, 4 is bob's.
    done = decide(board, incident_decisions.change_exclusions, one["id"], "exclude", WHO, "bought")
    assert (done["targets"], done["next_refresh"]) == (2, {"votes_in": 0, "votes_out": 6})
    board.refresh()
    done = decide(board, incident_decisions.change_exclusions, one["id"], "restore", WHO, "a mistake")
    assert (done["targets"], done["next_refresh"]) == (2, {"votes_in": 6, "votes_out": 0})
    board.refresh()
    with board.store() as store, store.read() as connection:
        left = {(entry.name, entry.target) for entry in exclusion_list.read_active(connection)}
    assert sorted(name for name, _ in left) == ["auto-voter/1", "auto-voter/1", "bob"]


def test_restore_leaves_what_another_person_excluded_without_one_of_its_alerts(board: Board) -> None:
    critical = [signal(board, n, severity="critical", e_value=2e4, level=2) for n in range(2)]
    other = signal(board, 2, "demotes", "ant", "other", e_value=800.0)
    raise_alerts(board, *critical, signal(board, 2), other)
    (one,) = listed(board)
    board.refresh()  # the policy leaves out 0 and 1
    with board.store() as store:
        bobs = f"voter:{format_pseudonym(store.pseudonym('sybil 0'))}"
    decide(board, moderation.change_exclusion, "exclude", bobs, Operator("bob", "cli", "test"), "known to bob")
    with pytest.raises(Usage, match="nobody excluded votes"):
        decide(board, incident_decisions.change_exclusions, one["id"], "restore", WHO, "x")
    for action in ("exclude", "restore"):
        assert decide(board, incident_decisions.change_exclusions, one["id"], action, WHO, "x")["targets"] == 1
    x = schema.exclusion.c
    with board.store() as store, store.read() as connection:
        assert sorted(entry.name for entry in exclusion_list.read_active(connection)) == ["auto-voter/1", "bob"]
        causes = list(connection.scalars(sa.select(x.alert_id).where(x.name == "erin").order_by(x.exclusion_no)))
    assert causes[0] == causes[1]


def test_a_further_snooze_gives_every_unresolved_alert_the_new_end(board: Board) -> None:
    first, second, third = raise_alerts(board, *(signal(board, n) for n in range(3)))
    (one,) = listed(board)
    decide(board, moderation.change_alert_state, third, "resolve", WHO, "honest")
    assert decide(board, incident_decisions.change_state, one["id"], "snooze", WHO, "x", 1.0)["alerts"] == 2
    assert decide(board, incident_decisions.change_state, one["id"], "snooze", WHO, "x", 5.0)["alerts"] == 2
    decide(board, moderation.change_alert_state, first, "reopen", WHO, "look again")
    least = now() + 24 * HOUR
    assert decide(board, incident_decisions.change_state, one["id"], "snooze", WHO, "x", 24.0)["alerts"] == 2
    a = schema.alert.c
    with board.store() as store, store.read() as connection:
        ends = {row.alert_id: row.snoozed_until for row in connection.execute(sa.select(a.alert_id, a.snoozed_until))}
    assert (ends[third], ends[first]) == (None, ends[second])
    assert ends[second] >= least
    decide(board, moderation.change_alert_state, first, "resolve", WHO, "honest")
    done = decide(board, incident_decisions.change_state, one["id"], "resolve", WHO, "x")["done"]
    assert "is resolved (1 alert): " in done


def test_the_history_of_an_incident_with_more_alerts_than_a_statement_takes_values(board: Board) -> None:
    ids = [f"{number:012x}" for number in range(70_000)]
    with board.store() as store, store.write() as connection:
        for place, alert in ((-1, "a"), (0, "b"), (35_000, "c")):
            incident_table.add_event(connection, ids[place], "resolve", "erin", f"about {alert}", now(), [alert])
        events = incident_table.read_events(connection, ids)
        assert [one["reason"] for one in events] == ["about a", "about b", "about c"]
        assert set(events[0]) == {"at", "action", "name", "reason"}
        assert incident_table.last_resolved(connection, ids) == {"c"}


def test_reopen_leaves_alone_what_was_resolved_one_by_one(board: Board) -> None:
    first, *_ = raise_alerts(board, *(signal(board, n) for n in range(4)))
    (one,) = listed(board)
    decide(board, moderation.change_alert_state, first, "resolve", WHO, "a false alarm")
    assert decide(board, incident_decisions.change_state, one["id"], "resolve", WHO, "x")["alerts"] == 3
    assert decide(board, incident_decisions.change_state, one["id"], "reopen", WHO, "y")["alerts"] == 3
    with board.store() as store, store.read() as connection:
        assert alert_queries.find_alert(connection, first)["state"] == "resolved"
    with pytest.raises(Usage, match="resolved one by one"):
        decide(board, incident_decisions.change_state, one["id"], "reopen", WHO, "again")


def test_a_role_that_may_not_read_exclusions_leaves_the_figures_to_one_that_may(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = campaign(board)
    decide(board, incident_decisions.change_exclusions, found, "exclude", WHO, "bought")
    raise_alerts(board, signal(board, 7, "demotes", "ant", "other"))
    full = dialect.may_read
    board.refresh()
    with monkeypatch.context() as patch:
        patch.setattr(dialect, "may_read", lambda c, table, column: table != "exclusion" and full(c, table, column))
        decide(board, incidents_regrouped)
    decide(board, incidents_regrouped)
    assert sorted(one["votes_left_out"] for one in listed(board)) == [3, 3 * SYBILS - 3]


def test_votes_by_selection_are_left_out_one_alert_after_the_other(board: Board) -> None:
    start = to_microseconds(START)
    bursts = [
        AlertSignal(
            "vote_burst", "model", "dog", "more than its share", "critical", 1e5, 2, 0, start + first * HOUR,
            start + (first + 1) * HOUR,
            {"what": "x", "window": [start + first * HOUR, start + (first + 1) * HOUR], "votes": 9, "expected": 1.0},
        )
        for first in (0, 1)
    ]  # fmt: skip
    with board.store() as store, store.write() as connection:
        for one in bursts:  # the first is over before the second
            alert_lifecycle.record_signals(connection, [one, ClearedSignal(
                one.detector, one.subject, one.direction, one.at, "over")], {}, now())  # fmt: skip
        connection.execute(sa.update(schema.alert).values(state="open"))
    decide(board, incidents_regrouped)
    (one,) = listed(board)
    for left_out in (1, 2):
        before = listed(board)[0]["votes_left_out"]
        done = decide(board, incident_decisions.change_exclusions, one["id"], "exclude", WHO, "bought")
        assert done["next_refresh"]["votes_out"] > 0
        assert listed(board)[0]["votes_left_out"] - before == done["next_refresh"]["votes_out"], left_out
    with pytest.raises(Usage, match="left out already"):
        decide(board, incident_decisions.change_exclusions, one["id"], "exclude", WHO, "again")


def test_members_of_a_group_are_of_the_incident_of_their_group(board: Board) -> None:
    start = to_microseconds(START)
    about = [
        AlertSignal(
            "pooled_voters", "model", model, f"{verb} by voters with few votes", "warning", 2e2, 1, 0, start, start,
            {"what": f"{verb} it", "members": 2, "afterwards": "by cross-fitting"},
        )
        for model, verb in (("dog", "promoted"), ("ant", "demoted"))
    ]  # fmt: skip
    with board.store() as store:
        names = [format_pseudonym(store.pseudonym(f"sybil {n}")) for n in range(4)]
    members = [
        AlertSignal(
            "pooled_voters", "voter", name, "promotes", "warning", 2e2, 1, 1, 600 + n, start,
            {"what": "one of 2", "group": about[n // 2].alert_id, "afterwards": "by cross-fitting"},
        )
        for n, name in enumerate(names)
    ]  # fmt: skip
    raise_alerts(board, *about, *members)
    found = {one["about"][0]["name"]: one for one in listed(board)}
    assert {name: (one["alerts"], one["accounts"]) for name, one in found.items()} == {"dog": (3, 2), "ant": (3, 2)}
    done = decide(board, incident_decisions.change_exclusions, found["dog"]["id"], "exclude", WHO, "bought")
    assert done["targets"] == 2


def test_worse_results_of_an_opponent_are_of_the_incident_whose_votes_made_them(board: Board) -> None:
    start, second = to_microseconds(START), 1_000_000

    def worse(model: str, begin: int, end: int, decided: int, expected: float) -> AlertSignal:
        window = [start + begin * second, start + end * second]
        evidence = {"window": window, "what": "it lost", "decided": decided, "won": 0, "expected": expected,
                    "reading": "attack or change"}  # fmt: skip
        direction = "performs worse than in its snapshots"
        return AlertSignal("model_shift", "model", model, direction, "warning", 500.0, 1, 0, *window, evidence)

    # Each vote takes ten seconds: first those of the honest voters, later those of the accounts.
    ours, theirs = worse("ant", 10_000, 12_000, SYBILS, 40.0), worse("bee", 0, 6_000, 240, 120.0)
    found = campaign(board)
    raise_alerts(board, ours, theirs)
    other, attack = sorted(listed(board), key=lambda one: int(one["alerts"]))
    assert (attack["id"], attack["alerts"], attack["votes"]) == (found, SYBILS + 2, 3 * SYBILS)
    assert other["about"] == [{"kind": "model", "name": "bee", "effect": "lowered"}]
    assert (other["alerts"], other["votes"]) == (1, 0)


def test_only_commands_to_paste_are_wider_than_80_columns_below_a_list(board: Board) -> None:
    campaign(board)
    for words in (("incidents", "list"), ("alerts", "list"), ("alerts", "list", "--limit", "1")):
        done = called(*words, "--store", board.url, settings={**SETTINGS, "COLUMNS": "80"})
        assert done.returncode == 0
        told = done.stderr.splitlines()
        assert [line for line in told if len(line) > 80 and not line.startswith("  integrity ")] == []
        assert f"  integrity {words[0]} show ID --store " in "\n".join(told), "it can be pasted"


def history(board: Board, incident_id: str) -> list[dict[str, Any]]:
    with board.store() as store, store.read() as connection:
        return list(incident_decisions.find_incident(connection, incident_id)[0]["history"])


def test_split_and_merge_undo_each_other_and_former_ids_lead_on(board: Board) -> None:
    found = campaign(board)
    (one,) = listed(board)
    out = one["alert_ids"][:10]
    decide(board, incident_decisions.split, found, out, WHO, "another buyer")
    parts = {part["id"]: part for part in listed(board)}
    assert sorted(part["alerts"] for part in parts.values()) == [10, SYBILS - 9]
    decide(board, incident_decisions.merge, *parts, WHO, "the same buyer")
    assert listed(board)[0] == one
    with board.store() as store, store.read() as connection:
        assert all(incident_table.resolve_id(connection, name) == found for name in one["former_ids"])
    assert [entry["action"] for entry in history(board, found)] == ["split", "merge"]
    for wrong, said in (
        ([], "expected some"),
        (one["alert_ids"], "expected some"),
        (["no alert"], "ids of its alerts"),
    ):
        with pytest.raises(Usage, match=said):
            decide(board, incident_decisions.split, found, wrong, WHO, "x")


def test_the_command_lists_by_urgency_filters_and_decides(board: Board) -> None:
    found = campaign(board)
    raise_alerts(board, signal(board, 5, "clicks at random", None, "random", severity="warning", e_value=150.0))

    def command(*words: str) -> Any:
        return called("incidents", *words, "--store", board.url, settings=SETTINGS)

    assert found[:8] in command("list").stdout
    (told,) = json.loads(command("list", "--json").stdout)
    assert told["headline"].startswith("60 accounts on 2 networks lifted dog")
    assert [one["id"] for one in json.loads(command("list", "--about", "dog", "--json").stdout)] == [found]
    assert json.loads(command("list", "--about", "ant", "--json").stdout) == []
    after = format_rfc3339(to_microseconds(START) + 30 * DAY)
    assert json.loads(command("list", "--since", after, "--json").stdout) == []
    assert command("list", "--check").returncode == 1
    done = command("exclude", found[:6], "--reason", "bought", "--yes")
    assert done.returncode == 0
    assert "exclude 60 accounts" in done.stderr
    assert command("exclude", "--reason", "x").returncode == 2
    refused = command("restore", found, "--reason", "x")
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    both = json.loads(command("show", found, found[:7], "--json").stdout)
    assert [one["id"] for one in both] == [found, found]
    assert command("ack", "ffff").returncode == 2
    assert command("note", found, "--reason", "asked the provider").returncode == 0
    shown = command("show", found, "--verbose").stdout
    assert "asked the provider" in shown
    assert "farm 0" in shown
    assert "left out by" in shown
    assert "nothing is left to exclude" in shown
    assert f"\n  integrity refresh --store {board.url}\n" in shown


def test_one_command_decides_several_incidents_after_one_preview_and_names_a_wrong_id(board: Board) -> None:
    dogs, bees = [signal(board, n) for n in range(6)], [signal(board, n, model="bee") for n in range(6, 12)]
    raise_alerts(board, *dogs, *bees)
    ids = sorted(one["id"] for one in listed(board))
    assert len(ids) == 2

    def command(*words: str) -> Any:
        return called("incidents", *words, "--store", board.url, settings=SETTINGS)

    refused = command("exclude", ids[0], "ffffffff", "--reason", "x", "--yes")
    assert (refused.returncode, "'ffffffff'" in refused.stderr) == (2, True)
    assert "no incident has it" in refused.stderr
    refused = command("exclude", *ids, "--reason", "x")
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    # The votes of this board follow a pattern, so some honest voters are suspected too.
    accounts, votes = (sum(one["suspected"][what] for one in listed(board)) for what in ("accounts", "votes"))
    assert f"exclude {12 + accounts} accounts ({accounts} of them only suspected) of incidents" in refused.stderr
    assert f"{36 + votes} votes go out of the defended view at the next refresh" in refused.stderr
    assert "Ranks: " in refused.stderr
    assert [one["votes_left_out"] for one in listed(board)] == [0, 0]
    done = command("exclude", ids[0][:8], ids[1], ids[0], "--reason", "bought", "--yes", "--json")
    suspected = {one["id"]: one["suspected"]["accounts"] for one in listed(board)}
    assert [one["targets"] for one in json.loads(done.stdout)] == [6 + suspected[one] for one in ids]
    assert command("restore", *ids, "--reason", "a mistake", "--yes").returncode == 0
    decide(board, incidents_regrouped)
    assert [one["votes_left_out"] for one in listed(board)] == [0, 0]
    shown = command("show", ids[0]).stdout
    pasted = f"integrity incidents show {ids[0][:8]} --verbose --store {board.url}"
    assert f"\n  {pasted}\n" in shown
    assert called(*pasted.split()[1:], settings=SETTINGS).returncode == 0


def test_alerts_are_listed_by_urgency_chosen_and_decided_several_at_once(board: Board) -> None:
    opened = raise_alerts(
        board, signal(board, 1), signal(board, 2, severity="critical", level=2), signal(board, 3, model="bee")
    )

    def command(*words: str) -> Any:
        return called("alerts", *words, "--store", board.url, settings=SETTINGS)

    def ids(*words: str) -> list[str]:
        return [one["id"] for one in json.loads(command("list", *words, "--json").stdout)]

    assert ids() == [opened[1], opened[2], opened[0]]
    assert ids("--severity", "critical") == [opened[1]]
    assert ids("--about", "bee") == [opened[2]]
    assert ids("--limit", "1") == [opened[1]]
    assert ids("--since", format_rfc3339(to_microseconds(START) + 30 * DAY)) == []
    assert ids(opened[0][:10], opened[2]) == [opened[2], opened[0]]
    text = command("list", "--limit", "2").stdout
    assert "CRITICAL" in text.splitlines()[0]
    assert "promotes dog" in text
    assert max(map(len, text.splitlines())) < 120
    done = command("ack", opened[0][:10], opened[2][:10], "--reason", "seen", "--json")
    assert [one["state"] for one in json.loads(done.stdout)] == ["acknowledged"] * 2
    assert ids() == [opened[1], opened[2], opened[0]]
    unknown = command("ack", opened[0], "no such alert", "--reason", "seen")
    assert (unknown.returncode, "'no such alert'" in unknown.stderr) == (2, True)
    with board.store() as store, store.write() as connection:
        connection.execute(sa.update(schema.alert).where(schema.alert.c.alert_id == opened[0]).values(alert_id="ab1"))
        connection.execute(sa.update(schema.alert).where(schema.alert.c.alert_id == opened[2]).values(alert_id="ab2"))
    ambiguous = command("show", "ab")
    assert (ambiguous.returncode, "ab1, ab2" in ambiguous.stderr) == (2, True)
    excluded = command("exclude", opened[1], "--reason", "bought")
    assert excluded.returncode == 0
    assert "Ranks: " in excluded.stderr
    assert "logits" not in command("show", opened[1]).stdout


def test_one_command_restores_a_voter_whom_two_alerts_excluded(board: Board) -> None:
    both = raise_alerts(board, signal(board, 1), signal(board, 1, "demotes", "ant", "other"))
    (other,) = raise_alerts(board, signal(board, 2, model="bee"))

    def command(action: str, *words: str) -> Any:
        return called("alerts", action, *words, "--reason", "x", "--store", board.url, settings=SETTINGS)

    def left_out() -> int:
        with board.store() as store, store.read() as connection:
            return len(exclusion_list.read_active(connection))

    assert command("exclude", *both).returncode == 0
    for more in ((), ("--json",)):
        refused = command("restore", *both, other, *more)
        assert (refused.returncode, f"alert {other}: none of its votes" in refused.stderr, left_out()) == (2, True, 1)
    assert command("restore", *both).returncode == 0
    assert left_out() == 0
    command("exclude", *both)
    done = command("restore", *both, "--json")
    assert [one["action"] for one in json.loads(done.stdout)] == ["restore"]
    assert left_out() == 0


def test_batches_and_their_order_change_nothing(board: Board) -> None:
    signals = [
        *(signal(board, n) for n in range(8)),
        *(signal(board, n, model="bee") for n in range(8, 14)),
        signal(board, 20, "clicks at random", None, "random"),
    ]
    for number, one in enumerate(reversed(signals)):
        if number % 4 == 0:
            raise_alerts(board, one)
        else:
            with board.store() as store, store.write() as connection:
                alert_lifecycle.open_alerts(connection, [one], {}, now())
    decide(board, incidents_regrouped)
    in_batches = {one["id"]: one["alert_ids"] for one in listed(board)}
    with board.store() as store, store.write() as connection:
        for table in (schema.alert_event, schema.alert, schema.incident, schema.grouping):
            connection.execute(sa.delete(table))
    raise_alerts(board, *signals)
    assert {one["id"]: one["alert_ids"] for one in listed(board)} == in_batches
    assert sorted(one["alerts"] for one in listed(board)) == [1, 6, 8]


def test_closing_and_reopening_keep_the_history(board: Board) -> None:
    raise_alerts(board, *(signal(board, n) for n in range(4)))
    (one,) = listed(board)
    decide(board, incident_decisions.change_state, one["id"], "ack", WHO, "seen")
    decide(board, incident_decisions.add_note, one["id"], WHO, "asked the provider")
    for times in (1, 2):
        decide(board, incident_decisions.change_state, one["id"], "resolve", WHO, f"honest {times}")
        assert listed(board)[0]["state"] == "resolved"
        decide(board, incident_decisions.change_state, one["id"], "reopen", WHO, f"not honest {times}")
        assert listed(board)[0]["state"] == "open"
    entries = [(entry["action"], entry["reason"], entry["name"]) for entry in history(board, one["id"])]
    assert entries == [
        ("ack", "seen", "erin"),
        ("note", "asked the provider", "erin"),
        *(
            (action, f"{why} {times}", "erin")
            for times in (1, 2)
            for action, why in (("resolve", "honest"), ("reopen", "not honest"))
        ),
    ]


@pytest.mark.long
def test_one_command_each_excludes_and_restores_sixty_accounts(board: Board) -> None:
    found, before = campaign(board), json.dumps(ratings(board))

    def command(action: str) -> Any:
        words = (action, found, "--yes", "--reason", "bought", "--json", "--store", board.url)
        return json.loads(called("incidents", *words, settings=SETTINGS).stdout)

    assert command("exclude")["targets"] == SYBILS
    assert json.dumps(ratings(board)) != before
    assert command("restore")["targets"] == SYBILS
    assert json.dumps(ratings(board)) == before
