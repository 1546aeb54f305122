"""Counts the votes that were sealed between two snapshots, by view and board, without reading older votes."""

from collections.abc import Collection

from sqlalchemy.engine import Connection

from pipeline.compute import style_counts
from pipeline.compute.board_cells import ALL, Label
from pipeline.compute.thread_runner import ThreadRunner
from pipeline.jobs.refresh import method_counts
from pipeline.jobs.refresh.model_axis import ModelAxis
from pipeline.jobs.refresh.rating_input import registered_votes, styled_votes, without_rules
from pipeline.ratings import PairCounts
from pipeline.ratings.method import ALL_VOTES, Method
from pipeline.store.boards.excluded_votes import VotesByPosition
from pipeline.store.log import leaf_index, sealed_boards
from pipeline.store.log.sealed_styles import StyledLog
from pipeline.store.votes import dictionary
from pipeline.vocabulary.fates import COUNTED


def count_new_votes(
    connection: Connection,
    first: int,
    log_size: int,
    left_out: VotesByPosition,
    fates: Collection[int],
    unregistered: Collection[str],
    method: Method,
    names: Collection[str],
) -> dict[str, PairCounts]:
    """Count the votes of the leaves `first` to `log_size` − 1, by view and board.

    They are the votes that a log of `log_size` leaves has and a log of `first` leaves lacks. None of these leaves may
    be a retraction. The smaller log is not read, so the time depends on the number of new votes only.

    Args:
        connection: reads the store.
        first: number of leaves of the smaller log.
        log_size: number of leaves of the larger log.
        left_out: votes of the larger log that exclusions exclude.
        fates: fates of the votes that count in the defended view.
        unregistered: models whose votes do not count.
        method: the method. Its rules leave votes out of every view except the raw view.
        names: views, and names of boards by category or language.

    Returns:
        Name of a view or board → pair counts of its new votes, on the axis of all models of the store.
    """
    axis = ModelAxis(dictionary.model_names(connection))
    labels = {name: Label(*name.split("/", 1)) for name in names if "/" in name}
    boards = sealed_boards.read_new(connection, first, log_size, {ALL, *labels.values()})
    excluded = without_rules(_since(connection, first, left_out), method)
    out = sealed_boards.count_votes(connection, excluded)
    found: dict[str, PairCounts] = {}
    for name in names:
        if name == "style":
            styled = styled_votes(connection, log_size, method, excluded, first)
            counts = count_styled(registered_votes(styled, axis.names, unregistered), axis)
        elif name == "raw":
            counts = axis.pairs(method_counts.counted_rows(boards, ALL, ALL_VOTES, COUNTED))
        else:
            label = labels.get(name, ALL)
            counts = axis.pairs(method_counts.counted_rows(boards, label, method, fates))
            if excluded:
                counts = counts.minus(axis.pairs(method_counts.counted_rows(out, label, method, fates)))
        found[name] = counts.without_models(unregistered)
    return found


def count_styled(votes: StyledLog, axis: ModelAxis) -> PairCounts:
    """Count votes of the style view by pair of models. The `models` of the result are `axis.labels`."""
    found = style_counts.count_styled(votes, axis.positions, len(axis.labels), ThreadRunner())
    return found.pair_counts(axis.labels)


def _since(connection: Connection, first: int, votes: VotesByPosition) -> VotesByPosition:
    """Return the votes whose leaves are not among the first `first` leaves of the log."""
    ends = leaf_index.next_offsets(connection, first)
    return {place: row for place, row in votes.items() if place[1] >= ends.get(place[0], 0)}
