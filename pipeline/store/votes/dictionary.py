"""Gives each name (model, language, category, network) a small integer, the same for every worker.

Numbers are assigned in a separate transaction, before the batch that uses them. If two workers find a new name at the
same time, both get the same number, and neither waits for the other's batch.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import dialect, schema
from pipeline.store.db.engine import Store
from pipeline.vocabulary.arrays import Int32


class NameDictionary:
    """Assigns numbers to names, and keeps known numbers in memory.

    A name has a kind: "model", "language", "category", "network" or "categories". Names of all kinds but "model" are
    called terms. The number 0 stands for None, an absent name.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, dict[str | None, int]] = {
            kind: {None: 0} for kind in ("model", "language", "category", "network", "categories")
        }

    def numbers(self, kind: str, names: Sequence[str | None]) -> Int32:
        """Return int32[n], the numbers of n names of one kind. New names get numbers in a separate transaction."""
        found = self.known_numbers(kind, names)
        if found is not None:
            return found
        known = self._known[kind]
        known.update(self._register(kind, sorted(name for name in set(names) - known.keys() if name is not None)))
        return _read(known, names)

    def known_numbers(self, kind: str, names: Sequence[str | None]) -> Int32 | None:
        """Return int32[n], the numbers of n names of one kind, without reading the database.

        The result is None if the number of any name is not in memory.
        """
        try:
            return _read(self._known[kind], names)
        except KeyError:
            return None

    def find_new(self, kind: str, names: set[str]) -> set[str]:
        """Return which names of one kind have no number in the store yet. They are not given numbers."""
        known = self._known[kind]
        missing = names - known.keys()
        if missing:
            found = self._look_up(kind, sorted(missing))
            known.update(found)
            missing -= found.keys()
        return missing

    @staticmethod
    def add_models(connection: Connection, names: Sequence[str]) -> None:
        """Assign numbers to names of models in the caller's transaction. Known names keep their numbers."""
        rows = [{"name": name} for name in names]
        connection.execute(dialect.insert_or_ignore(connection, schema.model, "name"), rows)

    def _register(self, kind: str, names: list[str]) -> dict[str, int]:
        found = self._look_up(kind, names)
        fresh = [name for name in names if name not in found]
        if fresh:
            with self._store.write() as connection:
                if kind == "model":
                    self.add_models(connection, fresh)
                else:
                    rows = [{"kind": kind, "text": name} for name in fresh]
                    connection.execute(dialect.insert_or_ignore(connection, schema.term, "kind", "text"), rows)
            found |= self._look_up(kind, fresh)
        return found

    def _look_up(self, kind: str, names: list[str]) -> dict[str, int]:
        with self._store.read() as connection:
            found: dict[str, int] = {}
            for start in range(0, len(names), 500):  # a bound on parameters that every database takes
                # not .tuples(): SQLAlchemy 2.1 deprecates it, and our own warnings are errors
                rows = connection.execute(_named(kind, names[start : start + 500]))
                found |= {name: int(number) for number, name in rows}
            return found


def _read(known: Mapping[str | None, int], names: Sequence[str | None]) -> Int32:
    return np.fromiter(map(known.__getitem__, names), dtype=np.int32, count=len(names))


def model_names(connection: Connection) -> dict[int, str]:
    """Return the name of every model, as model number (model_no) → name."""
    rows = connection.execute(sa.select(schema.model.c.model_no, schema.model.c.name))
    return {int(number): name for number, name in rows}


def terms_of_kind(connection: Connection, kind: str) -> dict[int, str]:
    """Return all terms of one kind, such as "language", as term number (term_no) → text."""
    term = schema.term.c
    rows = connection.execute(sa.select(term.term_no, term.text).where(term.kind == kind))
    return {int(number): text for number, text in rows}


def term_texts(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """Return the texts of the terms with these numbers, as term number (term_no) → text.

    Unknown numbers are left out.
    """
    term = schema.term.c
    rows = connection.execute(sa.select(term.term_no, term.text).where(term.term_no.in_(list(numbers))))
    return {int(number): text for number, text in rows}


def _named(kind: str, names: list[str]) -> sa.Select[int, str]:
    if kind == "model":
        model = schema.model.c
        return sa.select(model.model_no, model.name).where(model.name.in_(names))
    term = schema.term.c
    return sa.select(term.term_no, term.text).where(term.kind == kind, term.text.in_(names))
