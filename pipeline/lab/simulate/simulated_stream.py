"""Holds simulated votes as columns, in order of time.

Element i of every column belongs to vote i, and `cast_at` never decreases. The id of a voter is computed from the seed
and the voter's code only, so a voter has the same id in all parts of a stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.lab.simulate import json_lines
from pipeline.lab.simulate.keyed_hashing import VOTE_HIGH, VOTE_LOW, VOTER, hash_keys, to_hex
from pipeline.lab.simulate.voter_population import CATEGORIES, LANGUAGES, NETWORKS
from pipeline.ratings import PairCounts
from pipeline.vocabulary.arrays import Bool, Int8, Int16, Int32, Int64, UInt64

_NOT_COLUMNS = ("models", "seed")
# Votes encoded at a time: about 15 MB of text, however long the stream.
_CHUNK = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedStream:
    """N simulated votes as columns.

    Attributes:
        models: names of the models; the code of a model is a position in this tuple.
        seed: seed from which ids of votes and voters are computed.
        serial: int64[N], a unique number of each vote. Honest votes have the lowest numbers.
        cast_at: int64[N], event time, in microseconds since 1970 UTC.
        voter: int32[N], code of the voter.
        model_a: int16[N], code of the left model.
        model_b: int16[N], code of the right model.
        outcome: int8[N], code of the outcome.
        voter_since: int64[N], time at which the voter's account was created, in microseconds since 1970 UTC.
        language: int8[N], position in `voter_population.LANGUAGES`.
        category: int8[N], position in `voter_population.CATEGORIES`.
        prompt_hash: uint64[N], hash of the prompt.
        network: int16[N], position in `voter_population.NETWORKS`.
        attack: int16[N], number of the attack that the vote belongs to; −1 for an honest vote. Files do not contain it.
    """

    models: tuple[str, ...]
    seed: int
    serial: Int64
    cast_at: Int64
    voter: Int32
    model_a: Int16
    model_b: Int16
    outcome: Int8
    voter_since: Int64
    language: Int8
    category: Int8
    prompt_hash: UInt64
    network: Int16
    attack: Int16

    def __len__(self) -> int:
        """Return the number of votes."""
        return len(self.cast_at)

    @property
    def is_attack(self) -> Bool:
        """bool[N], true for each vote that an attacker cast."""
        return self.attack >= 0

    def take(self, rows: npt.NDArray[Any] | slice) -> SimulatedStream:
        """Return some of the N votes.

        Args:
            rows: bool[N], a slice, or integers[n] that are ascending positions.
        """
        columns = {name: getattr(self, name)[rows] for name in self._columns()}
        return SimulatedStream(models=self.models, seed=self.seed, **columns)

    @classmethod
    def merge(cls, parts: Sequence[SimulatedStream]) -> SimulatedStream:
        """Merge parts of one stream in order of time. The parts must have the same models and seed."""
        joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in cls._columns()}
        order = np.argsort(joined["cast_at"], kind="stable")
        columns = {name: column[order] for name, column in joined.items()}
        return cls(models=parts[0].models, seed=parts[0].seed, **columns)

    def pair_counts(self) -> PairCounts:
        """Count the votes by pair of models and outcome."""
        return PairCounts.from_codes(self.models, self.model_a, self.model_b, self.outcome)

    def voter_id(self, code: int) -> str:
        """Return the id of the voter with this code. Ids of attackers have the same form as those of honest voters."""
        return _voter_ids(self.seed, np.array([code]))[0]

    def vote_ids(self) -> list[str]:
        """Return the id of each vote: 32 hexadecimal digits, computed from the seed and the serial number."""
        halves = (to_hex(hash_keys(self.seed, purpose, self.serial)) for purpose in (VOTE_HIGH, VOTE_LOW))
        return [high + low for high, low in zip(*halves, strict=True)]

    def to_bytes(self) -> Iterator[bytes]:
        """Yield each vote as the bytes of a canonical JSON line, without a line end."""
        for begin in range(0, len(self), _CHUNK):
            yield from self.take(slice(begin, begin + _CHUNK))._lines()

    def write_jsonl(self, path: str | Path) -> None:
        """Write the votes to a file, one JSON line for each vote. An existing file is replaced."""
        with Path(path).open("wb") as out:
            out.writelines(line + b"\n" for line in self.to_bytes())

    def _lines(self) -> Iterator[bytes]:
        codes, place = np.unique(self.voter, return_inverse=True)
        return json_lines.encode_votes(
            cast_at=json_lines.json_times(self.cast_at),
            category=json_lines.json_strings(list(CATEGORIES), self.category),
            language=json_lines.json_strings(list(LANGUAGES), self.language),
            model_a=json_lines.json_strings(self.models, self.model_a),
            model_b=json_lines.json_strings(self.models, self.model_b),
            network=json_lines.json_strings(NETWORKS, self.network),
            prompt_hash=to_hex(self.prompt_hash),
            vote_id=self.vote_ids(),
            voter_id=json_lines.json_strings(_voter_ids(self.seed, codes), place),
            voter_since=json_lines.json_times(self.voter_since),
            outcome=self.outcome,
        )

    @classmethod
    def _columns(cls) -> list[str]:
        return [name for name in cls.__dataclass_fields__ if name not in _NOT_COLUMNS]


def _voter_ids(seed: int, codes: npt.NDArray[Any]) -> list[str]:
    return ["u" + digits for digits in to_hex(hash_keys(seed, VOTER, codes))]
