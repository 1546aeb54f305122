"""Rates a board after each of the four steps from one snapshot to the next: settings, method, exclusions, new votes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.compute.board_cells import ALL, Label
from pipeline.errors import RatingError
from pipeline.jobs.refresh.board_method import stated_method
from pipeline.jobs.refresh.board_rows import rate_view
from pipeline.jobs.refresh.model_axis import ModelAxis
from pipeline.jobs.refresh.new_votes import count_styled
from pipeline.jobs.refresh.rating_input import RatingInput, counted_fates, read_rating_input
from pipeline.jobs.refresh.style_view import rate_style_view
from pipeline.ledger import segment
from pipeline.ratings import Leaderboard, PairCounts
from pipeline.ratings.method import ALL_VOTES, Method
from pipeline.settings import Settings
from pipeline.store.boards import excluded_votes
from pipeline.store.boards.excluded_votes import VotesByPosition
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.db import dialect
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import leaf_index
from pipeline.vocabulary.method_rules import RULE_BITS

STEPS = ("settings", "method", "exclusions", "votes")
# Settings that a rating of given votes depends on.
_RATING = ("anchor", "least_share")

Row = Mapping[str, Any]
Points = dict[str, float | None]


def changed_rules(before: PublishedSnapshot, after: PublishedSnapshot) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return two tuples of rules: those that only the newer method has, and those that only the older method has."""
    old, new = (stated_method(one.body).rules for one in (before, after))
    return tuple(rule for rule in new if rule not in old), tuple(rule for rule in old if rule not in new)


@dataclass(frozen=True, slots=True)
class StepInputs:
    """The votes that are counted after each step from one snapshot to the next, for rating the boards after each step.

    Attributes:
        before: the votes of the older snapshot.
        methods: the step "method", rule by rule. Name of a rule that changed → the votes of the older log that are
            counted after the change. Each item includes the changes of all items before it.
        exclusions: the votes of the older log, with the method and the exclusions of the newer snapshot.
        after: the votes of the newer snapshot.
    """

    before: RatingInput
    methods: Mapping[str, RatingInput]
    exclusions: RatingInput
    after: RatingInput

    @classmethod
    def read(
        cls,
        connection: Connection,
        files: LedgerFiles,
        before: PublishedSnapshot,
        after: PublishedSnapshot,
        names: Collection[str],
        newest: RatingInput | None = None,
    ) -> "StepInputs":
        """Read the votes that are counted after each step, for all views and boards in `names`.

        Args:
            connection: a connection to the store.
            files: the ledger files of the store.
            before: the older snapshot.
            after: the newer snapshot.
            names: views, and names of boards by category or language, that are compared.
            newest: the votes of the newer snapshot, if the caller has read them for the same names. None to read them
                here.
        """
        old, new = (stated_method(one.body).rules for one in (before, after))
        boards = [ALL, *(Label(*name.split("/", 1)) for name in names if "/" in name)]

        def counted(log_size: int, by: PublishedSnapshot, rules: Collection[str]) -> RatingInput:
            # Of a board, all votes are compared, whether they are enough for a board or not.
            method = replace(ALL_VOTES, rules=tuple(one for one in RULE_BITS if one in rules))
            return _input(connection, files, log_size, by, method, boards)

        step, methods = set(old), {}
        for rule in (one for one in RULE_BITS if (one in old) != (one in new)):
            step ^= {rule}
            methods[rule] = counted(before.log_size, before, step)
        base = counted(before.log_size, before, old)
        last = list(methods.values())[-1] if methods else base
        same = _counted_by(before) == _counted_by(after)
        exclusions = last if same else counted(before.log_size, after, new)
        return cls(base, methods, exclusions, newest or counted(after.log_size, after, new))


def _counted_by(snapshot: PublishedSnapshot) -> tuple[Any, ...]:
    """Return the exclusions, the unregistered models and the counted fates of a snapshot.

    Together with the method, they decide which votes the snapshot counts.
    """
    body = snapshot.body
    return body["exclusions"], body.get("unregistered", []), counted_fates(body)


def differ_by_votes_only(before: PublishedSnapshot, after: PublishedSnapshot) -> bool:
    """Return whether two snapshots have the same rules, exclusions, unregistered models and settings."""
    same_rules = changed_rules(before, after) == ((), ())
    return same_rules and _counted_by(before) == _counted_by(after) and _options(before) == _options(after)


def attribute_points(
    before: PublishedSnapshot,
    after: PublishedSnapshot,
    view: str,
    chain: StepInputs | None,
    old: Mapping[str, Row],
    new: Mapping[str, Row],
) -> tuple[dict[str, tuple[Points, Points]], str]:
    """Divide the rating change of each model among the steps.

    The change by the step "method" is also divided among the rules of the method.

    Only models that are on the boards of both snapshots are included.

    Args:
        before: the older snapshot.
        after: the newer snapshot.
        view: a view, or the name of a board by category or language.
        chain: the votes that are counted after each step of the comparison. None if the snapshots differ by new votes
            only.
        old: model → its row in the older snapshot.
        new: model → its row in the newer snapshot.

    Returns:
        Two values. The first is model → (step → rating change, rule → rating change), in points. The second is the
        reason why some changes are None; "" if all changes are known.
    """
    start, end = ({model: row["rating"] for model, row in rows.items()} for rows in (old, new))
    if chain is None:
        still, both = dict.fromkeys(STEPS[:-1], 0.0), [model for model in old if model in new]
        # Ratings have two decimals, so the difference rounded by numpy is the one that `_difference` gives.
        changes = np.array([end[model] for model in both]) - np.array([start[model] for model in both])
        rounded = (np.round(changes, 2) + 0.0).tolist()
        return {model: ({**still, STEPS[-1]: by}, {}) for model, by in zip(both, rounded, strict=True)}, ""
    options = [_options(one) for one in (before, after)]
    rating = _StepRatings({model: row["rating"] for model, row in old.items()}, view, options[1])
    settings = rating.after("settings", chain.before, changed=options[0] != options[1])
    ends, last = [settings], chain.before
    for rule, given in chain.methods.items():
        ends.append(rating.after(f"method, {rule}", given, changed=_changed(last, given, view)))
        last = given
    exclusions = rating.after("exclusions", chain.exclusions, changed=_changed(last, chain.exclusions, view))
    points = {}
    for model in old.keys() & new.keys():
        at = [None if one is None else one.get(model) for one in (start, settings, ends[-1], exclusions, end)]
        by_rule = [None if one is None else one.get(model) for one in ends]
        points[model] = _differences(STEPS, at), _differences(tuple(chain.methods), by_rule)
    return points, rating.reason


def _differences(names: Sequence[str], at: Sequence[float | None]) -> Points:
    """Return name of a step → rating after the step minus rating before it; None if one of the ratings is unknown."""
    return {
        name: None if first is None or second is None else _difference(first, second)
        for name, first, second in zip(names, at[:-1], at[1:], strict=True)
    }


def _difference(first: float, second: float) -> float:
    return round(second - first, 2) + 0.0


class _StepRatings:
    """Rates the votes after each step from an older snapshot to a newer one. A step without changes keeps the ratings.

    Attributes:
        reason: why the votes after a step cannot be rated; "" if the votes after each step can be rated.
    """

    def __init__(self, start: Mapping[str, float], view: str, options: Settings) -> None:
        self.reason = ""
        self._now: Mapping[str, float] | None = start
        self._view, self._options = view, options

    def after(self, step: str, given: RatingInput, *, changed: bool) -> Mapping[str, float] | None:
        """Return model → rating after a step, None if the votes have no rating."""
        if changed:
            try:
                self._now = _ratings(given, self._view, self._options)
            except RatingError as error:
                self.reason, self._now = f"{step}: {error}", None
        return self._now


def _changed(first: RatingInput, second: RatingInput, view: str) -> bool:
    """Return whether two rating inputs differ in the counts of the view."""
    if view == "raw" or first is second:
        return False
    old, new = (view_counts(one, view).win_matrix() for one in (first, second))
    return first.excluded != second.excluded or not np.array_equal(old, new)


def view_counts(given: RatingInput, view: str) -> PairCounts:
    """Return the pair counts of a view or board.

    `view` is the name of a view, or of a board by category or language.
    """
    if "/" in view:
        return given.board(view)
    if view != "style":
        return given.views[view]
    return count_styled(given.styled, ModelAxis({number: name for name, number in given.model_no.items()}))


def _ratings(given: RatingInput, view: str, options: Settings) -> Mapping[str, float]:
    shown: Leaderboard | None
    if view == "style":
        styled = rate_style_view(given.styled, {number: name for name, number in given.model_no.items()}, options)
        shown = styled.board
        if shown is None:
            raise RatingError(styled.reason)
    else:
        shown = rate_view(view_counts(given, view), options)
    return dict(zip(shown.models, shown.rating.tolist(), strict=True))


def read_counted_votes(connection: Connection, files: LedgerFiles, by: PublishedSnapshot) -> RatingInput:
    """Read the votes that a snapshot counts in its views. Its boards by category and language are not read."""
    return _input(connection, files, by.log_size, by, stated_method(by.body), [ALL])


def _input(
    connection: Connection,
    files: LedgerFiles,
    log_size: int,
    by: PublishedSnapshot,
    method: Method,
    boards: Collection[Label],
) -> RatingInput:
    """Read the votes of a log that count by the exclusions of the snapshot `by` and by the rules of `method`."""
    waiting, listed = by.body.get("unregistered", ()), by.body["exclusions"]
    left_out = read_left_out(connection, files, log_size, by)
    return read_rating_input(connection, log_size, listed, left_out, counted_fates(by.body), waiting, method, boards)


def read_left_out(
    connection: Connection, files: LedgerFiles, log_size: int, by: PublishedSnapshot
) -> VotesByPosition | None:
    """Read the votes that the exclusions of a snapshot exclude, from the snapshot's file of excluded leaves.

    The file is for database roles that may not read voters. For a role that may read voters, None is returned; the
    caller then finds the votes by the voters that the exclusions name.
    """
    if dialect.may_read(connection, "vote", "voter"):
        return None
    leaves = segment.read_excluded(files.get(by.body["excluded"]["sha256"]), by.snapshot_id)["leaf"].to_pylist()
    places = leaf_index.find_votes(connection, [leaf for leaf in leaves if leaf < log_size])
    return excluded_votes.read_votes_at(connection, places.values())


def _options(snapshot: PublishedSnapshot) -> Settings:
    """Return the settings of a snapshot that ratings depend on, without those that this version does not know."""
    known = Settings.model_fields.keys() & set(_RATING)
    return _settings(tuple((name, value) for name, value in sorted(snapshot.body["settings"].items()) if name in known))


@cache
def _settings(values: tuple[tuple[str, Any], ...]) -> Settings:
    """Return settings with these values.

    The result is cached, because creating settings reads the environment, which takes over a millisecond. All boards of
    a snapshot have the same settings.
    """
    return Settings(**dict(values))
