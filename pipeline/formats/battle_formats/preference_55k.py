"""Declares the format of arena-human-preference-55k: one column for each outcome.

The set has no voters and no times.
"""

from pipeline.formats.battle_format import BattleFormat, OneHotOutcome, at, has

FORMAT = BattleFormat(
    name="arena-human-preference-55k",
    matches=has("model_a", "model_b", "winner_model_a", "winner_model_b", "winner_tie"),
    model_a=at("model_a"),
    model_b=at("model_b"),
    outcome=OneHotOutcome({"model_a": "winner_model_a", "model_b": "winner_model_b", "tie": "winner_tie"}),
    texts={"vote_id": at("id")},
)
