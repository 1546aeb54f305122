"""Builds the windows that detectors read: sums counts over all partitions, and replaces numbers by names."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.scoring.sittings import SittingCounts
from pipeline.scoring.window import COHORTS, MEASURES, GroupedModelCounts, Window
from pipeline.scoring.window_counter import (
    COHORT,
    HASH_BITS,
    NETWORK,
    PROMPT,
    TRAFFIC,
    WINDOW_WIDTH,
    WindowCounts,
    add_counts,
)
from pipeline.vocabulary.arrays import Int64

_EMPTY = GroupedModelCounts((), (), np.zeros((0, len(MEASURES)), dtype=np.int64))


def build_window(
    start: int,
    parts: Sequence[WindowCounts],
    models: Mapping[int, str],
    networks: Mapping[int, str],
    aliases: Mapping[str, str],
    sittings: SittingCounts | None = None,
) -> Window:
    """Build a window from its counts in each partition.

    Args:
        start: start of the window, microseconds since 1970 UTC.
        parts: counts of the window, one item for each partition; empty for a window without votes.
        models: model number (model_no) → name of the model.
        networks: `network_hash` of a network → its name. A network that is not listed is named by its hash in
            hexadecimal digits.
        aliases: later name of a model → its first name, under which its votes are counted.
        sittings: the sittings that begin in the window; None if a partition did not count voters.

    Returns:
        The window as detectors read it.
    """
    if not parts:
        return Window(start, start + WINDOW_WIDTH, 0, 0, (), _EMPTY.counts, _EMPTY, _EMPTY, _EMPTY, {}, 0)
    rows = parts[0].counts if len(parts) == 1 else add_counts(*(part.counts for part in parts))
    kinds = rows[:, 0] & 3
    traffic = rows[kinds == TRAFFIC][:, [1, 3]].tolist()
    votes_of = {networks.get(group, f"{group:08x}"): votes for group, votes in traffic}
    grouped = {kind: _grouped(rows[kinds == kind], models, networks, aliases) for kind in (COHORT, NETWORK, PROMPT)}
    total = _sum_by_name([("", name) for name in grouped[COHORT].model], grouped[COHORT].counts)
    return Window(
        start,
        start + WINDOW_WIDTH,
        sum(part.accepted for part in parts),
        sum(part.late for part in parts),
        total.model,
        total.counts,
        grouped[COHORT],
        grouped[NETWORK],
        grouped[PROMPT],
        votes_of,
        **_sitting_fields(sittings, networks),
    )


def _sitting_fields(sittings: SittingCounts | None, networks: Mapping[int, str]) -> dict[str, Any]:
    if sittings is None:
        return {}
    named = {networks.get(group, f"{group:08x}"): number for group, number in sittings.by_network.items()}
    return {"sittings": sittings.total, "sampled_sittings": sittings.counted, "sittings_of": named}


def _grouped(
    rows: Int64, models: Mapping[int, str], networks: Mapping[int, str], aliases: Mapping[str, str]
) -> GroupedModelCounts:
    groups = [_group_name(kind & 3, kind >> 2, group, networks) for kind, group in rows[:, :2].tolist()]
    names = [models[number] for number in rows[:, 2].tolist()]
    if aliases:
        names = [aliases.get(name, name) for name in names]
    return _sum_by_name(list(zip(groups, names, strict=True)), rows[:, 3:])


def _sum_by_name(names: list[tuple[str, str]], counts: Int64) -> GroupedModelCounts:
    """Sum the rows that have the same (group, model). Sort the sums by these names, so that their order is fixed."""
    place = {name: i for i, name in enumerate(sorted(set(names)))}
    table = np.zeros((len(place), len(MEASURES)), dtype=np.int64)
    np.add.at(table, [place[name] for name in names], counts)
    return GroupedModelCounts(tuple(group for group, _ in place), tuple(model for _, model in place), table)


def _group_name(kind: int, place: int, group: int, networks: Mapping[int, str]) -> str:
    if kind == COHORT:
        return COHORTS[group]
    if place:
        return f"{group:x}/{HASH_BITS[place]}"  # all hashes that end in these bits
    return networks.get(group, f"{group:08x}") if kind == NETWORK else f"{group:08x}"
