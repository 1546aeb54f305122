"""Counts the votes that a decision moves into or out of the defended view at the next refresh.

A refresh first applies the policies, which exclude voters automatically. It then uses all exclusions that are in force.
The effect of a decision is the difference between the exclusions with the decision and without it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from pipeline.store.boards import excluded_votes, exclusion_list

ExclusionTarget = tuple[str, str]
"""(kind, target) of an exclusion: "voter" and a pseudonym, "vote" and an id, or "votes" and the text of a selection."""


@dataclass(frozen=True, slots=True)
class NextRefresh:
    """Counts the votes that the next refresh moves into the defended view (`votes_in`) and out of it (`votes_out`)."""

    votes_in: int
    votes_out: int

    def __str__(self) -> str:
        """Return `votes_in` and `votes_out` as a clause for messages: no first capital letter, no full stop."""
        if not self.votes_in and not self.votes_out:
            return "no vote moves into or out of the defended view at the next refresh"
        moves = ((self.votes_in, "into"), (self.votes_out, "out of"))
        parts = [f"{n:,} {'vote goes' if n == 1 else 'votes go'} {where}" for n, where in moves if n]
        return f"{' and '.join(parts)} the defended view at the next refresh"


def expected_exclusions(
    connection: Connection, *, auto_voter: bool, resolved: Collection[str] = ()
) -> frozenset[ExclusionTarget]:
    """Return the exclusions that the next refresh would use if it began now.

    Args:
        connection: reads the store.
        auto_voter: whether the policies `auto-voter/1` and `backfill-voter/1` are in use.
        resolved: ids of alerts that count as resolved, whatever their state.
    """
    found = {(one.kind, one.target) for one in exclusion_list.read_active(connection)}
    for action, subject, *_ in exclusion_list.policy_changes(connection, resolved) if auto_voter else ():
        change = found.add if action == "exclude" else found.discard
        change(("voter", subject))
    return frozenset(found)


def count_change(
    connection: Connection, before: frozenset[ExclusionTarget], after: frozenset[ExclusionTarget], left_out: int = 0
) -> NextRefresh:
    """Count the votes that a change of exclusions moves into and out of the defended view.

    A vote that is excluded both before and after the change is not counted.

    Args:
        connection: reads the store.
        before, after: the exclusions in force before and after the change.
        left_out: bits of the method's rules. A vote with one of these bits is not counted, because the method leaves it
            out of the defended view anyway.
    """
    kept = before & after
    return NextRefresh(
        _count(connection, before - after, kept, left_out), _count(connection, after - before, kept, left_out)
    )


def _count(
    connection: Connection, changed: frozenset[ExclusionTarget], kept: frozenset[ExclusionTarget], left_out: int
) -> int:
    """Count the votes that an exclusion in `changed` covers and that nothing else leaves out.

    Votes that an exclusion in `kept` covers, or that have a flag among the bits `left_out`, are not counted.
    """
    if not changed:
        return 0
    as_entries = [[{"kind": kind, "target": target} for kind, target in sorted(some)] for some in (changed, kept)]
    found = excluded_votes.find_excluded(connection, None, as_entries[0])
    votes = {place: row for place, row in found.items() if not row.flags & left_out}
    by = excluded_votes.attribute_to_entries(connection, votes, as_entries[1])
    return sum(entry == len(kept) for entry in by.values())
