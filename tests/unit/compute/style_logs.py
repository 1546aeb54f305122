"""Votes with style counts in parts, for tests: drawn at random, with rows that do not count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.compute import style_blocks
from pipeline.compute.styled_parts import StyledPart
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.vote_flags import REFUSAL


def draw_votes(seed: int, votes: int, models: int) -> npt.NDArray[Any]:
    """Draw votes between models 1 to `models` whose outcomes depend on strength and length."""
    rng = np.random.default_rng(seed)
    block = np.zeros(votes, dtype=style_blocks.BLOCK)
    block["position"] = np.arange(votes)
    block["model_a"] = rng.integers(1, models + 1, votes)
    block["model_b"] = (block["model_a"] - 1 + rng.integers(1, models, votes)) % models + 1
    block["style"] = rng.poisson(6, (votes, style_blocks.FIELDS))
    strength = np.linspace(-1, 1, models + 1)
    lead = strength[block["model_a"]] - strength[block["model_b"]]
    lead += 0.1 * (block["style"][:, 0] - block["style"][:, 5])
    won = rng.random(votes) < 1 / (1 + np.exp(-lead))
    block["outcome"] = np.where(rng.random(votes) < 0.2, 2 + (rng.random(votes) < 0.5), np.where(won, 0, 1))
    block["flags"] = np.where(rng.random(votes) < 0.05, REFUSAL, 0)
    return block


@dataclass(frozen=True)
class PartedVotes:
    """Votes in parts of given sizes, without some positions, and without refusals.

    Attributes:
        block: the votes.
        sizes: number of votes of each part.
        without: positions of votes that do not count.
    """

    block: npt.NDArray[Any]
    sizes: tuple[int, ...]
    without: Int64

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self.sizes)

    def parts(self, numbers: Sequence[int] | None = None) -> Iterator[StyledPart]:
        """Yield the parts."""
        ends = np.cumsum(self.sizes).tolist()
        for at in range(len(self)) if numbers is None else numbers:
            first, end = ends[at] - self.sizes[at], ends[at]
            half = (first + end) // 2
            packed = tuple(
                one for part in ((first, half), (half, end)) if (one := style_blocks.pack(self.block[slice(*part)]))
            )
            inside = self.without[(self.without >= first) & (self.without < end)]
            yield StyledPart(first, end, packed, inside, REFUSAL, np.array([99]))

    def counted(self) -> npt.NDArray[Any]:
        """Return the votes that count."""
        kept = (self.block["flags"] & REFUSAL == 0) & ~np.isin(self.block["position"], self.without)
        return self.block[kept]
