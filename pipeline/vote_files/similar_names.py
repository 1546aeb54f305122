"""Finds names of models that a person takes for one name: they differ only in case, spaces or look-alike letters.

Such names are different models in a rating. Mostly one model was written in several ways, which divides its votes.
"""

import unicodedata
from collections.abc import Iterable

# Letters of other scripts that look like a Latin letter in lower case (Unicode Technical Standard 39, the common ones).
_LOOK_ALIKE = str.maketrans(
    "авекмнорстухіјѕԁԛԝһ" + "αεικνορτυχ",
    "abekmhopctyxijsdqwh" + "aeikvoptux",
)
_PLACEHOLDERS = frozenset({"nan", "none", "null", "n/a", "na", "undefined", "unknown"})
# So many sets of similar names are listed; the others are counted.
_LISTED = 3


def similar_name_notes(names: Iterable[str]) -> list[str]:
    """Return sentences about names that look like one another, and about placeholders for a missing name.

    Args:
        names: the names of the models.
    """
    known = sorted(set(names))
    sets: dict[str, list[str]] = {}
    for name in known:
        sets.setdefault(_skeleton(name), []).append(name)
    similar = [some for some in sets.values() if len(some) > 1]
    notes = []
    if similar:
        shown = "; ".join(", ".join(map(_shown, some)) for some in similar[:_LISTED])
        more = f"; and {len(similar) - _LISTED:,} more" if len(similar) > _LISTED else ""
        notes.append(
            "names of models that differ only in case, spaces or look-alike letters count as different models: "
            f"{shown}{more}"
        )
    if empty := [name for name in known if name.strip().lower() in _PLACEHOLDERS]:
        notes.append(f"rated as a model, although the name looks like a missing one: {', '.join(map(repr, empty))}")
    return notes


def _skeleton(name: str) -> str:
    """Return a name without what is hard to see: case, width, spaces, and the script of look-alike letters."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.translate(_LOOK_ALIKE).split())


def _shown(name: str) -> str:
    """Return a name in quotes, with the code of its first character that is not ASCII."""
    other = next((char for char in name if not char.isascii()), None)
    return repr(name) if other is None else f"{name!r} (with U+{ord(other):04X})"
