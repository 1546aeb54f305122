"""Finds the providers of models, by the names of the models and a shipped table of identities.

A name such as `provider/model` names its provider. Any other name has a provider if it contains the name of exactly one
provider or of one of its model families (`pipeline.formats.identity_table`). If a name contains the names of two
providers, the model has no known provider. Distilled models have such names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.formats.identity_table import IdentityTable, load_identities
from pipeline.vocabulary.arrays import Int32


def find_providers(models: Sequence[str]) -> tuple[tuple[str, ...], Int32] | None:
    """Find the provider of each model.

    Args:
        models: names of the K models.

    Returns:
        Two values: the names of the providers, sorted; and int32[K], the position of each model's provider among them,
            −1 if it is unknown. None if no provider has two models.
    """
    table = load_identities()
    found = [_provider(name, table) for name in models]
    names = tuple(sorted({one for one in found if one}))
    place = {name: code for code, name in enumerate(names)}
    codes = np.array([place.get(one, -1) for one in found], dtype=np.int32)
    if not names or np.bincount(codes[codes >= 0]).max() < 2:
        return None
    return names, codes


def _provider(name: str, table: IdentityTable) -> str:
    """Return the name of a model's provider, in plain words; "" if it is unknown."""
    stated, _, model = name.partition("/")
    identities = table.of_model(stated if model else name)
    if len(identities) == 1:
        return min(identities[0].names)
    return stated.strip().lower() if model else ""
