"""Finds the voters and votes that a decision would exclude or restore, and checks that they exist."""

from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.store.alerting import alert_queries, voter_record
from pipeline.store.boards import exclusion_list
from pipeline.store.boards.exclusion_effect import ExclusionTarget
from pipeline.store.votes import ingest
from pipeline.store.votes.vote_selections import VoteSelection


def targets_of(connection: Connection, action: str, target: str) -> list[ExclusionTarget]:
    """Return the voters and votes that an exclusion or its undoing would change, as pairs (kind, target).

    Nothing is changed. `action` is `exclude` or `restore`. `target` is as for `change_exclusion`: the id of an alert,
    voter:PSEUDONYM, vote:ID, or votes:from=TIME,to=TIME[,…].

    Raises:
        UnknownAlert: no alert has this id.
        Usage: the target is invalid or does not exist, the alert names no votes, or there is nothing to restore.
    """
    return find_targets(connection, action, target)[0]


def find_targets(connection: Connection, action: str, target: str) -> tuple[list[ExclusionTarget], str | None]:
    """Return what to exclude or restore, and the id of the alert that `target` names; None for a vote or voter."""
    kind, sign, subject = target.partition(":")
    if sign:
        if kind == "votes":
            subject = str(VoteSelection.parse(subject))
        _expect_target(connection, action, kind, subject)
        return [(kind, subject)], None
    found = alert_queries.find_alert(connection, target)
    if action == "restore":
        excluded = [(e.kind, e.target) for e in exclusion_list.read_active_of_alert(connection, target)]
        if not excluded:
            raise Usage(f"alert {target}: none of its votes are excluded; `integrity alerts exclusions` lists what is")
        return excluded, target
    if found["subject"]["kind"] == "voter":
        return [("voter", found["subject"]["id"])], target
    members = alert_queries.group_members(connection, target)
    if members:
        return [("voter", voter) for voter in members], target
    selection = str(alert_queries.select_votes(found))
    _expect_target(connection, action, "votes", selection)
    return [("votes", selection)], target


def _expect_target(connection: Connection, action: str, kind: str, subject: str) -> None:
    """Check that a target exists, and that a restore would change something.

    A voter who is not excluded may be restored too: the policy then never excludes this voter.

    Args:
        connection: reads the store.
        action: "exclude" or "restore".
        kind, subject: the target, such as "voter" and a pseudonym.

    Raises:
        Usage: there is no such target, or a restore would change nothing. The message names the target.
    """
    exclusion_list.expect_kind(action, kind)
    if kind == "voter":
        voter = exclusion_list.parse_voter(subject)
        if not (voter_record.has_voter(connection, voter) or exclusion_list.has_entry(connection, kind, subject)):
            raise Usage(
                f"expected the pseudonym of a voter with stored votes, got {subject!r}: "
                "`integrity pseudonym VOTER_ID` gives it"
            )
        return
    if kind == "vote":
        ingest.expect_stored(connection, subject)
    if action == "restore" and (kind, subject) not in active_targets(connection):
        raise Usage(f"expected an exclusion in force, got {kind}:{subject}: `integrity alerts exclusions` lists them")
    if kind == "votes" and action == "exclude":
        selected = voter_record.count_selected(connection, VoteSelection.parse(subject))["votes"]
        if not selected:
            raise Usage(f"expected a selection of at least one counted vote, got none for votes:{subject}")


def active_targets(connection: Connection) -> set[ExclusionTarget]:
    """Return the exclusions in force, as pairs (kind, target)."""
    return {(one.kind, one.target) for one in exclusion_list.read_active(connection)}
