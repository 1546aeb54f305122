"""Implements the command `leaderboard-verify`, for readers who check a leaderboard without installing the pipeline.

The exit status is 0 if the bundle or receipt is verified. It is 2 for a usage error, such as a mistyped path or key. It
is 4 if something is not verified; the first fault is then on standard error. It is 70 after an unexpected error. Names
and texts of a bundle come from the operator, so they are printed through `visible`.
"""

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import Refuted, Usage
from ..vocabulary.command_parser import CommandParser
from ..vocabulary.visible_text import json_text, visible
from . import receipt, verifier_input
from .bundle_verification import VerifiedBundle, verify_bundle
from .signed_note import VerifierKey

# Not 1, which scripts may take for a finding (EX_SOFTWARE of sysexits.h).
_CRASHED = 70


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the given arguments (default: `sys.argv`) and exit with its status."""
    try:
        status = run(sys.argv[1:] if arguments is None else arguments)
    except Exception:
        sys.stderr.write(visible(traceback.format_exc(), lines=True))
        status = _CRASHED
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run the command: print the result of the check, and return the exit status (0, 2 or 4).

    An option that cannot be parsed exits with status 2.
    """
    given = _parser().parse_args(arguments)
    if (given.bundle is None) == (given.receipt is None):
        _parser().error("expected a bundle, or --receipt FILE")
    try:
        keys = verifier_input.read_keys(given.key)
        found = _receipt(given.receipt, keys) if given.bundle is None else _bundle(given, keys)
    except (Usage, Refuted) as fault:
        usage = isinstance(fault, Usage)
        if given.json:
            place = {"reason": fault.reason, "where": fault.where} if isinstance(fault, Refuted) else {"error": "Usage"}
            _print({"verified": False, "message": str(fault), **place})
        told = f"leaderboard-verify: error: {fault}" if usage else f"NOT verified: {fault}"
        sys.stderr.write(visible(told) + "\n")
        return 2 if usage else 4
    if given.json:
        _print(found)
    else:
        sys.stderr.write(f"{visible(found['verdict'])}\n")
    return 0


def verdict_document(found: VerifiedBundle) -> dict[str, Any]:
    """Return the result of a successful verification as a JSON object, for the option --json.

    It states the snapshot, the size of its vote log, the signer, the witnesses and the verdict as a sentence.
    """
    return {
        "verified": True,
        "snapshot": found.sha256,
        "sequence": found.manifest.sequence,
        "board": found.manifest.board,
        "leaves": found.manifest.vote_log.size,
        "signer": str(found.signer),
        "key_checked": found.key_checked,
        "witnesses": list(found.witnesses),
        "statements": list(found.statements),
        "verdict": str(found),
    }


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="leaderboard-verify", description="Check a leaderboard's proofs, offline.")
    parser.add_argument("bundle", nargs="?", type=Path, help="a folder or a zip")
    parser.add_argument(
        "--key", action="append", default=[], help="the operator's key, from a trusted source; may be repeated"
    )
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint of the same log that you kept")
    parser.add_argument("--receipt", type=Path, help="check a vote's receipt instead")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return parser


def _bundle(given: argparse.Namespace, keys: list[VerifierKey]) -> dict[str, Any]:
    kept = None if given.checkpoint is None else verifier_input.read_kept(given.checkpoint)
    return verdict_document(verify_bundle(verifier_input.open_path(given.bundle), keys, kept))


def _receipt(path: Path, keys: list[VerifierKey]) -> dict[str, Any]:
    if not keys:
        raise Usage("--key: expected the operator's key, since a receipt contains none")
    given = verifier_input.read_receipt(path)
    head = receipt.check(given, keys)
    verdict = f"vote {given.vote} is leaf {given.leaf} of the {head.size} leaves of {head.origin}"
    return {"verified": True, "vote": given.vote, "leaf": given.leaf, "leaves": head.size, "verdict": verdict}


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(json_text(document) + "\n")
