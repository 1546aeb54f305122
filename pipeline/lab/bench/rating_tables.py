"""Writes the tables of votes on which rating engines are compared.

The same seed gives the same rows. Each table is written once in a run, and all engines read the same Parquet file.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lab.simulate.pair_rates import real_counts
from pipeline.vocabulary.arrays import Float64, Int32, Int64
from pipeline.vocabulary.outcomes import OUTCOMES

FEATURES = ("tokens", "headers", "lists", "bold")
# Published coefficients, for one standard deviation: length, headers, lists, bold.
_GAMMA = np.array([0.249, 0.024, 0.031, 0.019])
# Ties are likelier between close models; with this factor a third of the synthetic votes are ties.
_TIES = 0.99


def write_real_votes(path: Path, seed: int = 20240814) -> int:
    """Write a table with a row for every vote of the shipped pair counts, in random order.

    Which of the two models is on the left is random too.

    Args:
        path: the Parquet file to write.
        seed: seed of the order of the rows and of the sides.

    Returns:
        The number of rows.
    """
    counts = real_counts()
    table = counts.table()
    votes = table.ravel()
    a, b = (np.repeat(np.repeat(codes, len(OUTCOMES)), votes) for codes in (counts.a, counts.b))
    outcome = np.repeat(np.tile(np.arange(len(OUTCOMES)), len(table)), votes)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(a))
    a, b, outcome = a[order], b[order], outcome[order]
    flip = rng.random(len(a)) < 0.5
    left, right = np.where(flip, b, a), np.where(flip, a, b)
    _write(path, counts.models, left, right, np.where(flip & (outcome < 2), 1 - outcome, outcome), {})
    return len(a)


def write_synthetic_votes(path: Path, votes: int = 2_000_000, models: int = 243, seed: int = 7) -> int:
    """Write a table of simulated votes with style counts. A third of the votes are ties.

    The frequency of models in battles is log-normal.

    Args:
        path: the Parquet file to write.
        votes: number of votes.
        models: number of models.
        seed: seed of the simulation.

    Returns:
        The number of rows.
    """
    rng = np.random.default_rng(seed)
    theta = rng.normal(0, 0.75, models)
    popularity = rng.lognormal(0, 1, models)
    popularity /= popularity.sum()
    a, b = (rng.choice(models, votes, p=popularity) for _ in range(2))
    while (same := a == b).any():
        b[same] = rng.choice(models, int(same.sum()), p=popularity)
    verbosity = rng.lognormal(5.8, 0.4, models)
    style = {side: _style(rng, verbosity[codes]) for side, codes in (("a", a), ("b", b))}
    z = (style["a"] - style["b"]) / (style["a"] + style["b"] + 1)
    p = 1 / (1 + np.exp(theta[b] - theta[a] - (z / z.std(axis=0)) @ _GAMMA))
    tie = _TIES * np.minimum(p, 1 - p)
    draw = rng.random(votes)
    # P(a wins) = p − tie/2, so that a tie as half a win gives p back.
    outcome = np.where(draw < tie, np.where(draw < tie / 2, 2, 3), np.where(draw < tie / 2 + p, 0, 1))
    names = tuple(f"provider-{k % 17}/model-{k:03d}-instruct" for k in range(models))
    columns = {
        f"{name}_{side}": counts[:, place].astype(np.int32)
        for side, counts in style.items()
        for place, name in enumerate(FEATURES)
    }
    _write(path, names, a, b, outcome, columns)
    return votes


def _style(rng: np.random.Generator, length: Float64) -> Int64:
    tokens = rng.poisson(length * rng.lognormal(0, 0.6, len(length)))
    return np.stack([tokens, *(rng.poisson(tokens / per) for per in (220, 70, 90))], axis=1)


def _write(path: Path, names: tuple[str, ...], a: Int64, b: Int64, outcome: Int64, columns: dict[str, Int32]) -> None:
    texts = {
        column: pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(labels)).cast(pa.string())
        for column, codes, labels in (
            ("model_a", a, list(names)),
            ("model_b", b, list(names)),
            ("winner", outcome, list(OUTCOMES)),
        )
    }
    # Plain strings, not dictionary-encoded: encoding them is part of every engine's task.
    pq.write_table(pa.table({**texts, **columns}), path, use_dictionary=False, compression="zstd")
