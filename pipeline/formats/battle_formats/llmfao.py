"""Declares the format of llmfao: comparisons of answers by crowd workers.

No column has the id of a vote. The column `id` identifies a pair of answers, and several votes may be about one pair.
"""

from pipeline.formats.battle_format import BattleFormat, SpelledOutcome, at, has

FORMAT = BattleFormat(
    name="llmfao comparisons",
    matches=has("left", "right", "winner", "worker", "model_x", "model_y"),
    model_a=at("left"),
    model_b=at("right"),
    outcome=SpelledOutcome("winner"),
    spellings={"left": "model_a", "right": "model_b"},
    texts={"voter_id": at("worker")},
)
