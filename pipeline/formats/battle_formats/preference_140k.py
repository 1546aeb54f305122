"""Declares the format of arena-human-preference-140k: votes with style counts and categories.

An evaluation session belongs to one person, so its id is read as the voter's id.
"""

from pipeline.formats.battle_format import BattleFormat, Flag, SpelledOutcome, at, has
from pipeline.formats.battle_formats.conversation_style import CATEGORY_TAGS, CONV_METADATA

FORMAT = BattleFormat(
    name="arena-human-preference-140k",
    matches=has("model_a", "model_b", "winner", "evaluation_session_id"),
    model_a=at("model_a"),
    model_b=at("model_b"),
    outcome=SpelledOutcome("winner"),
    texts={
        "vote_id": at("id"),
        "voter_id": at("evaluation_session_id"),
        "session": at("evaluation_session_id"),
        "language": at("language"),
    },
    times={"cast_at": at("timestamp")},
    flags={"code": Flag(at("is_code"))},
    style=CONV_METADATA,
    turn=at("evaluation_order"),
    labels=CATEGORY_TAGS,
    true_labels={"code": at("is_code")},
)
