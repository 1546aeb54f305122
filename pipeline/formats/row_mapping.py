"""Maps one record of a battle file to the fields of a vote event, as its format declares.

A mapping changes only names and spellings. A value that is not a valid outcome, name or time is passed on unchanged,
and the decoder rejects it with its row.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from pipeline.formats.battle_format import (
    BattleFormat,
    Fields,
    Flag,
    NamedWinner,
    OneHotOutcome,
    OutcomeRule,
    Record,
    ValueSource,
)
from pipeline.formats.cell_values import (
    MAX_TEXT,
    count_value,
    is_absent,
    label_values,
    outcome_word,
    spelled_outcome,
    structured,
    text_value,
    truth_value,
    turn_value,
    value_at,
)
from pipeline.formats.time_parsing import to_rfc3339
from pipeline.vocabulary.voter_identity import find_voter

SKIPPED: Fields = {}
"""The result of mapping a record that is not a vote."""

WITHOUT_OUTCOME = "without_outcome"
"""Key of a mapped record. Its value is true if the record has no outcome and so is left out of a rating."""


def row_mapper(form: BattleFormat, outcomes: Mapping[str, str]) -> Callable[[Record], Fields]:
    """Return a function that maps records of a format to the fields of their votes.

    Args:
        form: the format.
        outcomes: outcome in the file, as `outcome_word` writes it → our outcome.

    Returns:
        A function that maps a record to the fields of its vote, in which an absent field is missing or None. It returns
            SKIPPED for a record that is not a vote. The key WITHOUT_OUTCOME is true in the fields of a record that has
            no outcome, if the format permits this.
    """
    read_outcome = outcome_reader(form.outcome, outcomes)

    def read(record: Record) -> Fields:
        if form.map_record is not None:
            mapped = form.map_record(record)
            if mapped is None:
                return SKIPPED
            return mapped | {"voter_id": find_voter(mapped.get("voter_id"))}
        fields: Fields = {field: text_value(value_at(record, source)) for field, source in form.texts.items()}
        fields |= {field: to_rfc3339(value_at(record, s), s.column) for field, s in form.times.items()}
        fields["model_a"], fields["model_b"] = (
            _name(value_at(record, source)) for source in (form.model_a, form.model_b)
        )
        fields["winner"] = read_outcome(record, fields["model_a"], fields["model_b"])
        if form.without_outcome and fields["winner"] is None:
            fields[WITHOUT_OUTCOME] = True
        fields |= {field: flag_value(record, flag) for field, flag in form.flags.items()}
        for side, features in form.style.items():
            fields[f"style_{side}"] = _style(record, features)
        if form.turn is not None:
            fields["turn"] = turn_value(value_at(record, form.turn))
        fields["categories"] = _categories(record, form)
        fields["voter_id"] = find_voter(fields.get("voter_id"))
        return fields

    return read


def outcome_reader(rule: OutcomeRule, outcomes: Mapping[str, str]) -> Callable[[Record, Any, Any], Any]:
    """Return a function that reads the outcome of a record, given the record and the names of its two models.

    The function returns our outcome, or None if the value is absent. For a value that is not a known outcome, it
    returns a text that the decoder rejects.

    Args:
        rule: how the format states outcomes.
        outcomes: outcome in the file, as `outcome_word` writes it → our outcome.
    """

    def spelled(value: Any) -> Any:
        word = outcome_word(value)
        return None if word is None else spelled_outcome(word, outcomes)

    def one_hot(record: Record, _a: Any, _b: Any) -> Any:
        assert isinstance(rule, OneHotOutcome)  # noqa: S101  # chosen below
        given = {outcome: truth_value(record.get(column)) for outcome, column in rule.columns.items()}
        chosen = [outcome for outcome, value in given.items() if value]
        if len(chosen) == 1 and None not in given.values():
            return chosen[0]
        cells = {column: record.get(column) for column in rule.columns.values()}
        if all(is_absent(cell) for cell in cells.values()):
            return None
        return ", ".join(f"{column}={text_value(cell) or ''}" for column, cell in cells.items())[:MAX_TEXT]

    def named(record: Record, model_a: Any, model_b: Any) -> Any:
        assert isinstance(rule, NamedWinner)  # noqa: S101  # chosen below
        value = record.get(rule.column)
        if is_absent(value):
            return "tie" if rule.tie and truth_value(record.get(rule.tie)) else None
        name = text_value(value)
        return "model_a" if name == model_a else "model_b" if name == model_b else spelled(value)

    if isinstance(rule, OneHotOutcome):
        return one_hot
    if isinstance(rule, NamedWinner):
        return named
    column = rule.column
    return lambda record, _a, _b: spelled(record.get(column))


def flag_value(record: Record, flag: Flag) -> bool | None:
    """Return a flag of a record, true or false; None if the record does not state it."""
    value = truth_value(value_at(record, flag.source))
    return value if not value or flag.unless is None else not truth_value(value_at(record, flag.unless))


def _categories(record: Record, form: BattleFormat) -> list[str] | None:
    """Return the categories of a record in order, None if it has none."""
    labels = {label for source in form.labels for label in label_values(value_at(record, source))}
    labels |= {label for label, source in form.true_labels.items() if truth_value(value_at(record, source))}
    named = ((name, text_value(value_at(record, source))) for name, source in form.named_labels.items())
    labels |= {f"{name}:{text}" for name, text in named if text is not None}
    return sorted(labels) or None


def _name(value: Any) -> Any:
    """Return the name of a model as text, None if it is absent.

    A text of spaces is no name. A number becomes text. Any other value is returned unchanged, and the decoder rejects
    it.
    """
    if isinstance(value, str) and not value.strip():
        return None
    return text_value(value) if is_absent(value) or isinstance(value, str | int | float | Decimal) else value


def _style(record: Record, features: Mapping[str, ValueSource]) -> Any:
    """Return feature → style count of an answer; None without counts.

    If the value in the record should be a map and is not, it is returned unchanged, and the decoder rejects it.
    """
    column = next(iter(features.values())).column
    whole = structured(record.get(column))
    if any(source.keys for source in features.values()) and not (is_absent(whole) or isinstance(whole, Mapping)):
        return whole
    counts = {feature: count_value(value_at(record, source)) for feature, source in features.items()}
    given = {feature: count for feature, count in counts.items() if count is not None}
    return given or None
