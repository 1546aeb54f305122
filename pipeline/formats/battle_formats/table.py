"""Any other table: the fields of a vote by the usual names of columns, or by the names that the user gives."""

from collections.abc import Callable, Mapping

from pipeline.events.vote import Style
from pipeline.formats.battle_format import BattleFormat, Flag, OutcomeRule, SpelledOutcome, ValueSource, at

SYNONYMS: dict[str, tuple[str, ...]] = {
    "vote_id": ("vote_id", "id", "question_id", "battle_id"),
    "cast_at": ("cast_at", "created_at", "timestamp", "tstamp", "time", "date"),
    "model_a": ("model_a", "model_a_name", "left_model"),
    "model_b": ("model_b", "model_b_name", "right_model"),
    "winner": ("winner", "outcome"),
    "voter_id": ("voter_id", "voter", "judge", "user_id", "visitor_id", "worker"),
    "language": ("language", "lang"),
    "category": ("category",),
    "prompt_hash": ("prompt_hash",),
    "network": ("network",),
    "voter_since": ("voter_since",),
    "anonymous": ("anonymous", "anony"),
    "refusal": ("refusal", "is_refusal"),
    "code": ("is_code",),
    "deduplicated": ("deduplicated",),
}
"""Names of our fields in public tables, most common first. A header is used for one field only."""

_TEXTS = ("vote_id", "voter_id", "language", "category", "network", "prompt_hash")
_TIMES = ("cast_at", "voter_since")
_FLAGS = ("anonymous", "refusal", "code", "deduplicated")


def table_format(
    columns: frozenset[str], chosen: Mapping[str, str], rule: Callable[[str], OutcomeRule] = SpelledOutcome
) -> BattleFormat:
    """Return the format of a table with these columns.

    Args:
        columns: the columns of the table.
        chosen: our field → its column, instead of SYNONYMS; "" leaves a field out.
        rule: how the column of the outcome is read.
    """
    by_field = {
        field: chosen.get(field, next((name for name in names if name in columns), ""))
        for field, names in SYNONYMS.items()
    }
    found = {field: at(column) for field, column in by_field.items() if column}
    nowhere = at("")
    return BattleFormat(
        name="table",
        matches=lambda _: True,
        model_a=found.get("model_a", nowhere),
        model_b=found.get("model_b", nowhere),
        outcome=rule(by_field["winner"]),
        texts={field: found[field] for field in _TEXTS if field in found},
        times={field: found[field] for field in _TIMES if field in found},
        flags={field: Flag(found[field]) for field in _FLAGS if field in found},
        style={side: style for side in ("a", "b") if (style := _style(columns, side))},
        labels=(at("categories"),) if "categories" in columns else (),
        without_outcome=True,
    )


def _style(columns: frozenset[str], side: str) -> dict[str, ValueSource]:
    """Return the sources of a side's style: a column style_a with all counts, or one column a count."""
    features = Style.__struct_fields__
    if f"style_{side}" in columns:
        return {feature: at(f"style_{side}", feature) for feature in features}
    return {feature: at(f"{feature}_{side}") for feature in features if f"{feature}_{side}" in columns}
