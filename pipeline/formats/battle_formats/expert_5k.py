"""arena-expert-5k: votes of experts, with tags of their occupation; no voter and no time."""

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
