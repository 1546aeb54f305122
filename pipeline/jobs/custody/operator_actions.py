"""Runs the actions of operators on the ledger: retract a vote, erase votes, rotate the signing key."""

from typing import Any

from pipeline import settings as configuration
from pipeline.errors import MissingKey, Usage
from pipeline.jobs.custody import erasure_remains
from pipeline.ledger import manifest
from pipeline.ledger.signed_note import Signer
from pipeline.open_store import existing_store, now
from pipeline.store.alerting import operators_log
from pipeline.store.boards import erasure, voter_labels
from pipeline.store.db import key_files
from pipeline.store.log import manifests, retractions
from pipeline.store.votes import backlog_runs, ingest


def retract(url: str, vote_id: str, reason: str, name: str) -> dict[str, Any]:
    """Retract a vote, and record it in the operators' log. From the next seal on, the vote counts in no view.

    Args:
        url: address of the store.
        vote_id: id of the vote.
        reason: why the vote is retracted. Pseudonyms and codenames in the text are replaced by public labels.
        name: the person who retracts the vote.

    Returns:
        {"vote", "leaf"}: the id of the vote, and the index of its leaf in the vote log.

    Raises:
        Usage: there is no such vote, the vote is not sealed or already retracted, or the reason or name is missing.
    """
    with existing_store(url) as store, store.write() as connection:
        reason = voter_labels.without_names(connection, reason)
        leaf = retractions.retract(connection, ingest.expect_stored(connection, vote_id), vote_id, reason, name, now())
        operator, after = operators_log.process_operator(name), {"leaf": leaf}
        operators_log.record(connection, operator, "vote.retract", vote_id, now(), reason=reason, after=after)
    return {"vote": vote_id, "leaf": leaf}


def erase(
    url: str, *, vote_id: str | None = None, voter_id: str | None = None, name: str | None = None, reason: str = ""
) -> dict[str, Any]:
    """Erase the private fields of one vote, or of all sealed votes of a voter. The voter of a vote is a private field.

    The operators' log records who erased, when, and how many votes, but not which votes.

    Args:
        url: address of the store.
        vote_id: id of the vote; None to erase the votes of a voter.
        voter_id: id of the voter; None to erase one vote.
        name: who erases; None for the login of this process.
        reason: why the fields are erased.

    Returns:
        {"erased": number of votes}. Three more keys may be present. "unsealed" is the number of votes that could not be
        erased because they are not sealed yet. "kafka" lists the records that are still in Kafka
        (`erasure_remains.records_in_kafka`). "old_pages" is True if the database file could not be rewritten.

    Raises:
        Usage: there is no such vote, or the vote is not sealed yet.
    """
    with existing_store(url) as store:
        with store.write() as connection:
            # A backlog that is recorded at the same time would open alerts about the voter.
            backlog_runs.lock_runs(connection)
            reason = voter_labels.without_names(connection, reason)  # before the votes lose their voters
            if voter_id is not None:
                positions = erasure.voter_positions(connection, store.pseudonym(voter_id))
                erased = erasure.erase_voter(connection, store.pseudonym(voter_id), now())
            else:
                positions = [ingest.expect_stored(connection, str(vote_id))]
                erased = erasure.erase_votes(connection, positions)
                if not erased:
                    raise Usage(f"expected a vote that is in the log, got {vote_id}: `integrity refresh` seals it")
            operator, after = operators_log.process_operator(name), {"erased": erased}
            action = "vote.erase" if voter_id is None else "voter.erase"
            operators_log.record(connection, operator, action, "", now(), reason=reason, after=after)
            kafka = erasure_remains.records_in_kafka(connection, positions)
        rewritten = erasure_remains.rewrite_database(store)
    remains = {"unsealed": len(positions) - erased, "kafka": kafka, "old_pages": not rewritten}
    return {"erased": erased, **{name: value for name, value in remains.items() if value}}


def rotate_key(url: str, name: str | None = None, reason: str = "") -> dict[str, Any]:
    """Create a new signing key. The old and the new key sign the next snapshot; only the new key signs later ones.

    Args:
        url: address of the store.
        name: the person who rotates the key; None for the login of this process.
        reason: why the key is rotated.

    Returns:
        {"key", "after"}: the new public key, and the sequence number of the last snapshot that only the old key signed.

    Raises:
        Usage: the keys come from the environment, no snapshot is published, or a rotation is already under way.
        MissingKey: the signing key is missing.
    """
    if configuration.load().ledger_key:
        raise Usage(
            "expected key files, got INTEGRITY_LEDGER_KEY: set it to a new key, and INTEGRITY_LEDGER_KEY_BEFORE to the "
            "old one until a snapshot is signed by both"
        )
    with existing_store(url) as store:
        with store.read() as connection:
            newest = manifests.newest(connection)
        if newest is None:
            raise Usage("expected a published snapshot, got none: no reader knows the current key yet")
        if key_files.read(store.key_folder, key_files.LEDGER_KEY) is None:
            file = store.key_folder / key_files.LEDGER_KEY
            raise MissingKey(f"expected the key that signs snapshots in {file}, got none")
        operator, before = operators_log.process_operator(name), {"key": manifest.load(newest.body).keys[-1]}
        with store.write() as connection:
            try:
                seed = key_files.rotate(store.key_folder)
            except FileExistsError:
                raise Usage(
                    "expected no rotation under way, got one that ends with the next `integrity refresh`"
                ) from None
            reason = voter_labels.without_names(connection, reason)
            key = str(Signer(manifest.load(newest.body).origin, seed).verifier)
            operators_log.record(
                connection, operator, "key.rotate", "", now(), reason=reason, before=before, after={"key": key}
            )
    return {"key": key, "after": newest.sequence}
