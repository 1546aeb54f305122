"""The gate, against the real Great Expectations: what passes, and that every critical fault is named."""

import gc
import json
import math
import os
import subprocess
import sys

import pandas as pd
import pytest

from pipeline import expectation_suites
from pipeline.errors import Usage

NOON = pd.Timestamp("2026-03-01T12:00:00Z")


def votes(**changes: object) -> pd.DataFrame:
    """Forty good votes, with columns replaced; a callable changes a column that is there."""
    winners = ["model_a", "model_b", "tie", "model_a", "model_b", "both_bad", "model_b", "model_a"] * 5
    times = pd.Series(pd.date_range(NOON, periods=40, freq="s")).astype("datetime64[us, UTC]")
    return edited(
        {
            "vote_id": [f"v{n}" for n in range(40)],
            "model_a": ["m1", "m2"] * 20,
            "model_b": ["m3", "m4"] * 20,
            "winner": winners,
            "fate": "accepted",
            "cast_at": times,
            "appended_at": times + pd.Timedelta("1s"),
            "voter": [None, "p1", "p2", "p3"] * 10,
        },
        changes,
    )


def registry(**changes: object) -> pd.DataFrame:
    return edited(
        {
            "event_id": ["e1", "e2", "e3"],
            "at": [NOON] * 3,
            "type": ["model.submitted", "sampling.policy", "benchmark.claim"],
            "model": ["m1", None, "m1"],
        },
        changes,
    )


def snapshot(**changes: object) -> pd.DataFrame:
    return edited(
        {
            "model": ["m1", "m2", "m3"],
            "rating": [40.0, 0.0, -40.0],
            "lower": [30.0, -10.0, -50.0],
            "upper": [50.0, 10.0, -30.0],
            "rank": [1, 2, 3],
            "rank_best": [1, 2, 3],
            "rank_worst": [1, 2, 3],
            "votes": [100, 120, 90],
        },
        changes,
    )


def edited(columns: dict[str, object], changes: dict[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    for name, change in changes.items():
        frame[name] = change(frame[name]) if callable(change) else change
    return frame


def first(value: object):
    """Put a value into the first row."""

    def change(column: pd.Series) -> list[object]:
        return [value, *column.tolist()[1:]]

    return change


GOOD = {"votes": votes, "registry": registry, "snapshot": snapshot}

CRITICAL = [
    ("votes", {"vote_id": first(None)}, "vote_id: expect_column_values_to_not_be_null"),
    ("votes", {"vote_id": first("v1")}, "vote_id: expect_column_values_to_be_unique"),
    ("votes", {"model_a": first(None)}, "model_a: expect_column_values_to_not_be_null"),
    ("votes", {"model_b": first(None)}, "model_b: expect_column_values_to_not_be_null"),
    ("votes", {"model_b": first("m1")}, "against_itself: expect_column_values_to_be_in_set"),
    ("votes", {"winner": first("draw")}, "winner: expect_column_values_to_be_in_set"),
    ("votes", {"winner": first(None)}, "winner: expect_column_values_to_not_be_null"),
    ("votes", {"fate": first("duplicate")}, "fate: expect_column_values_to_be_in_set"),
    ("votes", {"fate": first(None)}, "fate: expect_column_values_to_not_be_null"),
    ("votes", {"cast_at": first(pd.NaT)}, "cast_at: expect_column_values_to_not_be_null"),
    ("votes", {"appended_at": first(pd.NaT)}, "appended_at: expect_column_values_to_not_be_null"),
    (
        "votes",
        {"cast_at": first(NOON + pd.Timedelta("5min2s"))},
        "lead_seconds: expect_column_values_to_be_between",
    ),
    ("registry", {"event_id": first(None)}, "event_id: expect_column_values_to_not_be_null"),
    ("registry", {"event_id": first("e2")}, "event_id: expect_column_values_to_be_unique"),
    ("registry", {"at": first(pd.NaT)}, "at: expect_column_values_to_not_be_null"),
    ("registry", {"type": first("model.sold")}, "type: expect_column_values_to_be_in_set"),
    ("registry", {"type": first(None)}, "type: expect_column_values_to_not_be_null"),
    ("registry", {"model": first(None)}, "model: expect_column_values_to_not_be_null"),
    ("snapshot", {"model": first(None)}, "model: expect_column_values_to_not_be_null"),
    ("snapshot", {"model": first("m2")}, "model: expect_column_values_to_be_unique"),
    ("snapshot", {"rating": first(math.nan)}, "rating: expect_column_values_to_not_be_null"),
    ("snapshot", {"rating": first(math.inf)}, "rating: expect_column_values_to_be_between"),
    ("snapshot", {"lower": first(math.nan)}, "lower: expect_column_values_to_not_be_null"),
    ("snapshot", {"lower": first(-math.inf)}, "lower: expect_column_values_to_be_between"),
    ("snapshot", {"upper": first(math.nan)}, "upper: expect_column_values_to_not_be_null"),
    ("snapshot", {"upper": first(math.inf)}, "upper: expect_column_values_to_be_between"),
    ("snapshot", {"lower": first(41.0)}, "rating, lower: expect_column_pair_values_a_to_be_greater_than_b"),
    ("snapshot", {"upper": first(39.0)}, "upper, rating: expect_column_pair_values_a_to_be_greater_than_b"),
    ("snapshot", {"rank": first(None)}, "rank: expect_column_values_to_not_be_null"),
    ("snapshot", {"rank": first(0)}, "rank: expect_column_values_to_be_between"),
    ("snapshot", {"rank_best": first(None)}, "rank_best: expect_column_values_to_not_be_null"),
    ("snapshot", {"rank_best": first(0)}, "rank_best: expect_column_values_to_be_between"),
    ("snapshot", {"rank_worst": first(None)}, "rank_worst: expect_column_values_to_not_be_null"),
    ("snapshot", {"rank_worst": first(0)}, "rank_worst: expect_column_values_to_be_between"),
    (
        "snapshot",
        {"rank_best": first(2)},
        "rank, rank_best: expect_column_pair_values_a_to_be_greater_than_b",
    ),
    ("snapshot", {"rank": first(2)}, "rank_worst, rank: expect_column_pair_values_a_to_be_greater_than_b"),
    ("snapshot", {"votes": first(None)}, "votes: expect_column_values_to_not_be_null"),
    ("snapshot", {"votes": first(0)}, "votes: expect_column_values_to_be_between"),
]

WARNING = [
    ("votes", {"winner": ["model_a", "model_b"] * 20}, "winner"),  # no ties at all
    ("votes", {"winner": ["tie"] * 38 + ["model_a", "model_b"]}, "winner"),
    ("votes", {"winner": ["model_a", "model_a", "model_b", "tie"] * 10}, "winner"),  # left wins two in three
    ("votes", {"winner": ["model_b", "model_a", "model_b", "tie"] * 10}, "winner"),
    ("votes", {"voter": [None, None, None, "p1"] * 10}, "voter"),
    ("votes", {"fate": ["late", "accepted"] * 20}, "fate"),
    ("snapshot", {"votes": [1, 1, 100]}, "votes"),
]


@pytest.mark.parametrize("suite", GOOD)
@pytest.mark.long
def test_good_data_passes_without_a_warning(suite):
    verdict = expectation_suites.check(suite, GOOD[suite]())
    assert (verdict.success, verdict.critical_failures, verdict.warnings) == (True, (), ())


@pytest.mark.long
@pytest.mark.parametrize(("suite", "changes", "named"), CRITICAL)
def test_a_critical_fault_closes_the_gate_and_is_named(suite, changes, named):
    verdict = expectation_suites.check(suite, GOOD[suite](**changes))
    assert not verdict.success
    assert named in verdict.critical_failures


@pytest.mark.long
def test_every_critical_expectation_has_a_case():
    cases = {(suite, named) for suite, _, named in CRITICAL}
    for suite, good in GOOD.items():
        rows = expectation_suites.check(suite, good()).results
        critical = {f"{row['column']}: {row['expectation']}" for row in rows if row["severity"] == "critical"}
        missing = {name for name in critical if not name.startswith("table") and (suite, name) not in cases}
        assert not missing


@pytest.mark.parametrize(("suite", "changes", "column"), WARNING)
def test_a_warning_is_told_and_the_gate_stays_open(suite, changes, column):
    verdict = expectation_suites.check(suite, GOOD[suite](**changes))
    assert verdict.success
    assert [name.split(":")[0] for name in verdict.warnings] == [column]


@pytest.mark.parametrize("suite", GOOD)
@pytest.mark.parametrize("column", [0, -1])
def test_a_missing_column_closes_the_gate(suite, column):
    frame = GOOD[suite]()
    verdict = expectation_suites.check(suite, frame.drop(columns=frame.columns[column]))
    assert "table: expect_table_columns_to_match_set" in verdict.critical_failures


@pytest.mark.parametrize(("suite", "success"), [("votes", False), ("registry", True), ("snapshot", False)])
def test_an_empty_frame(suite, success):
    verdict = expectation_suites.check(suite, GOOD[suite]().iloc[:0])
    assert verdict.success is success


def test_a_vote_from_the_future_is_fine_once_it_is_quarantined():
    future = {"cast_at": first(NOON + pd.Timedelta("3D")), "fate": first("quarantined")}
    assert expectation_suites.check("votes", votes(**future)).success


def test_five_minutes_ahead_is_the_last_moment():
    assert expectation_suites.check("votes", votes(cast_at=first(NOON + pd.Timedelta("5min1s")))).success


def test_the_frame_is_not_changed():
    frame = votes()
    before = frame.copy()
    expectation_suites.check("votes", frame)
    pd.testing.assert_frame_equal(frame, before)


def test_the_frame_is_freed_after_a_check():
    frame = pd.concat([votes()] * 3, ignore_index=True)
    size = len(frame)
    expectation_suites.check("votes", frame)
    del frame
    gc.collect()
    assert not [one for one in gc.get_objects() if isinstance(one, pd.DataFrame) and len(one) == size]


def test_a_verdict_is_json_in_the_order_of_the_suite():
    bad = expectation_suites.check("snapshot", snapshot(rating=first(math.inf), model=first("m2")))
    reported = json.loads(bad.as_json())
    suite = json.loads((expectation_suites._folder() / "snapshot.json").read_text())["expectations"]
    assert [row["expectation"] for row in reported["results"]] == [each["type"] for each in suite]
    row = next(row for row in reported["results"] if not row["success"])
    assert (row["column"], row["unexpected_count"], row["examples"]) == ("model", 2, ["m2", "m2"])
    assert row["reason"] == next(each["meta"]["notes"] for each in suite if "unique" in each["type"])


def test_several_frames_give_one_verdict_that_names_them():
    few = [1, 1, 100]
    verdict = expectation_suites.check_parts(
        "snapshot", {"raw": snapshot(votes=few), "defended": snapshot(model=first("m2"))}
    )
    assert not verdict.success
    assert verdict.critical_failures == ("defended model: expect_column_values_to_be_unique",)
    assert verdict.warnings == ("raw votes: expect_column_values_to_be_between",)
    assert [row["part"] for row in verdict.results if not row["success"]] == ["raw", "defended"]
    assert expectation_suites.check_parts("snapshot", {"": snapshot(votes=few)}).warnings == (
        "votes: expect_column_values_to_be_between",
    )


def test_an_unknown_suite_is_a_usage_error_that_lists_the_suites():
    with pytest.raises(Usage, match="registry, snapshot, votes, got 'vote'"):
        expectation_suites.check("vote", votes())


@pytest.mark.parametrize("suite", GOOD)
def test_every_expectation_is_one_line_with_a_reason_and_a_severity(suite):
    text = (expectation_suites._folder() / f"{suite}.json").read_text(encoding="utf-8")
    expectations = json.loads(text)["expectations"]
    assert all(each["meta"]["notes"] for each in expectations)
    assert {each["severity"] for each in expectations} <= {"critical", "warning", "info"}
    assert len(text.splitlines()) == len(expectations) + 5


@pytest.mark.long
def test_a_check_says_nothing_and_importing_the_module_does_not_import_the_library():
    script = (
        "import sys; from pipeline import expectation_suites; import pandas as pd;"
        "assert 'great_expectations' not in sys.modules;"
        "rows = {'event_id': ['e'], 'at': [pd.NaT], 'type': ['x'], 'model': ['m']};"
        "expectation_suites.check('registry', pd.DataFrame(rows))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert (done.stdout, done.stderr) == ("", "")
