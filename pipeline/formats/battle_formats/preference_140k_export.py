"""Declares the format arena-human-preference-140k as this project writes it, with a column for every field of a vote.

The columns that the published set lacks have the names of our fields. `categories` has all labels of a vote;
`category_tag` has only labels that the published set uses.
"""

from pipeline.formats.battle_format import BattleFormat, Flag, SpelledOutcome, at, has
from pipeline.formats.battle_formats.conversation_style import CONV_METADATA

FORMAT = BattleFormat(
    name="arena-human-preference-140k with vote fields",
    matches=has("model_a", "model_b", "winner", "evaluation_session_id", "categories", "identity_leak"),
    model_a=at("model_a"),
    model_b=at("model_b"),
    outcome=SpelledOutcome("winner"),
    texts={
        "vote_id": at("id"),
        "voter_id": at("evaluation_session_id"),
        "session": at("session"),
        "language": at("language"),
        "category": at("category"),
        "network": at("network"),
        "prompt_hash": at("prompt_hash"),
    },
    times={"cast_at": at("timestamp"), "voter_since": at("voter_since")},
    flags={
        "anonymous": Flag(at("anonymous")),
        "refusal": Flag(at("refusal")),
        "code": Flag(at("is_code")),
        "deduplicated": Flag(at("deduplicated")),
        "identity_leak": Flag(at("identity_leak")),
    },
    style={
        side: {**features, "emoji": at("conv_metadata", f"emoji_count_{side}")}
        for side, features in CONV_METADATA.items()
    },
    turn=at("evaluation_order"),
    labels=(at("categories"),),
    also_read=frozenset({"category_tag"}),  # says the same as `categories`
)
