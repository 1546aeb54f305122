"""The text of an incident, in plain words: accounts and minutes for operators, votes and hours for the public."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.incident_text import (
    AccountStanding,
    IncidentStanding,
    confidence,
    explain_lines,
    headline,
    urgency,
    what_was_done,
)

PRIVATE = {
    "first": "2026-11-30T14:02:11.5Z",
    "last": "2026-11-30T16:40:59.9Z",
    "voters": [],
    "networks": ["n1", "n2", "n3", "n4"],
}
CEDAR = {"kind": "model", "name": "cedar-2", "effect": "lifted"}
RANK = {"raw": 6, "defended": 17, "before": 17, "after": 6}


def incident(**more: Any) -> dict[str, Any]:
    return {
        "id": "0123456789ab", "severity": "critical", "state": "open", "about": [CEDAR], "what": "", "e_value": 3e6,
        "begun_at": "2026-11-30T14:00:00Z", "last_at": "2026-11-30T16:00:00Z", "alerts": 68, "accounts": 31,
        "accounts_left_out": 31, "votes": 2083, "votes_left_out": 2083, "excluded_by": ["auto-voter/1"], "rank": RANK,
        "awaits_refresh": False, "detectors": {"voter_bias": 68}, **more,
    }  # fmt: skip


def test_operators_read_who_lifted_what_and_where_it_stands() -> None:
    assert headline(incident(), PRIVATE) == (
        "31 accounts on 4 networks lifted cedar-2 from #17 to #6 between 14:02 and 16:40 UTC on 2026-11-30; 2,083 of "
        "their votes are left out; without them it stands at #17."
    )


def test_the_public_reads_what_votes_did_and_hours() -> None:
    assert headline(incident()) == (
        "2,083 votes that fit no honest pattern lifted cedar-2 from #17 to #6 between the hours of 14:00 and 16:00 UTC "
        "on 2026-11-30; 2,083 of them are left out; without them it stands at #17."
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"votes_left_out": 0, "rank": {**RANK, "defended": 6}},
         " from #17 to #6 between 14:02 and 16:40 UTC on 2026-11-30."),
        # Without an earlier snapshot, the rank without the votes is where the model was lifted from.
        ({"rank": {"raw": 6, "defended": 17, "before": None, "after": None}}, " from #17 to #6 between"),
        ({"rank": {"raw": 6, "defended": 17, "before": None, "after": None}, "votes_left_out": 0}, "cedar-2 between"),
        ({"awaits_refresh": True}, "2,083 of their votes are left out from the next refresh on."),
        ({"votes_left_out": 1}, "; #6 counting all votes; #17 now, with 1 of the 2,083 votes left out."),
        ({"rank": {"raw": 6, "defended": 6, "before": 6, "after": 6}},
         "; its rank stayed #6; 2,083 of their votes are left out; with or without them it stands at #6."),
        ({"rank": {"raw": 9, "defended": 9, "before": 6, "after": 9}, "votes_left_out": 0},
         "2026-11-30; its rank still fell from #6 to #9."),
        ({"rank": None}, "2026-11-30; 2,083 of their votes are left out."),
        ({"accounts": 1, "votes": 1}, "1 account on 4 networks lifted"),
    ],
)  # fmt: skip
def test_ranks_and_votes_are_stated_only_where_they_are_true(more: dict[str, Any], expected: str) -> None:
    assert expected in headline(incident(**more), PRIVATE)


def partly(**more: Any) -> dict[str, Any]:
    return incident(
        accounts=8, accounts_left_out=6, votes=1279, votes_left_out=1005,
        **{"rank": {"raw": 1, "defended": 9, "before": None, "after": None}, **more},
    )  # fmt: skip


def test_a_rank_without_some_of_the_votes_is_not_the_rank_before_nor_the_rank_without_all() -> None:
    assert headline(partly(), PRIVATE) == (
        "8 accounts on 4 networks lifted cedar-2 between 14:02 and 16:40 UTC on 2026-11-30; #1 counting all votes; "
        "#9 now, with 6 of the 8 accounts (1,005 of the 1,279 votes) left out."
    )
    assert headline(partly(rank={"raw": 1, "defended": 9, "before": 17, "after": 1})).endswith(
        "from #17 to #1 between the hours of 14:00 and 16:00 UTC on 2026-11-30; #1 counting all votes; #9 now, with 6 "
        "of the 8 accounts (1,005 of the 1,279 votes) left out."
    )
    few = headline({**partly(), "accounts": None, "accounts_left_out": None})
    assert few.endswith("; #1 counting all votes; #9 now, with 1,005 of the 1,279 votes left out.")
    assert headline(partly(rank=None), PRIVATE).endswith(
        "; 6 of the 8 accounts (1,005 of the 1,279 votes) are left out."
    )


def test_a_rank_that_is_the_same_and_a_time_that_is_the_same_are_stated_once() -> None:
    assert headline(partly(rank={"raw": 18, "defended": 18, "before": None, "after": None}), PRIVATE).endswith(
        "; #18 counting all votes and now, with 6 of the 8 accounts (1,005 of the 1,279 votes) left out."
    )
    moment = {**PRIVATE, "last": PRIVATE["first"]}
    in_utc = explain_lines(incident(), moment, lambda time: f"{time[:10]} {time[11:16]} UTC")
    assert "When: 2026-11-30 14:02 UTC." in in_utc
    assert "When: 2026-11-30 14:02 UTC, local 15h." in explain_lines(incident(), moment, lambda _: "15h")


def test_lists_are_in_the_order_of_state_severity_change_of_a_rank_and_evidence() -> None:
    unmoved = {"raw": 6, "defended": 6, "before": None, "after": None}
    fact = {"kind": "fact", "name": "audit_ledger x", "effect": ""}
    ordered = {
        "moved": {},
        "stronger": {"rank": unmoved, "e_value": 1e9},
        "weaker, newer": {"rank": unmoved, "opened_at": "2026-11-30T18:00:00Z"},
        "weaker": {"rank": unmoved},
        "fact": {"about": [fact], "rank": None, "e_value": None},
        "warning": {"severity": "warning"},
        "acknowledged": {"state": "acknowledged"},
        "resolved": {"state": "resolved"},
    }
    found = [
        incident(**{"id": name, "opened_at": "2026-11-30T14:00:00Z", **more}) for name, more in sorted(ordered.items())
    ]
    assert [one["id"] for one in sorted(found, key=urgency)] == list(ordered)


def test_an_attack_on_a_rival_and_a_surge_read_differently() -> None:
    attack = incident(about=[{**CEDAR, "effect": "lowered"}], rank={"raw": 9, "defended": 3, "before": 3, "after": 9})
    surge = incident(
        about=[{**CEDAR, "effect": "more votes"}], accounts=0, votes=412, votes_left_out=0, excluded_by=[],
        detectors={"vote_burst": 1},
    )  # fmt: skip
    assert headline(attack, PRIVATE).startswith("31 accounts on 4 networks lowered cedar-2 from #3 to #9 between")
    assert headline(surge, PRIVATE) == (
        "412 votes more than usual on cedar-2 between 14:02 and 16:40 UTC on 2026-11-30, without a sign that they lift "
        "or lower a model: perhaps an honest surge."
    )
    assert "  integrity incidents exclude 01234567 --reason WHY" in explain_lines(attack, PRIVATE)
    assert "release" in explain_lines(surge, PRIVATE)[-2]
    assert "exclude" not in " ".join(explain_lines(surge, PRIVATE)[-2:])


def test_a_merged_incident_states_all_that_its_accounts_did() -> None:
    birch = {"kind": "model", "name": "birch", "effect": "lifted"}
    oak = {"kind": "provider", "name": "Oak", "effect": "lowered"}
    text = headline(incident(about=[CEDAR, birch, oak]), PRIVATE)
    assert text.startswith(
        "31 accounts on 4 networks lifted cedar-2 from #17 to #6 and birch and lowered provider Oak between 14:02"
    )


def test_the_whole_text_says_how_sure_it_is_when_in_both_times_and_where_every_alert_is() -> None:
    lines = explain_lines(incident(), PRIVATE, lambda time: f"{time[11:13]}h")
    assert "How sure: very strong evidence (strongest alert: e-value 3,000,000)." in lines
    assert "When: 2026-11-30 14:02 to 2026-11-30 16:40 UTC, local 14h to 16h." in lines
    place = lines.index("Alerts: 68 (68 voter_bias). This lists each:")
    assert lines[place + 1] == "  integrity incidents show 01234567 --verbose"
    assert confidence(None) == "a recorded fact, no statistical test"


def test_a_fact_states_times_as_the_other_sentences_do() -> None:
    fact = {"kind": "fact", "name": "many_variants Oak", "effect": ""}
    text = headline(incident(about=[fact], what="12 variants of Oak were seen on 2024-07-01T11:00:20Z", rank=None))
    assert text.startswith("12 variants of Oak were seen on 2024-07-01 11:00 UTC")


def account(name: str, votes: int, e_value: float, *, counts: bool, published: bool = True) -> AccountStanding:
    severity, by = ("warning", None) if counts else ("critical", "auto-voter/1")
    now = counts if published else True
    return AccountStanding(name, f"the-{name}", votes, (f"{name}0123456789",), severity, e_value, by, now, counts)


def test_the_text_names_the_accounts_that_still_count_and_what_each_decision_does() -> None:
    standing = IncidentStanding(
        (
            account("a", 1005, 3e6, counts=False),
            account("b", 146, 107, counts=True),
            account("c", 128, 185, counts=True),
        ),
        1005,
    )
    lines = explain_lines(partly(), PRIVATE, standing=standing)
    assert lines[2] == (
        "How sure: very strong evidence (strongest account: e-value 3,000,000); accounts that still count: the-b 107, "
        "the-c 185."
    )
    assert lines[-8:] == [
        "What to do: 2 of 3 accounts still count, with 274 votes: the-b (146 votes), the-c (128 votes). Look at the "
        "votes:",
        "  integrity alerts show b0123456",
        "To leave out what still counts, after a preview:",
        "  integrity incidents exclude 01234567 --reason WHY",
        "To say that the votes were honest (1,005 votes that a policy left out count again at the next refresh):",
        "  integrity incidents resolve 01234567 --reason WHY",
        "To acknowledge it (no vote changes: what is left out stays out):",
        "  integrity incidents ack 01234567 --reason WHY",
    ]
    assert standing.accounts[1].line() == "  the-b  b: 146 votes, 1 alert, warning, e-value 107, still counted"
    assert standing.accounts[0].line().endswith("critical, e-value 3,000,000, left out by auto-voter/1")


def test_followers_count_among_the_accounts_and_are_said_to_have_no_alert_of_their_own() -> None:
    followers = [AccountStanding(name, f"the-{name}", 9, (), "warning", None, None, True, True) for name in "de"]
    standing = IncidentStanding((*followers, account("b", 5, 107, counts=True)), 0)
    lines = explain_lines(incident(votes=23, votes_left_out=0), PRIVATE, standing=standing)
    assert lines[2].endswith("accounts that still count: the-b 107; 2 others without an alert of their own.")
    place = next(n for n, line in enumerate(lines) if line.startswith("What to do"))
    assert lines[place].startswith("What to do: 3 of 3 accounts still count, with 23 votes: the-d (9 votes), ")
    assert lines[place + 1] == "  integrity alerts show b0123456"
    said = "  the-d  d: 9 votes, no alert of its own, but most of its votes do what the incident says, still counted"
    assert followers[0].line() == said


def test_when_nothing_is_left_to_exclude_the_text_says_that_a_refresh_publishes_it() -> None:
    waiting = IncidentStanding((account("a", 9, 3e6, counts=False, published=False),), 9)
    lines = explain_lines(incident(votes=9, votes_left_out=9, awaits_refresh=True), PRIVATE, standing=waiting)
    assert "  integrity refresh" in lines
    assert "nothing is left to exclude: 0 votes are left out now; 9 more at the next refresh" in " ".join(lines)
    assert not [one for one in lines if "exclude 0123" in one]
    assert waiting.accounts[0].line().endswith("left out by auto-voter/1 from the next refresh on")
    done = IncidentStanding((account("a", 9, 3e6, counts=False),), 9)
    lines = explain_lines(incident(votes=9, votes_left_out=9), PRIVATE, standing=done)
    assert "  integrity refresh" not in lines


def test_what_was_done_says_that_a_refresh_must_still_apply_it() -> None:
    body = incident(votes=9, votes_left_out=9, excluded_by=["ann"], accounts_left_out=2)
    assert what_was_done(body) == "ann left out 9 votes from 2 accounts."
    waiting = what_was_done({**body, "awaits_refresh": True})
    assert waiting == "ann left out 9 votes from 2 accounts, from the next refresh on."


def test_accounts_without_votes_count_nowhere_and_are_not_waited_for() -> None:
    erased = AccountStanding("voter-0", "voter-0", 0, ("0" * 12,), "warning", 107, None, True, True)
    assert erased.line().endswith("0 votes, 1 alert, warning, e-value 107, no votes that name it")
    beside = IncidentStanding((account("a", 9, 3e6, counts=False), erased), 9)
    text = " ".join(explain_lines(incident(votes=9, votes_left_out=9), PRIVATE, standing=beside))
    assert "nothing is left to exclude: no vote of its accounts counts." in text
    assert "integrity refresh" not in text
    assert "accounts that still count" not in text
    # What is left are the votes of alerts about windows.
    alone = " ".join(
        explain_lines(incident(votes=9, votes_left_out=0), PRIVATE, standing=IncidentStanding((erased,), 0))
    )
    assert "What to do: 9 votes still count. Look at its votes." in alone


def test_suspected_accounts_are_told_apart_and_what_still_counts_of_them() -> None:
    suspects = tuple(
        AccountStanding(name, f"the-{name}", 40, (), "warning", 300.0, None, True, True, is_suspected=True)
        for name in "xyz"
    )
    excluded = IncidentStanding((account("a", 9, 3e6, counts=False),), 9, suspects)
    lines = explain_lines(incident(accounts=1, votes=9, votes_left_out=9), PRIVATE, standing=excluded)
    assert "Suspected too: 3 more accounts with 120 votes. No alert is about them, but on cedar-2 they vote as " in (
        " ".join(lines)
    )
    assert (
        "What to do: nothing is left to exclude of its accounts, but 3 suspected accounts with 120 votes still count. "
        "Look at them:"
    ) in lines
    both = IncidentStanding((account("b", 5, 107, counts=True),), 0, suspects)
    lines = explain_lines(incident(accounts=1, votes=5, votes_left_out=0), PRIVATE, standing=both)
    assert any("the-b (5 votes); so do 3 suspected accounts with 120 votes. Look at the votes:" in one for one in lines)
    none = IncidentStanding((), 0, suspects[:1])
    lines = explain_lines(incident(accounts=0, votes=50, votes_left_out=0), PRIVATE, standing=none)
    assert any("on cedar-2 it votes as its alerts say" in one for one in lines)
    assert any("Also, 1 suspected account with 40 votes still counts. Look at its votes." in one for one in lines)
    assert suspects[0].line() == "  the-x  x: 40 votes, suspected, no alert of its own, e-value 300, still counted"


def test_what_people_left_out_of_suspected_accounts_is_part_of_what_was_done() -> None:
    more = {"accounts": 3, "votes": 120, "accounts_left_out": 3, "votes_left_out": 120}
    body = incident(votes=9, votes_left_out=9, excluded_by=["ann"], accounts_left_out=2, suspected=more)
    assert what_was_done(body) == "ann left out 9 votes from 2 accounts and 120 votes from 3 suspected accounts."
    few = incident(votes_left_out=0, excluded_by=["ann"], accounts_left_out=0,
                   suspected={**more, "accounts_left_out": None})  # fmt: skip
    assert what_was_done(few) == "ann left out 120 votes from a few suspected accounts."
