"""Name families: which names of one provider are likely one model under several names.

Dates, sizes and words of a stage (preview, latest, instruct, …) are stripped; what is left are trigrams, and names
whose Jaccard similarity is at least a half are one family, and so are friends of friends (union-find).

Blind spot: a code name ("spider", "anonymous-chatbot") is nobody's family; two products of one provider may be one by
name. A family that the registry declares goes before.

>>> families(["llama-4-maverick-03-26-exp", "Llama-4-Maverick-17B-128E-Instruct", "gpt-4o", "gpt-4o-2024-05-13", "o1"])
(('Llama-4-Maverick-17B-128E-Instruct', 'llama-4-maverick-03-26-exp'), ('gpt-4o', 'gpt-4o-2024-05-13'), ('o1',))
"""

from __future__ import annotations

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


def stem(name: str) -> str:
    """A name without what tells versions of one model apart.

    >>> [stem(n) for n in ("Gemma-1.1-7b-it", "gpt-4-0613", "claude-3-5-sonnet-20241022", "Qwen2.5-72B-Instruct")]
    ['gemma 1.1', 'gpt 4', 'claude 3 5 sonnet', 'qwen2.5']
    """
    low = name.lower()
    for pattern in (_DATE, _SIZE, _STAGE):
        low = pattern.sub(" ", low)
    return _REST.sub(" ", low).strip() or name.lower()


def similarity(first: str, second: str) -> float:
    """Jaccard similarity of the trigrams of two names' stems: 1 for equal stems, 0 for nothing in common."""
    a, b = _trigrams(stem(first)), _trigrams(stem(second))
    return len(a & b) / len(a | b)


def families(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Split the names of one provider into families: sorted within, and by their first name."""
    listed = sorted(set(names))
    grams = [_trigrams(stem(name)) for name in listed]
    if not listed:
        return ()
    alike = np.array([[len(a & b) >= _ALIKE * len(a | b) for b in grams] for a in grams], dtype=np.int8)
    count, label = connected_components(csr_array(alike), directed=False)
    return tuple(tuple(name for name, k in zip(listed, label, strict=True) if k == part) for part in range(count))


def _trigrams(text: str) -> frozenset[str]:
    padded = f"  {text} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))
