"""Declares the format of MT-bench human judgments.

No column has the id of a vote. The column `question_id` identifies a question, and several votes are about one
question.
"""

from pipeline.formats.battle_format import BattleFormat, SpelledOutcome, at, has

_OTHERS = frozenset({"anony", "tstamp", "timestamp", "primary_intent"})
_has = has("question_id", "model_a", "model_b", "winner", "judge", "turn")

FORMAT = BattleFormat(
    name="MT-bench human judgments",
    matches=lambda columns: _has(columns) and columns.isdisjoint(_OTHERS),
    model_a=at("model_a"),
    model_b=at("model_b"),
    outcome=SpelledOutcome("winner"),
    turn=at("turn"),
    texts={"voter_id": at("judge")},
)
