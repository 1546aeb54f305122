"""Builds the format of a table that no other module declares, from the usual names of columns.

The module also replaces columns of a format by columns that the user names.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from pipeline.events.vote import Style
from pipeline.formats.battle_format import (
    FLAGS,
    BattleFormat,
    Flag,
    NamedWinner,
    OneHotOutcome,
    OutcomeRule,
    SpelledOutcome,
    ValueSource,
    at,
)
from pipeline.formats.battle_formats.conversation_style import CONV_METADATA, DEDUPLICATED
from pipeline.vocabulary.outcomes import OUTCOMES, Outcome

SYNONYMS: dict[str, tuple[str, ...]] = {
    "vote_id": ("vote_id", "id", "question_id", "battle_id"),
    "cast_at": ("cast_at", "created_at", "timestamp", "tstamp", "time", "date"),
    "model_a": ("model_a", "model_a_name", "left_model"),
    "model_b": ("model_b", "model_b_name", "right_model"),
    "winner": ("winner", "outcome"),
    "voter_id": ("voter_id", "voter", "judge", "user_id", "visitor_id", "worker", "judge_hash"),
    "language": ("language", "lang"),
    "category": ("category", "primary_intent", "selected_category"),
    "prompt_hash": ("prompt_hash",),
    "network": ("network",),
    "voter_since": ("voter_since",),
    "anonymous": ("anonymous", "anony"),
    "refusal": ("refusal", "is_refusal"),
    "code": ("is_code",),
    "deduplicated": ("deduplicated",),
    "identity_leak": ("identity_leak",),
    "turn": ("turn", "evaluation_order", "conv_turns"),
    "session": ("session", "session_id", "session_hash", "evaluation_session_id"),
    "categories": ("categories",),
    "winner_model_a": ("winner_model_a",),
    "winner_model_b": ("winner_model_b",),
    "winner_tie": ("winner_tie",),
    "winner_both_bad": ("winner_both_bad", "winner_tie_bothbad"),
}
"""Our field → its names in public tables, most common first. Each of the last four fields is true for one outcome."""

TABLE = "table"
"""Name of the format of a table whose columns have the usual names."""

_TEXTS = ("vote_id", "voter_id", "session", "language", "category", "network", "prompt_hash")
_LABELS = ("categories", "category_tag", "occupational_tags")
PUBLISHED = frozenset({"category_tag", "occupational_tags", "conv_metadata", "dedup_tag", "languages"})
"""Columns of the published sets whose values are maps or lists. A table with one of these columns counts as a published
set, even if it lacks another column of the set."""

_TIMES = ("cast_at", "voter_since")
_ONE_HOT: Mapping[str, Outcome] = {f"winner_{outcome}": outcome for outcome in OUTCOMES}
_NOWHERE = at("")
_Place = TypeVar("_Place", ValueSource, Flag)


def table_format(columns: frozenset[str]) -> BattleFormat:
    """Return the format of a table with these columns. SYNONYMS lists the usual names of each field.

    If the table has no column for a model or for the outcome, the format names the column "" for this field.
    """
    found = {
        field: at(next(name for name in names if name in columns))
        for field, names in SYNONYMS.items()
        if not columns.isdisjoint(names)
    }
    if "language" not in found and "languages" in columns:
        found["language"] = at("languages", "0")
    flags = {field: Flag(found[field]) for field in FLAGS if field in found}
    if "deduplicated" not in flags and "dedup_tag" in columns:
        flags["deduplicated"] = DEDUPLICATED
    return BattleFormat(
        name=TABLE,
        matches=lambda _: True,
        model_a=found.get("model_a", _NOWHERE),
        model_b=found.get("model_b", _NOWHERE),
        outcome=_outcome({field: source.column for field, source in found.items()}),
        texts={field: found[field] for field in _TEXTS if field in found},
        times={field: found[field] for field in _TIMES if field in found},
        flags=flags,
        style={side: style for side in ("a", "b") if (style := _style(columns, side))},
        turn=found.get("turn"),
        labels=tuple(at(name) for name in _LABELS if name in columns),
        true_labels={"code": found["code"]} if "code" in found and columns & PUBLISHED else {},
        without_outcome=True,
    )


def with_columns(form: BattleFormat, chosen: Mapping[str, str], *, winner_is_name: bool) -> BattleFormat:
    """Return a copy of a format in which the user's columns replace the declared ones.

    A column that the user names is read for the field that the user gives it, and for no other.

    Args:
        form: the format.
        chosen: our field → its column; "" if the field must not be read.
        winner_is_name: whether the column of the outcome contains the name of the winning model.
    """
    named = {field: at(column) for field, column in chosen.items() if column}
    taken = {source.column for source in named.values()}

    def kept(places: Mapping[str, _Place]) -> dict[str, _Place]:
        return {
            field: place
            for field, place in places.items()
            if field not in chosen and (place.source if isinstance(place, Flag) else place).column not in taken
        }

    labels = (named["categories"],) if "categories" in named else () if "categories" in chosen else form.labels
    return replace(
        form,
        model_a=named.get("model_a", form.model_a),
        model_b=named.get("model_b", form.model_b),
        outcome=_named_winner(_outcome(chosen, form.outcome), winner_is_name),
        texts=kept(form.texts) | {field: named[field] for field in _TEXTS if field in named},
        times=kept(form.times) | {field: named[field] for field in _TIMES if field in named},
        flags=kept(form.flags) | {field: Flag(named[field]) for field in FLAGS if field in named},
        turn=named.get("turn", None if "turn" in chosen else form.turn),
        labels=labels,
    )


def _outcome(columns: Mapping[str, str], otherwise: OutcomeRule | None = None) -> OutcomeRule:
    """Return the rule that reads the outcome: from one column, or else from one column for each outcome.

    Args:
        columns: our field → its column.
        otherwise: the rule if `columns` has no column of outcomes; None for a rule that reads a column named "".
    """
    if columns.get("winner"):
        return SpelledOutcome(columns["winner"])
    one_hot = {outcome: columns[field] for field, outcome in _ONE_HOT.items() if columns.get(field)}
    if {"model_a", "model_b"} <= one_hot.keys():
        return OneHotOutcome(one_hot)
    return otherwise or SpelledOutcome("")


def _named_winner(rule: OutcomeRule, is_name: bool) -> OutcomeRule:
    return NamedWinner(rule.column) if is_name and isinstance(rule, SpelledOutcome) else rule


def _style(columns: frozenset[str], side: str) -> Mapping[str, ValueSource]:
    """Return feature → source of the style counts of one side.

    The counts are in the column style_a or style_b if the table has it, otherwise in `conv_metadata`, and otherwise in
    one column for each feature.
    """
    features = Style.__struct_fields__
    if f"style_{side}" in columns:
        return {feature: at(f"style_{side}", feature) for feature in features}
    if "conv_metadata" in columns:
        return CONV_METADATA[side]
    return {feature: at(f"{feature}_{side}") for feature in features if f"{feature}_{side}" in columns}
