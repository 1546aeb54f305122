"""Checks a manifest alone: that its claims have the right form and do not contradict each other.

Whether claims follow from the votes is checked in `published_views`.
"""

import re
from collections import Counter
from collections.abc import Iterable

from ..errors import Refuted
from ..vocabulary.method_rules import RULE_BITS
from . import leaf_labels, signed_note
from .manifest import Manifest, PublishedMethod, PublishedView
from .manifest_notices import check_notice_form
from .signed_note import VerifierKey

MAX_NAME = 200
"""Largest number of characters of a name."""

MAX_BOARDS = 200
"""Largest number of boards by category and language in a snapshot."""

_MAX_ADDRESS = 300

_TIME = re.compile(
    r"[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z",
    re.ASCII,
)
_SEVERITIES = ("info", "warning", "critical")
_LOCK = re.compile(r"([0-9a-f]{64})?", re.ASCII)


def check_claims(given: Manifest, where: str) -> None:
    """Check that the claims of a manifest have the right form and do not contradict each other.

    Args:
        given: the manifest.
        where: name of its file, for messages.

    Raises:
        Refuted: the reason is the part of the manifest that is wrong: `fields`, `key`, `exclusion`, `alerts`,
            `unregistered`, `unrated`, `notices`, `watermark`, `method` or `boards`. The message names the place.
    """
    _expect(bool(_TIME.fullmatch(given.at)), "fields", f"{where}.at", f"expected a time in UTC, got {given.at[:80]!r}")
    _expect(
        0 < len(given.board) <= MAX_NAME, "fields", f"{where}.board", f"expected a name of 1 to {MAX_NAME} characters"
    )
    _expect(bool(_LOCK.fullmatch(given.code.lock_sha256)), "fields", f"{where}.code.lock_sha256", "expected a digest")
    _expect_once(given.keys, "key", f"{where}.keys")
    _expect_once(given.witnesses, "key", f"{where}.witnesses")
    for text in given.witnesses:
        kind = VerifierKey.parse(text, f"{where}.witnesses").kind
        _expect(kind == signed_note.COSIGNATURE, "key", f"{where}.witnesses", "expected keys of witnesses")
    for place, one in enumerate(given.exclusions):
        good = one.kind and one.target and one.reason.strip() and one.name.strip()
        _expect(bool(good), "exclusion", f"{where}.exclusions[{place}]", "expected kind, target, reason and name")
    _expect_once((one.id for one in given.alerts), "alerts", f"{where}.alerts")
    for place, alert in enumerate(given.alerts):
        known = alert.severity in _SEVERITIES
        _expect(known, "alerts", f"{where}.alerts[{place}]", f"expected a severity of {', '.join(_SEVERITIES)}")
    _expect([one.id for one in given.alerts] == sorted(one.id for one in given.alerts), "alerts", f"{where}.alerts",
            "expected the alerts sorted by id")  # fmt: skip
    _expect_once((f"{one.source} {one.partition}" for one in given.watermark), "watermark", f"{where}.watermark")
    if given.unregistered is not None:
        listed = list(given.unregistered)
        each_once = bool(listed) and listed == sorted(set(listed))
        _expect(each_once, "unregistered", f"{where}.unregistered", "expected names, each once, sorted")
    check_notice_form(given.notices, given.sequence, f"{where}.notices")
    if given.appeals is not None:
        readable = 0 < len(given.appeals) <= _MAX_ADDRESS and given.appeals.isprintable()
        _expect(readable, "fields", f"{where}.appeals", f"expected one line of 1 to {_MAX_ADDRESS} visible characters")
    for name, view in (("raw", given.views.raw), ("defended", given.views.defended)):
        _check_view(view, f"{where}.views.{name}")
    if given.method is not None:
        _check_method(given.method, f"{where}.method")
    if given.boards is not None:
        _check_boards(given, f"{where}.boards")


def _check_method(method: PublishedMethod, where: str) -> None:
    named = 0 < len(method.name) <= MAX_NAME and method.name.isprintable()
    _expect(named, "method", f"{where}.name", f"expected one line of 1 to {MAX_NAME} visible characters")
    ordered = tuple(rule for rule in RULE_BITS if rule in method.rules)
    _expect(method.rules == ordered, "method", f"{where}.rules", f"expected rules of {', '.join(RULE_BITS)}, in order")
    counted = method.left_out.keys() == set(method.rules)
    _expect(counted, "method", f"{where}.left_out", "expected a number for each rule, and for no other")


def _check_boards(given: Manifest, where: str) -> None:
    boards = given.boards or {}
    _expect(0 < len(boards) <= MAX_BOARDS, "boards", where, f"expected 1 to {MAX_BOARDS} boards, or no such field")
    _expect(given.method is not None, "boards", where, "expected a method, by whose rules the boards count")
    for name, view in boards.items():
        kind, _, text = name.partition("/")
        good = kind in leaf_labels.KINDS and 0 < len(text) <= leaf_labels.MAX_TEXT
        _expect(good, "boards", f"{where}.{name[:80]}", f"expected {' or '.join(leaf_labels.KINDS)}, / and a label")
        _check_view(view, f"{where}.{name}")


def _check_view(view: PublishedView, where: str) -> None:
    names = [row.model for row in view.rows] + [one.model for one in view.unrated]
    for name in names:
        _expect(0 < len(name) <= MAX_NAME, "fields", where, f"expected names of 1 to {MAX_NAME} characters")
    _expect_once((one.model for one in view.unrated), "unrated", where)
    unrated = [one.model for one in view.unrated]
    _expect(unrated == sorted(unrated), "unrated", where, "expected the unrated models sorted by name")


def _expect_once(texts: Iterable[str], reason: str, where: str) -> None:
    text, count = next(iter(Counter(texts).most_common(1)), ("", 1))
    _expect(count == 1, reason, where, f"expected each once, got {text[:80]!r} {count} times")


def _expect(good: bool, reason: str, where: str, detail: str) -> None:
    if not good:
        raise Refuted(reason, where, detail)
