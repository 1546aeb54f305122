"""Maps FastChat's raw log: one JSON object for each action of a user; four types of action are votes.

A record has the names that the user saw, and a state for each model, which contains the model's true name. If the user
saw only "", "Model A" or "Model B", the vote is anonymous. If the user saw other names, they must be the true names. A
person may vote once for each turn of a conversation. So a vote is identified by two values: the name of the first
model's conversation, and the turn.
"""

import re
from collections.abc import Mapping
from typing import Any

from pipeline.formats.battle_format import CONVERSATION, BattleFormat, Fields, Record, SpelledOutcome, at, has
from pipeline.formats.cell_values import is_absent, structured, text_value, turn_value
from pipeline.formats.time_parsing import to_rfc3339

_OUTCOMES = {"leftvote": "model_a", "rightvote": "model_b", "tievote": "tie", "bothbad_vote": "both_bad"}
# The page shows a name as "<h3>Model A: NAME</h3>" or "### Model A: NAME".
_SHOWN = re.compile(r"^(?:<h3>|###)?\s*(?:Model [AB]\s*:)?\s*(.*?)\s*(?:</h3>)?$", re.DOTALL)
_HIDDEN = frozenset({"", "Model A", "Model B"})


def map_record(record: Record) -> Fields | None:
    """Return the fields of a vote, given the record of a user's action; None if the action is not a vote.

    If the user saw names other than the true names of the models, the field `winner` is a text that the decoder
    rejects.
    """
    winner = _OUTCOMES.get(str(record.get("type")))
    if winner is None:
        return None
    states = structured(record.get("states"))
    first, second = states if isinstance(states, list) and len(states) == 2 else (None, None)
    shown = [_shown_name(name) for name in _listed(structured(record.get("models")))]
    hidden = [_name(first), _name(second)]
    anonymous = not any(shown) if shown else None
    fields: Fields = {
        CONVERSATION: _turn_of_conversation(first),
        "cast_at": to_rfc3339(record.get("tstamp"), "tstamp"),
        "model_a": hidden[0],
        "model_b": hidden[1],
        "winner": winner,
        "voter_id": f"arena_user_{record['ip']}" if record.get("ip") else None,
        "anonymous": anonymous,
        "turn": turn_value(_turn(first)),
        "session": _conversation(first),
    }
    if any(shown) and shown != hidden:
        fields["winner"] = f"the names shown are {shown}, those of the states {hidden}"
    return fields


def _listed(names: Any) -> list[Any]:
    """Return the shown names as a list: one name for a value that is not a list, none for an absent value."""
    return names if isinstance(names, list) else [] if is_absent(names) else [names]


def _shown_name(text: Any) -> str:
    match = _SHOWN.match(str(text))
    name = match[1] if match else str(text)
    return "" if name in _HIDDEN else name


def _name(state: Any) -> Any:
    return state.get("model_name") if isinstance(state, Mapping) else None


def _conversation(state: Any) -> str | None:
    """Return the name of the conversation in a model's state; None without one."""
    return text_value(state.get("conv_id")) if isinstance(state, Mapping) else None


def _turn_of_conversation(state: Any) -> str | None:
    conversation = state.get("conv_id") if isinstance(state, Mapping) else None
    return None if not conversation else f"{conversation}#{_turn(state) or 0}"


def _turn(state: Any) -> int | None:
    """Return the number of questions answered so far in a conversation; None if the state has no messages."""
    if not isinstance(state, Mapping) or not isinstance(state.get("messages"), list):
        return None
    offset = state.get("offset")
    return (len(state["messages"]) - (offset if isinstance(offset, int) else 0)) // 2


FORMAT = BattleFormat(
    name="FastChat log",
    matches=has("type", "models", "states"),
    model_a=at("states"),
    model_b=at("states"),
    outcome=SpelledOutcome("type"),
    texts={"voter_id": at("ip")},
    times={"cast_at": at("tstamp")},
    also_read=frozenset({"models"}),
    map_record=map_record,
)
