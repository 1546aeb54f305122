"""Defines the event `battle.issued`: the operator showed a battle, whether or not anybody votes on it."""

from typing import Annotated

import msgspec

from pipeline.events.vote import SCHEMA, Name, Time

TYPE = "battle.issued"


class BattleIssued(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="type", tag=TYPE):
    """A battle that was shown. The field `category` is accepted, but not used.

    Attributes:
        battle_id: unique name of the battle. If events with the same id fall in one window, the battle counts once.
        at: when the battle was shown, with an offset from UTC.
        model_a, model_b: the two models.
        schema: major version of the event's format, SCHEMA.
    """

    battle_id: Name
    at: Time
    model_a: Name
    model_b: Name
    category: Name | None = None
    schema: Annotated[int, msgspec.Meta(ge=1)] = SCHEMA


BATTLE_FIELDS = frozenset({"type", *BattleIssued.__struct_fields__})
"""The fields of the event, which must not occur twice in a record."""

_decoder = msgspec.json.Decoder(BattleIssued)


def decode_battle(raw: bytes) -> BattleIssued:
    """Decode one event `battle.issued` from JSON bytes.

    Raises:
        msgspec.ValidationError: a field is wrong, or the schema has another major version. The message names the field.
        msgspec.DecodeError: the bytes are not JSON.
    """
    event = _decoder.decode(raw)
    if event.schema != SCHEMA:
        raise msgspec.ValidationError(f"expected schema {SCHEMA}, got {event.schema}")
    return event
