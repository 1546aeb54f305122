"""Declares the format of compar:IA votes.

The winner is the name of a model. Without a winner, a true `both_equal` means a tie.
"""

from pipeline.formats.battle_format import BattleFormat, NamedWinner, at, has

FORMAT = BattleFormat(
    name="compar:IA votes",
    matches=has("model_a_name", "model_b_name", "chosen_model_name", "both_equal"),
    model_a=at("model_a_name"),
    model_b=at("model_b_name"),
    outcome=NamedWinner("chosen_model_name", tie="both_equal"),
    texts={
        "vote_id": at("id"),
        "voter_id": at("visitor_id"),
        "session": at("session_hash"),
        "category": at("selected_category"),
    },
    times={"cast_at": at("timestamp")},
    turn=at("conv_turns"),
    named_labels={"country": at("country_portal")},
)
