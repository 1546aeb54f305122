"""Hides the names of models under test from what the public reads.

A model is under test while the registry calls it private and it is not released. Text for the public shows PLACEHOLDER
in place of its name. Pages, documents, exports and metrics still state how many such models there are. Votes on these
models count, and the public log, manifests and bundles do name them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from pipeline.store.boards import snapshots

if TYPE_CHECKING:
    from pipeline.registry import RegistryState

PLACEHOLDER = "a model under test"
"""What the public reads in place of the name of a model under test."""

HIDDEN = "hidden"
"""The value of `private_models` in a method that does not list models under test."""

_PRIVATE = "private"
# A name inside a longer name, such as "gpt-4" in "gpt-4-turbo", is another name.
_BEFORE, _AFTER = r"(?<!\w)(?<!\w[-.:/@+])", r"(?![-.:/@+]?\w)"


@dataclass(frozen=True)
class HiddenModels:
    """Replaces the names of hidden models in texts and JSON values for the public.

    Attributes:
        names: all names of the hidden models, former and later names included.
        keys: the first name of each hidden model.
    """

    names: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare the search for the names."""
        longest_first = sorted(self.names, key=lambda name: (-len(name), name))
        either = "|".join(map(re.escape, longest_first))
        object.__setattr__(self, "_pattern", re.compile(f"{_BEFORE}(?:{either})(?:{_AFTER})") if either else None)

    @classmethod
    def of_body(cls, body: Mapping[str, Any]) -> HiddenModels:
        """Return the models that were under test when a snapshot was made, as the body of the snapshot states."""
        names = frozenset(body.get("method", {}).get("listing", {}).get("hidden", ()))
        return cls(names, names)

    def __or__(self, other: HiddenModels) -> HiddenModels:
        """Return the hidden models of this object and of another one."""
        return HiddenModels(self.names | other.names, self.keys | other.keys)

    def __contains__(self, model: object) -> bool:
        """Return whether a model with this name is hidden."""
        return model in self.names

    def text(self, text: str) -> str:
        """Return a text in which PLACEHOLDER replaces each hidden name."""
        if self._pattern is None:
            return text
        return PLACEHOLDER if text in self.names else self._pattern.sub(PLACEHOLDER, text)

    def document(self, value: Any) -> Any:
        """Return a JSON value in which PLACEHOLDER replaces each hidden name, except in the keys of objects."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.document(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.document(item) for item in value]
        return value

    def provider_page(self, page: Mapping[str, Any]) -> dict[str, Any]:
        """Return the page of a provider without the facts about hidden models, and with their names replaced.

        The added field `facts_under_test` is the number of facts that are left out.
        """
        shown = [one for one in page["facts"] if one["about"] not in self.names]
        return {**self.document({**page, "facts": shown}), "facts_under_test": len(page["facts"]) - len(shown)}


ALL_SHOWN = HiddenModels()
"""An instance that hides no model."""


def models_under_test(state: RegistryState) -> frozenset[str]:
    """Return the names of the private models that are not released, each under its first name in the registry."""
    return frozenset(n for n, one in state.models.items() if one.visibility == _PRIVATE and one.released_at is None)


def all_names(state: RegistryState, keys: Iterable[str]) -> frozenset[str]:
    """Return all names of some models, given the first name of each.

    Args:
        state: the registry at one moment.
        keys: first names. They are in the result, together with all later names.
    """
    first = frozenset(keys)
    return first | {later for later, name in state.aliases.items() if name in first}


def read_hidden_models(connection: Connection, now: int) -> HiddenModels:
    """Return the models whose names are hidden from the public now.

    Hidden are the models that the newest snapshot hides, and the models that the registry has under test now. A model
    that was released stays hidden until the next snapshot. Before the first snapshot, the models under test are hidden.
    Nothing is hidden if the method of the newest snapshot lists models under test.

    Args:
        connection: reads the store.
        now: present time in microseconds since 1970 UTC.
    """
    newest = snapshots.latest(connection)
    listing = {"private_models": HIDDEN} if newest is None else newest.body.get("method", {}).get("listing", {})
    if listing.get("private_models") != HIDDEN:
        return ALL_SHOWN
    from pipeline.registry import Registry  # noqa: PLC0415  # slow to import; many boards have nothing to hide
    from pipeline.store.votes import registry_events  # noqa: PLC0415

    state = Registry(registry_events.read_since(connection, 0)[0]).as_of(now)
    keys = models_under_test(state) | {state.first_name(name) for name in listing.get("hidden", ())}
    return HiddenModels(all_names(state, keys), keys)
