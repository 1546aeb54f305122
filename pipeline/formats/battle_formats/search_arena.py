"""Declares the format of search-arena-24k.

The user's intent is read as the category, and the first language as the language.
"""

from pipeline.formats.battle_format import BattleFormat, SpelledOutcome, at, has

FORMAT = BattleFormat(
    name="search-arena-24k",
    matches=has("model_a", "model_b", "winner", "primary_intent"),
    model_a=at("model_a"),
    model_b=at("model_b"),
    outcome=SpelledOutcome("winner"),
    texts={"voter_id": at("judge"), "language": at("languages", "0"), "category": at("primary_intent")},
    turn=at("turn"),
    times={"cast_at": at("timestamp")},
)
