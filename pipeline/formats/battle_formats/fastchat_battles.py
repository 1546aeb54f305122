"""Declares the format of FastChat battles, as the arena's code writes them.

`anony` is false for a vote that was cast while the names of the models were visible; the arena's board leaves such
votes out. `judge` is the network address of the client.
"""

from pipeline.formats.battle_format import BattleFormat, Flag, SpelledOutcome, at, has

_has = has("model_a", "model_b", "winner", "judge", "tstamp")
# Names that other tables give to an id, a voter or a time; such a table is read by its own names.
_OTHERS = frozenset(
    {"id", "vote_id", "battle_id", "voter", "voter_id", "user_id", "visitor_id", "cast_at", "timestamp"}
)

FORMAT = BattleFormat(
    name="FastChat battles",
    matches=lambda columns: _has(columns) and columns.isdisjoint(_OTHERS),
    model_a=at("model_a"),
    model_b=at("model_b"),
    outcome=SpelledOutcome("winner"),
    texts={"vote_id": at("question_id"), "voter_id": at("judge"), "language": at("language")},
    times={"cast_at": at("tstamp")},
    turn=at("turn"),
    flags={"anonymous": Flag(at("anony"))},
)
