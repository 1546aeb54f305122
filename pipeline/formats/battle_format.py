"""Declares battle formats: which columns of a file have the fields of a vote.

A declaration is data. `row_mapping` applies it to one record, `column_mapping` to a table; both give the same votes. A
source is the place of a value: a column, or a place inside the column's value.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.vocabulary.outcomes import Outcome

FLAGS = ("anonymous", "refusal", "code", "deduplicated", "identity_leak")
"""The flags that a vote may state. `anonymous`: the voter did not see the names of the models. `refusal`: a model
refused to answer. `code`: the conversation is about code. `deduplicated`: the publisher's deduplication of frequent
prompts left the vote out. `identity_leak`: the conversation reveals which model answers. All of them are fields of a
vote event, except `code`, which only ratings use."""

CONVERSATION = "\0conversation"
"""Key of a mapped record, for the text by which a log identifies a vote: the name of a conversation, and a turn.
`vote_ids` derives the id of the vote from this text. The text itself is in no event."""

CODE = "code"
"""The flag that is true for a conversation about code. Unlike the other flags, it is not a field of a vote event."""

Record = Mapping[str, Any]
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ValueSource:
    """The place of a value: a column, then keys inside the column's value.

    Attributes:
        column: the name of the column.
        keys: the path inside the column's value: keys of maps and positions in lists. Empty if the value is the
            column's value itself.
    """

    column: str
    keys: tuple[str, ...] = ()


def at(column: str, *keys: str) -> ValueSource:
    """Return the place of a value in a record.

    Args:
        column: name of the column.
        keys: path inside the column's value: keys of maps and positions in lists. Without keys, the place is the
            column's whole value.
    """
    return ValueSource(column, keys)


@dataclass(frozen=True, slots=True)
class SpelledOutcome:
    """A rule for reading outcomes: the outcome is a word or a number in one column."""

    column: str


@dataclass(frozen=True, slots=True)
class OneHotOutcome:
    """A rule for reading outcomes: each outcome has a column of its own, and exactly one of these columns is true.

    Attributes:
        columns: outcome → its column.
    """

    columns: Mapping[Outcome, str]


@dataclass(frozen=True, slots=True)
class NamedWinner:
    """A rule for reading outcomes: one column has the name of the winning model.

    Attributes:
        column: column of the winner's name. A text that is neither of the two names is read as a word for an outcome.
        tie: a column that is true for a tie, which has no winner; "" if the format has none.
    """

    column: str
    tie: str = ""


OutcomeRule = SpelledOutcome | OneHotOutcome | NamedWinner


@dataclass(frozen=True, slots=True)
class Flag:
    """The places in a record that state a property of the vote, which is true or false.

    Attributes:
        source: place of the value.
        unless: place of a value that, if true, makes the flag false whatever `source` says; None if there is none.
    """

    source: ValueSource
    unless: ValueSource | None = None


@dataclass(frozen=True, slots=True)
class BattleFormat:
    """A format of battle files: how to recognise a file, and where a record has the fields of its vote.

    Attributes:
        name: name of the format for people.
        matches: returns whether a file has this format, given the names of its columns.
        model_a, model_b: places of the models' names.
        outcome: how the outcome is read.
        spellings: word for an outcome → our outcome, for words that only this format uses.
        texts: our text field (vote_id, voter_id, session, language, category, network, prompt_hash) → its source.
        times: our time field (cast_at, voter_since) → its source.
        flags: our flag (one of FLAGS) → its source.
        style: side → our style feature → its source. If the value is a map of counts, their sum is used.
        turn: source of the number of the turn, in the conversation or session, after which the vote was cast; None if
            the format has none.
        labels: sources of the vote's categories. Each value is a list of labels, or a map of label → true or false.
        true_labels: category → source of a value that is true if the vote is in this category.
        named_labels: NAME → source of a text TEXT; the vote is in the category "NAME:TEXT".
        without_outcome: whether a record may lack an outcome. Such a record is not a vote; it is left out and counted.
        also_read: columns that `map_record` reads in addition to the columns of the sources.
        map_record: maps a record to the fields of its vote, for a format that sources cannot describe; returns None for
            a record that is not a vote. If it is given, the sources only say which columns are read.
    """

    name: str
    matches: Callable[[frozenset[str]], bool] = field(compare=False)
    model_a: ValueSource
    model_b: ValueSource
    outcome: OutcomeRule
    spellings: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, ValueSource] = field(default_factory=dict)
    times: Mapping[str, ValueSource] = field(default_factory=dict)
    flags: Mapping[str, Flag] = field(default_factory=dict)
    style: Mapping[str, Mapping[str, ValueSource]] = field(default_factory=dict)
    turn: ValueSource | None = None
    labels: tuple[ValueSource, ...] = ()
    true_labels: Mapping[str, ValueSource] = field(default_factory=dict)
    named_labels: Mapping[str, ValueSource] = field(default_factory=dict)
    without_outcome: bool = False
    also_read: frozenset[str] = frozenset()
    map_record: Callable[[Record], Fields | None] | None = None

    def columns(self) -> frozenset[str]:
        """Return the names of every column that the format reads."""
        sources = [*self.texts.values(), *self.times.values(), *((self.turn,) if self.turn else ())]
        return self.rating_columns(self.texts) | {source.column for source in sources} | self.also_read

    def rating_columns(self, fields: Iterable[str]) -> frozenset[str]:
        """Return the names of the columns that a rating reads.

        These are the columns of the models, the outcome, the labels, the flags and the style counts, and the columns of
        the given fields.

        Args:
            fields: the fields that the rating needs: keys of `texts` and `times`, and "turn".
        """
        places = {**self.texts, **self.times, **({"turn": self.turn} if self.turn else {})}
        sources = [self.model_a, self.model_b, *self.labels, *self.true_labels.values(), *self.named_labels.values()]
        sources += [places[name] for name in fields if name in places]
        sources += [s for flag in self.flags.values() for s in (flag.source, flag.unless) if s is not None]
        sources += [source for features in self.style.values() for source in features.values()]
        return frozenset({source.column for source in sources}) | outcome_columns(self.outcome)


def outcome_columns(rule: OutcomeRule) -> frozenset[str]:
    """Return the names of the columns that an outcome rule reads."""
    if isinstance(rule, OneHotOutcome):
        return frozenset(rule.columns.values())
    named = {rule.column} | ({rule.tie} if isinstance(rule, NamedWinner) and rule.tie else set())
    return frozenset(named)


def has(*names: str) -> Callable[[frozenset[str]], bool]:
    """Return a function that tells whether a set of column names contains all of `names`."""
    needed = frozenset(names)
    return needed.issubset


def first_match(formats: Iterable[BattleFormat], columns: frozenset[str]) -> BattleFormat | None:
    """Return the first of `formats` whose test `matches` accepts the names of these columns; None if there is none."""
    return next((one for one in formats if one.matches(columns)), None)
