"""Groups the names of one provider into families: names that are likely versions of one model.

Dates, sizes and stage words (preview, latest, instruct, …) are removed from each name. Two names are linked if the
trigrams of what remains have a Jaccard similarity of at least one half. Connected names form a family.

Blind spot: a code name ("spider", "anonymous-chatbot") joins no family. Different products of one provider may have
similar names. A family that is declared in the registry takes precedence over these families.

>>> name_families(["llama-4-maverick-03-26-exp", "Llama-4-Maverick-17B-128E-Instruct", "gpt-4o", "gpt-4o-0513", "o1"])
(('Llama-4-Maverick-17B-128E-Instruct', 'llama-4-maverick-03-26-exp'), ('gpt-4o', 'gpt-4o-0513'), ('o1',))
"""

import re
from collections.abc import Iterable

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

_ALIKE = 0.5
_DATE = re.compile(r"(?<!\d)(?:20\d{2}[-_.]?\d{2}[-_.]?\d{2}|\d{2}[-_]\d{2}|[01]\d[0-3]\d|20\d{2})(?!\d)")
_SIZE = re.compile(r"(?<![a-z0-9])(?:\d+x)?\d+(?:\.\d+)?[bmke](?![a-z0-9])")
_STAGE = re.compile(
    r"(?<![a-z])(?:preview|latest|experimental|exp|beta|alpha|chat|instruct|it|sft|dpo|rc\d*|v\d+|variant\d*)(?![a-z0-9])"
)
_REST = re.compile(r"[^a-z0-9.]+")


def name_stem(name: str) -> str:
    """Return a name in lower case without the parts that distinguish versions of one model: dates, sizes, stages.

    >>> [name_stem(n) for n in ("Gemma-1.1-7b-it", "gpt-4-0613", "claude-3-5-sonnet-20241022", "Qwen2.5-72B-Instruct")]
    ['gemma 1.1', 'gpt 4', 'claude 3 5 sonnet', 'qwen2.5']
    """
    low = name.lower()
    for pattern in (_DATE, _SIZE, _STAGE):
        low = pattern.sub(" ", low)
    return _REST.sub(" ", low).strip() or name.lower()


def similarity(first: str, second: str) -> float:
    """Return how similar two names are, from 0 to 1.

    The similarity is the Jaccard similarity of the trigrams of both stems. A stem is a name without dates, sizes and
    stages (`name_stem`).
    """
    a, b = _trigrams(name_stem(first)), _trigrams(name_stem(second))
    return len(a & b) / len(a | b)


def name_families(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Split the names of one provider into families; both the names of a family and the families are sorted."""
    listed = sorted(set(names))
    grams = [_trigrams(name_stem(name)) for name in listed]
    if not listed:
        return ()
    alike = np.array([[len(a & b) >= _ALIKE * len(a | b) for b in grams] for a in grams], dtype=np.int8)
    count, label = connected_components(csr_array(alike), directed=False)
    return tuple(tuple(name for name, k in zip(listed, label, strict=True) if k == part) for part in range(count))


def _trigrams(text: str) -> frozenset[str]:
    padded = f"  {text} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))
