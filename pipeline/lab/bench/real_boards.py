"""Reads votes of real people: crowd workers who compared language models, and judges of machine translations.

The votes of the crowd workers are in the source tree (`tests/data/llmfao/NOTICE.md` has source and licence) and not in
the wheel. The votes of the judges (manual evaluations of WMT 2015 and 2016, Bojar et al.) have no licence. These votes
are read only from a copy beside the source tree.

A judge ranked up to five translations at once, so the pairs of one ranking are not independent. Therefore
`RealBoard.draw` takes one random pair of each ranking. The drawn votes are in random order, since neither file has
times.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import Usage
from pipeline.vocabulary.arrays import Int8, Int64

_ROOT = Path(__file__).parents[3]
CROWD_FILE = _ROOT / "tests" / "data" / "llmfao" / "votes.csv.gz"
JUDGES_FILE = _ROOT.parent / "shared" / "data" / "wmt_2015_2016_judgements.parquet"
"""Where the judges' votes are looked for if no other file is given."""

_JUDGES_COLUMNS = ("board", "judge", "ranking", "model_a", "model_b", "outcome")
_JUDGES_OUTCOMES = ("model_a", "model_b", "tie")


@dataclass(frozen=True)
class RealVotes:
    """n votes of real people on K models, in the order in which they count as cast.

    Attributes:
        models: K, the number of models; a model is a number from 0 to K − 1.
        voter: int64[n], number of the voter, at least 0.
        model_a, model_b: int64[n], the models; a is on the left.
        outcome: int8[n], 0 (a wins), 1 (b wins), or 2 for a tie.
    """

    models: int
    voter: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8

    def take(self, rows: Any) -> RealVotes:
        """Return some of the votes. `rows` is a mask, an array of positions or a slice."""
        columns = (self.voter, self.model_a, self.model_b, self.outcome)
        return RealVotes(self.models, *(column[rows] for column in columns))


@dataclass(frozen=True)
class RealBoard:
    """All votes of real people on one board, in the order of its file.

    Attributes:
        name: name of the board.
        votes: the votes.
        ranking: int64[n], number of the ranking from which each vote comes. A ranking is one person's order of several
            answers.
        sides: whether model a of every vote was shown on the left. If this is not known, `draw` swaps models a and b of
            each vote with probability one half.
    """

    name: str
    votes: RealVotes
    ranking: Int64
    sides: bool

    def draw(self, rng: np.random.Generator) -> RealVotes:
        """Draw one random vote of each ranking, and return the votes in random order."""
        votes = self.votes
        order = rng.permutation(len(votes.voter))
        code = votes.voter[order] * (int(self.ranking.max(initial=0)) + 1) + self.ranking[order]
        _, first = np.unique(code, return_index=True)
        drawn = votes.take(order[np.sort(first)])
        if self.sides:
            return drawn
        turned = rng.random(len(drawn.voter)) < 0.5
        a, b = np.where(turned, drawn.model_b, drawn.model_a), np.where(turned, drawn.model_a, drawn.model_b)
        outcome = np.where(turned & (drawn.outcome < 2), 1 - drawn.outcome, drawn.outcome).astype(np.int8)
        return RealVotes(drawn.models, drawn.voter, a, b, outcome)


def read_crowd(path: Path = CROWD_FILE) -> RealBoard:
    """Read the votes of the crowd workers of llmfao, who compared language models.

    Raises:
        Usage: the file is missing.
    """
    if not path.is_file():
        raise Usage(f"bench evidence --real: expected the votes of real people in {path}, found no file. The file is "
                    "in the source tree and not in the wheel: run the command from a checkout.")  # fmt: skip
    with gzip.open(path, "rt", newline="") as text:
        rows = list(csv.DictReader(text))
    names = sorted({row[side] for row in rows for side in ("model_a", "model_b")})
    number = {name: i for i, name in enumerate(names)}
    results = {"model_a": 0, "model_b": 1, "tie": 2}
    votes = RealVotes(
        len(names),
        np.array([int(row["voter"]) for row in rows], dtype=np.int64),
        np.array([number[row["model_a"]] for row in rows], dtype=np.int64),
        np.array([number[row["model_b"]] for row in rows], dtype=np.int64),
        np.array([results[row["winner"]] for row in rows], dtype=np.int8),
    )
    return RealBoard("llmfao", votes, np.arange(len(rows)), sides=True)


def read_judges(path: Path) -> list[RealBoard]:
    """Read the votes of the judges of translations. Returns their boards, sorted by name.

    Raises:
        Usage: the file is missing, is no Parquet file, or has other columns or outcomes.
    """
    if not path.is_file():
        raise Usage(f"--wmt: expected a Parquet file of judgements, found no file {path}")
    table = _read_columns(path)
    known = np.isin(table["outcome"], _JUDGES_OUTCOMES)
    if not known.all():
        row = int(np.argmin(known))
        raise Usage(
            f"--wmt: expected the outcomes {', '.join(_JUDGES_OUTCOMES)} in {path}, "
            f"got {str(table['outcome'][row])!r} in row {row}"
        )
    outcome = np.select([table["outcome"] == one for one in _JUDGES_OUTCOMES], [0, 1, 2]).astype(np.int8)
    judge, ranking = (np.unique(table[name], return_inverse=True)[1].ravel() for name in ("judge", "ranking"))
    boards = []
    for name in np.unique(table["board"]).tolist():
        rows = np.flatnonzero(table["board"] == name)
        sides = np.concatenate([table["model_a"][rows], table["model_b"][rows]])
        models, code = np.unique(sides, return_inverse=True)
        a, b = code.ravel().reshape(2, -1)
        votes = RealVotes(len(models), judge[rows], a, b, outcome[rows])
        boards.append(RealBoard(str(name), votes, ranking[rows], sides=False))
    return boards


def _read_columns(path: Path) -> dict[str, Any]:
    """Return the columns of the judges' file as arrays."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as wrong:
        raise Usage(f"--wmt: expected a Parquet file of judgements, cannot read {path}: {wrong}") from wrong
    missing = set(_JUDGES_COLUMNS) - set(table.column_names)
    if missing:
        expected = ", ".join(_JUDGES_COLUMNS)
        raise Usage(f"--wmt: expected the columns {expected} in {path}, found no {min(missing)}")
    return {name: np.asarray(table[name].to_pylist()) for name in _JUDGES_COLUMNS}
