"""Declares the format of arena-expert-5k: votes of experts, labelled with their occupation.

The set has no voters and no times.
"""

from pipeline.formats.battle_format import BattleFormat, SpelledOutcome, at, has

FORMAT = BattleFormat(
    name="arena-expert-5k",
    matches=has("model_a", "model_b", "winner", "occupational_tags"),
    model_a=at("model_a"),
    model_b=at("model_b"),
    outcome=SpelledOutcome("winner"),
    texts={"vote_id": at("id"), "language": at("language")},
    turn=at("evaluation_order"),
    labels=(at("occupational_tags"),),
)
