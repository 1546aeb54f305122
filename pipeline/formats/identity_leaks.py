"""Finds answers that reveal the name of a model. A vote on such an answer may be a vote on the name.

An answer leaks an identity in two cases:

1. The answer contains the name of the model that wrote it, or of the model's provider or family. The beginning of the
   model's name with a number counts too ("GPT-4" of gpt-4-0314). Names that are also ordinary words do not count.
2. The answer contains words about its author followed by any known name: "I am Gemini", "as an AI developed by OpenAI".
   The name need not be the true one, since the voter cannot know the true name.

Text is reduced to plain words (`plain_words`) and then compared exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from pipeline.formats.battle_format import Fields, Record
from pipeline.formats.identity_table import IdentityTable, load_identities
from pipeline.formats.leak_screen import may_have_name
from pipeline.formats.plain_words import plain_words
from pipeline.formats.record_text import BattleText, battle_text
from pipeline.vocabulary.arrays import Bool

# Words of `between` between the words about itself and the name; a sign of Han is a word.
_MOST_BETWEEN = 18
_LONGEST_BEFORE = 8
_SENTENCES = re.compile(r"[.!?…]+\s+|[。！？\n]+")
_ARTICLES = ("a", "an")
# After an ordinary word with an article these say that a model is meant: "I am a Gemini model".
_MODEL_WORDS = frozenset({"model", "ai", "assistant", "language", "chatbot", "llm"})
_MODELS = ("model_a", "model_b")
_NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class _Names:
    """Names that are searched for.

    Attributes:
        pattern: finds a name as whole words, with and without the spaces in it.
        first: the words with which a name may begin. A text without any of these words contains no name.
    """

    pattern: re.Pattern[str]
    first: frozenset[str]

    @classmethod
    def of(cls, names: Iterable[str]) -> _Names:
        longest = sorted(names, key=lambda name: (-len(name), name))
        spelled = "|".join(" ?".join(map(re.escape, name.split())) for name in longest)
        first = {name.split()[0] for name in longest} | {part for name in longest for part in _joined(name.split())}
        return cls(re.compile(f"(?<= )(?:{spelled})(?= )") if spelled else _NOTHING, frozenset(first))


@dataclass(frozen=True, slots=True)
class _JoinedNames:
    """The names that are the same for all battles, and the names of one battle, searched for together.

    The two sets have separate patterns. One pattern for both would have to be compiled for each pair of models, and
    that takes longer than reading the answers.
    """

    everywhere: _Names
    own: _Names

    def may_be_in(self, words: set[str]) -> bool:
        """Return whether a text with these words may have one of the names."""
        return not (self.everywhere.first.isdisjoint(words) and self.own.first.isdisjoint(words))

    def find(self, words: str) -> Iterator[re.Match[str]]:
        """Yield the names in a text, from left to right. Of names that begin at one place, the longest is yielded."""
        place, present = 0, set(words.split())
        searched = [names for names in (self.everywhere, self.own) if not names.first.isdisjoint(present)]
        while True:
            found = [one for names in searched if (one := names.pattern.search(words, place))]
            if not found:
                return
            first = min(found, key=lambda one: (one.start(), -one.end()))
            yield first
            place = first.end()


def _joined(parts: Sequence[str]) -> list[str]:
    """Join the first two words of a name, the first three, and so on up to all: a, b, c gives "ab" and "abc"."""
    return ["".join(parts[:n]) for n in range(2, len(parts) + 1)]


class IdentityLeaks:
    """Decides whether the answers of a battle reveal the name of a model, its provider or its family.

    The docstring of the module states the two cases in which an answer reveals a name. An `IdentityTable` has the names
    of providers and families, and the words with which an answer refers to its author.
    """

    def __init__(self, table: IdentityTable) -> None:
        self._table = table
        self._common = table.common()
        self._names = _Names.of(table.names())
        self._before: dict[str, list[list[str]]] = {}
        for phrase in table.before:
            words = phrase.split()
            self._before.setdefault(words[-1], []).append(words)
        self._own = lru_cache(maxsize=10_000)(self._own_names)
        self._known = lru_cache(maxsize=10_000)(self._known_names)

    def leaks(self, models: Sequence[str], answers: Sequence[Iterable[str]]) -> bool:
        """Return whether any answer of a battle reveals the name of a model, its provider or its family.

        Args:
            models: the names of the two models.
            answers: two items: the answers of the first model, and the answers of the second model.
        """
        known = self._known(tuple(sorted(models)))
        return any(
            self._leaks(answer, self._own(model), known)
            for model, texts in zip(models, answers, strict=True)
            for answer in texts
        )

    def may_leak(self, models: Iterable[str], answers: Sequence[str]) -> Bool:
        """Return bool[n], whether an answer may name a model. False means that the answer certainly names none.

        Args:
            models: the names of all models.
            answers: n answers.
        """
        parts = [plain_words(model).split() for model in models]
        own = {" ".join(some) for words in parts for some in (words, *_numbered(words)) if some}
        return may_have_name(answers, self._table.names() | own)

    def _leaks(self, answer: str, own: _Names, known: _JoinedNames) -> bool:
        words = plain_words(answer)
        present = set(words.split())
        if not own.first.isdisjoint(present) and own.pattern.search(words):
            return True
        if not known.may_be_in(present):
            return False
        return any(self._speaks_of_itself(plain_words(one), known) for one in _SENTENCES.split(answer))

    def _speaks_of_itself(self, words: str, names: _JoinedNames) -> bool:
        for found in names.find(words):
            before, after = words[: found.start()].split(), words[found.end() :]
            if any(after.startswith(f" {phrase} ") for phrase in self._table.after):
                return True
            if found[0] in self._common and before[-1:] and before[-1] in _ARTICLES:
                following = after.split(maxsplit=1)[:1]
                if not following or following[0] not in _MODEL_WORDS:
                    continue  # "I am a Gemini": a sign of the zodiac
            if self._ends_about_itself(before):
                return True
        return False

    def _ends_about_itself(self, words: list[str]) -> bool:
        """Return whether a text ends in words with which an answer introduces its own name, such as "I am".

        Words that may stand between these words and the name (`IdentityTable.between`) may follow: "I am called".
        """
        words = words[-_MOST_BETWEEN - _LONGEST_BEFORE :]
        for end in range(len(words), max(0, len(words) - _MOST_BETWEEN), -1):
            last = words[end - 1]
            if any(words[max(0, end - len(phrase)) : end] == phrase for phrase in self._before.get(last, ())):
                return True
            if last not in self._table.between:
                return False
        return False

    def _own_names(self, model: str) -> _Names:
        """Return names of a model, its provider and its family. An answer with one of these names reveals the model."""
        parts = plain_words(model).split()
        names = {name for one in self._table.of_model(model) for name in one.names - one.common}
        if len(parts) > 1 and len(parts[0]) > 1:
            names.add(" ".join(parts))
            names |= {" ".join(some) for some in _numbered(parts)}
        return _Names.of(names)

    def _known_names(self, models: tuple[str, ...]) -> _JoinedNames:
        """Return all names that are known in a battle."""
        return _JoinedNames(
            self._names, _Names.of({words for model in models if (words := plain_words(model).strip())})
        )


def _numbered(parts: Sequence[str]) -> list[Sequence[str]]:
    """Return the beginnings of a name that have at least two words and a digit. The whole name is not included."""
    return [parts[:n] for n in range(2, len(parts)) if _has_digit(parts[:n])]


def _has_digit(parts: Iterable[str]) -> bool:
    return any(char.isdigit() for part in parts for char in part)


class LeakCheck:
    """Adds the field `identity_leak` to records that contain answers. An object of this class is a `BatchCheck`.

    Attributes:
        battles: number of records with answers so far.
        leaks: number of these battles in which an answer leaks an identity.
    """

    def __init__(self, leaks: IdentityLeaks) -> None:
        self._leaks = leaks
        self.battles = self.leaks = 0

    def __call__(self, record: Record, fields: Fields) -> Fields:
        """Return the field `identity_leak` of a record, and count it; no field if the record has no answers.

        Args:
            record: the record with its texts.
            fields: the fields of the vote, with the names of both models.
        """
        text = battle_text(record)
        return self.of(text, fields)

    def of(self, text: BattleText, fields: Fields) -> Fields:
        """Return the field `identity_leak`, true or false, as a mapping, and count the battle.

        The mapping is empty if the battle has no answers. Such a battle is not counted.

        Args:
            text: the texts of a battle.
            fields: the fields of the vote on this battle, with the names of both models.
        """
        if not any(text.answers):
            return {}
        models = [str(fields.get(name) or "") for name in _MODELS]
        return self._counted(self._leaks.leaks(models, text.answers))

    def _counted(self, found: bool) -> Fields:
        self.battles += 1
        self.leaks += found
        return {"identity_leak": found}

    def of_all(self, texts: Sequence[BattleText], fields: Sequence[Fields]) -> list[Fields]:
        """Return what `of` returns for each battle, several times as fast.

        Args:
            texts: the texts of some battles.
            fields: the fields of the votes on these battles.
        """
        models = {str(one.get(name) or "") for one in fields for name in _MODELS}
        answers = [answer for text in texts for side in text.answers for answer in side]
        ends = np.cumsum([sum(map(len, text.answers)) for text in texts], dtype=np.int64)
        before = np.append(0, np.cumsum(self._leaks.may_leak(models, answers)))[np.append(0, ends)]
        close = np.diff(before) > 0
        return [
            self.of(text, of_vote) if read or not any(text.answers) else self._counted(found=False)
            for text, of_vote, read in zip(texts, fields, close.tolist(), strict=True)
        ]

    def of_records(self, records: Sequence[Record], fields: Sequence[Fields]) -> list[Fields]:
        """Check several records, several times as fast as by calling the object for each record.

        The results are the same as those of the calls.

        Args:
            records: the records with their texts.
            fields: the fields of each record's vote, with the names of both models.
        """
        return self.of_all([battle_text(record) for record in records], fields)


@cache
def _shipped_leaks() -> IdentityLeaks:
    return IdentityLeaks(load_identities())


def shipped_leak_check() -> LeakCheck:
    """Return a new check that uses the table of identities shipped with the package (`load_identities`)."""
    return LeakCheck(_shipped_leaks())
