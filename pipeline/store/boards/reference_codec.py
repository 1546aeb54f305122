"""Packs the reference of a snapshot as bytes, and unpacks stored bytes.

Detectors compare votes with a reference: strengths of models and their covariance. For a small board, the whole
covariance matrix is stored. For a large board, only the variances and the covariances of pairs that met in a battle are
stored.

For a pair that never met, the standard error of the difference is then taken as the sum of the two standard errors.
This is its largest possible value. A vote on such a pair becomes weaker evidence, never stronger.
"""

import io
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.evidence import Reference
from pipeline.evidence.taste import ASSUMED_TASTE, Taste
from pipeline.store.db import schema
from pipeline.vocabulary.arrays import Float64, Int32

# Up to so many models the whole covariance is kept (32 KB).
_SMALL_BOARD = 64
# Bytes of a covariance, and of one with its pair.
_CELL, _PAIR = 8, 16


def pack_reference(reference: Reference, pairs: tuple[Int32, Int32] | None = None) -> bytes:
    """Pack a reference as bytes, in numpy's format npz without pickled objects.

    The sequence number is not packed. On a board of at most 64 models, the whole covariance matrix is packed. On a
    larger board, the variances and the covariances of `pairs` are packed, if this takes fewer bytes.

    Args:
        reference: the reference of a snapshot.
        pairs: two arrays int32[p]. They are the positions in `theta` of the first and of the second model of each pair
            that met in a battle. None packs the whole covariance matrix.
    """
    size = len(reference.theta)
    ties = np.array([reference.tie_share, *reference.tie_prior])
    arrays: dict[str, Any] = {"model_no": reference.model_no, "theta": reference.theta, "ties": ties}
    taste = reference.taste
    arrays["taste"] = np.array([taste.sd, taste.error, taste.sharpness, taste.models])
    if reference.left_out:
        arrays["left_out"] = np.array([reference.left_out])
    if reference.providers is not None:
        arrays["providers"] = reference.providers.astype(np.int32)
    if pairs is None or size <= _SMALL_BOARD or len(pairs[0]) * _PAIR >= size**2 * _CELL:
        arrays["covariance"] = reference.covariance
    else:
        first, second = (np.asarray(one, dtype=np.int32) for one in pairs)
        arrays |= {"pairs": np.stack([first, second]), "of_pairs": reference.covariance[first, second]}
        arrays["variance"] = np.diag(reference.covariance)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack_reference(sequence: int, raw: bytes) -> Reference:
    """Unpack a reference from the bytes that `pack_reference` returned.

    Args:
        sequence: sequence number of the reference's snapshot.
        raw: the bytes that `pack_reference` returned.
    """
    with np.load(io.BytesIO(raw), allow_pickle=False) as data:
        share, alpha, beta = data["ties"].tolist()
        covariance = data["covariance"] if "covariance" in data else _covariance(data)
        left_out = int(data["left_out"][0]) if "left_out" in data else 0
        return Reference(
            sequence, data["model_no"], data["theta"], covariance, share, (alpha, beta), _taste(data),
            None if "providers" not in data else data["providers"].astype(np.int64), left_out,
        )  # fmt: skip


def _taste(data: Any) -> Taste:
    """Return how far the tastes of honest voters differ, as a stored reference states it.

    A reference of an early version states nothing; the default is returned for it.
    """
    if "taste" not in data:
        return ASSUMED_TASTE
    sd, error, sharpness, models = data["taste"].tolist()
    return Taste(sd, error, sharpness, int(models))


def _covariance(data: Any) -> Float64:
    variance, (first, second) = data["variance"], data["pairs"]
    error = np.sqrt(np.maximum(variance, 0))
    result: Float64 = -np.outer(error, error)
    np.fill_diagonal(result, variance)
    result[first, second] = result[second, first] = data["of_pairs"]
    return result


def read_reference(connection: Connection, sequence: int) -> Reference | None:
    """Return the strengths and covariances by which detectors evaluate votes after a published snapshot.

    None if nothing is stored for the snapshot with this sequence number.
    """
    c = schema.snapshot.c
    raw = connection.scalar(sa.select(c.reference).where(c.sequence == sequence))
    return unpack_reference(sequence, bytes(raw)) if raw else None
