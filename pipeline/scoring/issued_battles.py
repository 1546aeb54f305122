"""Counts the battles that an operator shows (`battle.issued`) into five-minute windows.

Where an operator publishes these battles, sampling tests count them instead of votes, since a policy is about battles.
"""

import hashlib
from collections.abc import Sequence

from pipeline.events.battle_issued import BattleIssued
from pipeline.scoring.window import IssuedBattles
from pipeline.scoring.window_counter import WINDOW_WIDTH
from pipeline.vocabulary.time import to_microseconds


def battle_key(battle_id: str) -> int:
    """Return 64 bits of SHA-256(battle_id), as a signed integer.

    Of each battle, one of the two models is counted: model a if the lowest bit of the key is 0, else model b.
    """
    return int.from_bytes(hashlib.sha256(battle_id.encode()).digest()[-8:], "big", signed=True)


def by_window(battles: Sequence[BattleIssued]) -> dict[int, list[tuple[int, str, str]]]:
    """Group battles by window.

    Returns:
        Start of a window in microseconds since 1970 UTC → (key, model a, model b) of each battle in it.
    """
    found: dict[int, list[tuple[int, str, str]]] = {}
    for one in battles:
        at = to_microseconds(one.at)
        found.setdefault(at - at % WINDOW_WIDTH, []).append((battle_key(one.battle_id), one.model_a, one.model_b))
    return found


def add_battles(
    counts: IssuedBattles, known: set[int], battles: Sequence[tuple[int, str, str]]
) -> tuple[IssuedBattles, set[int]]:
    """Add the battles of a window that are not counted yet.

    Args:
        counts: counts of the battles that were added before; not changed.
        known: keys of the battles in `counts`; not changed.
        battles: (key, model a, model b) of each battle to add. A battle with a known key is ignored.

    Returns:
        Two values: the new counts; and the keys of all counted battles.
    """
    appearances, chosen, keys = dict(counts.appearances), dict(counts.chosen), set(known)
    for key, model_a, model_b in battles:
        if key in keys:
            continue
        keys.add(key)
        for name in (model_a, model_b):
            appearances[name] = appearances.get(name, 0) + 1
        side = (model_a, model_b)[key & 1]
        chosen[side] = chosen.get(side, 0) + 1
    return IssuedBattles(counts.battles + len(keys) - len(known), appearances, chosen), keys
