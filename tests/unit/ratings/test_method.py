"""A method leaves out the votes that its rules name, each under the first rule, and no other vote."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from pipeline.ratings.battle_columns import BattleColumns
from pipeline.ratings.method import ALL_VOTES, RULES, SENTENCES, Method, apply_method


def battles(**flags: list[int]) -> BattleColumns:
    """As many votes as each flag has values."""
    n = len(next(iter(flags.values())))
    none = np.full((n, 5), -1)
    return BattleColumns(
        ("ant", "bee"), np.zeros(n, np.int32), np.ones(n, np.int32), np.zeros(n, np.int32), (), np.full(n, -1),
        MappingProxyType({}), (none, none), {name: np.array(values, np.int8) for name, values in flags.items()},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "flag", "out"),
    [("not_anonymous", "anonymous", 0), ("refusal", "refusal", 1), ("deduplicated", "deduplicated", 1)],
)
def test_each_rule_leaves_out_one_value_of_its_flag(rule: str, flag: str, out: int) -> None:
    values = [-1, 0, 1, 1, 0, 0, -1]
    kept, left_out = apply_method(battles(**{flag: values}), Method("one", (rule,)))
    assert left_out == {rule: values.count(out)}
    assert kept.flags[flag].tolist() == [value for value in values if value != out]
    assert SENTENCES[rule]


def test_a_vote_of_several_rules_counts_under_the_first() -> None:
    given = battles(anonymous=[0, 0, 1, 1], refusal=[1, 0, 1, 0])
    kept, left_out = apply_method(given, Method("both", tuple(RULES)))
    assert left_out == {"not_anonymous": 2, "refusal": 1}
    assert len(kept) == 1


def test_no_rule_leaves_out_nothing() -> None:
    given = battles(anonymous=[0, 1], refusal=[1, 0])
    assert apply_method(given, ALL_VOTES) == (given, {})
