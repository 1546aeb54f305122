"""Reads the table of providers and families of models, and of the words with which an answer refers to itself."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from pipeline.errors import BadInput
from pipeline.formats.plain_words import plain_words

_LETTER_THEN_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")


@dataclass(frozen=True, slots=True)
class Identity:
    """One provider with its families of models. Names are in plain words (`plain_words`).

    Attributes:
        names: all names of the provider and its families.
        common: the names that are ordinary words too.
    """

    names: frozenset[str]
    common: frozenset[str]


@dataclass(frozen=True)
class IdentityTable:
    """The known names of providers and families, and the words with which an answer refers to its author.

    Attributes:
        identities: the providers with their families.
        before: words with which an answer refers to itself before a name, such as "I am".
        after: words with which an answer refers to itself after a name.
        between: words that may stand between the words of `before` and the name.
        registered: model → its provider and family in the registry, in plain words.
    """

    identities: tuple[Identity, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    between: frozenset[str]
    registered: Mapping[str, frozenset[str]]

    def of_model(self, model: str) -> list[Identity]:
        """Return the providers, with their families, to which a model belongs by its name or by the registry.

        A model belongs to a provider by its name if the name contains a name of the provider or of one of its families.
        """
        words = plain_words(model), plain_words(_LETTER_THEN_DIGIT.sub(" ", model))
        found = [
            one for one in self.identities if any(f" {name} " in spelled for name in one.names for spelled in words)
        ]
        if model in self.registered:
            names = self.registered[model]
            found.append(Identity(names, frozenset(name for name in names if " " not in name)))
        return found

    def names(self) -> frozenset[str]:
        """Return all names of providers and families."""
        registered = (name for names in self.registered.values() for name in names)
        return frozenset(name for one in self.identities for name in one.names) | frozenset(registered)

    def common(self) -> frozenset[str]:
        """Return the names of providers and families that are ordinary words too."""
        return frozenset(name for one in self.identities for name in one.common)


def load_identities(registered: Iterable[tuple[str, Sequence[str]]] = ()) -> IdentityTable:
    """Return the table that is shipped with the package, extended by the models of a registry.

    Args:
        registered: each model of the registry with the names of its provider and its family.
    """
    shipped = files("pipeline").joinpath("data/identities.toml")
    return parse_identities(shipped.read_text(encoding="utf-8"), "identities.toml", registered)


def parse_identities(text: str, source: str, registered: Iterable[tuple[str, Sequence[str]]] = ()) -> IdentityTable:
    """Parse a table of identities from TOML.

    Args:
        text: the TOML document.
        source: where the document comes from, for messages.
        registered: each model of the registry with the names of its provider and its family.

    Raises:
        BadInput: the text is not TOML, or is not such a table. The message names the source.
    """
    try:
        document = tomllib.loads(text)
        itself = document["self"]
        return IdentityTable(
            identities=tuple(
                Identity(frozenset(_plain([*one["provider"], *one["family"]])), frozenset(_plain(one["common"])))
                for one in document["identity"]
            ),
            before=tuple(_plain(itself["before"])),
            after=tuple(_plain(itself["after"])),
            between=frozenset(word for text in _plain(itself["between"]) for word in text.split()),
            registered={model: frozenset(_plain(names)) for model, names in registered},
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{source}: expected [[identity]] with provider, family, common, and [self]: {error}") from None


def _plain(names: Iterable[str]) -> Iterator[str]:
    return (words for name in names if (words := plain_words(name).strip()))
