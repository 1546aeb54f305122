"""Files of votes with and without an attack, for tests of the report. The votes are those of an independent stream."""

import json
from pathlib import Path

from tests.streams.attacks import Attack, make_attack
from tests.streams.independent import BoardSpec, make_board, records

SPEC = BoardSpec(days=14, votes_a_day=400.0, models=12, seed=5)

ATTACKS = {
    "voters": Attack("promote", 1, 150, focus=0.6, first_day=8.0),
    "groups": Attack("promote", 120, 8, focus=0.7, first_day=8.0, days=3.0, networks=40, first_network=10),
    "share_bursts": Attack("promote", 120, 3, abstain=True, first_day=8.0, days=0.04, networks=40, first_network=10),
    "fast_voters": Attack("random", 1, 300, first_day=8.0, days=0.012),
}
"""Section of the report → an attack that it finds."""


def write_votes(path: Path, attack: Attack | None = None) -> Path:
    """Write the votes of a board, with an attack among them, as our own events."""
    board = make_board(SPEC)
    votes = board.votes if attack is None else board.votes.merge(make_attack(board, attack))
    path.write_text("".join(json.dumps(row) + "\n" for row in records(votes)))
    return path
