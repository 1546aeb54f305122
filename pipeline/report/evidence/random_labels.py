"""Gives random labels to voters and other private subjects of a report, so that no id of the file reaches it.

A label does not depend on the id behind it: labels are drawn one after another, in the order in which subjects are
named. So nobody can find an id by computing the labels of likely ids. The draws depend on the seed of the report and on
the bytes of its files. The same files with the same seed give the same labels. In other files, the same label stands
for another subject.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable

import numpy as np

# Without letters and digits that look alike, and without vowels that make words.
_SIGNS = "23456789BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 5


class RandomLabels:
    """The random labels of a report, one for each voter or other private subject.

    A label is drawn when the report first names its subject.
    """

    def __init__(self, seed: int, files: str) -> None:
        """Begin without labels.

        Args:
            seed: the seed of the report.
            files: a text that identifies the bytes of the files, such as their hashes.
        """
        digest = hashlib.sha256(f"labels of a report\0{seed}\0{files}".encode()).digest()
        self._draw = np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
        self._labels: dict[Hashable, str] = {}
        self._taken: set[str] = set()

    def of(self, kind: str, key: int) -> str:
        """Return the label of a subject, such as "voter 7KX2M". A subject always gets the label that it got first.

        Args:
            kind: kind of the subject, such as "voter".
            key: the number of the subject among the subjects of its kind.
        """
        if (kind, key) not in self._labels:
            self._labels[kind, key] = f"{kind} {self._new_code()}"
        return self._labels[kind, key]

    def _new_code(self) -> str:
        while True:
            code = "".join(_SIGNS[k] for k in self._draw.integers(0, len(_SIGNS), _LENGTH).tolist())
            if code not in self._taken:
                self._taken.add(code)
                return code
