"""Checks the labels of a bundle: the rules, categories and languages that the operator states for votes.

Four things are checked. Each label file of the previous manifest is listed with the same digest. A segment that had no
labels in the previous manifest has none now. Each label belongs to a vote of the log. Each rule of the method leaves
out exactly the published number of votes.
"""

import numpy as np

from ..errors import Refuted
from ..vocabulary.arrays import Bool
from ..vocabulary.method_rules import ALL_BITS, count_by_first_rule, rule_mask
from . import leaf_labels, size_limits
from .bundle import MANIFEST, BundleFiles, file_size
from .leaf_labels import LogLabels
from .manifest import Manifest
from .vote_log import VoteLog

_FOLDER = leaf_labels.path(0).partition("/")[0] + "/"
# Leaves whose rules are counted at a time.
_LEAVES = 1 << 20
# Bytes of a file of labels: a leaf has at most this many, if no other leaf has its texts and they do not compress.
_TEXT_BYTES = leaf_labels.MAX_LABELS_BYTES + 4 * leaf_labels.MAX_TEXT
_LEAF_BYTES, _FREE_BYTES = _TEXT_BYTES + 8 * leaf_labels.MAX_LABELS + 16, 4 * 1024 * 1024


def read_labels(files: BundleFiles, manifest: Manifest, previous: Manifest | None, log: VoteLog) -> LogLabels:
    """Read and check the labels of all leaves of a bundle.

    Args:
        files: the bundle. The caller has checked the digests of its files.
        manifest: the manifest of the snapshot.
        previous: the manifest of the previous snapshot, None for the first snapshot.
        log: the vote log that the manifest rates.

    Returns:
        The labels of all leaves.

    Raises:
        Refuted: reason `labels`: a label or a list of files is wrong. Reason `limit`: there are too many labels. The
            message names the file or the leaf.
    """
    segments = {leaf_labels.path(one.first): one for one in manifest.segments}
    sealed_before = 0 if previous is None else previous.vote_log.size
    stated_before = {} if previous is None else previous.files
    for name, digest in stated_before.items():
        if name.startswith(_FOLDER) and manifest.files.get(name) != digest:
            raise Refuted("labels", name, "expected the labels of the previous manifest, unchanged")
    for name, one in segments.items():
        if one.first + one.size <= sealed_before and name in manifest.files and name not in stated_before:
            raise Refuted("labels", name, "expected no labels, as in the previous manifest: its leaves were there then")
    found = LogLabels(log.frontier.size)
    for name in sorted(manifest.files):
        if not name.startswith(_FOLDER):
            continue
        if name not in segments:
            raise Refuted("labels", name, "expected labels of a segment: no segment begins with this leaf")
        one = segments[name]
        size_limits.require_size(name, file_size(files, name), _FREE_BYTES + _LEAF_BYTES * one.size)
        table = leaf_labels.read(files[name], name, one.first, one.size)
        log.expect_votes(table["leaf"].to_numpy())
        found.extend(table)
    return found


def names_left_out(manifest: Manifest, labels: LogLabels) -> Bool:
    """Return bool[n], True for each leaf that at least one rule of the manifest's method leaves out.

    Args:
        manifest: the manifest with the method.
        labels: the labels of all n leaves.
    """
    mask = rule_mask(manifest.method.rules if manifest.method is not None else ())
    return np.asarray(labels.rules & mask != 0)


def check_left_out(manifest: Manifest, labels: LogLabels, raw: Bool) -> None:
    """Check how many votes each rule of the method leaves out, against the published numbers.

    Args:
        manifest: the manifest of the snapshot.
        labels: the labels of all n leaves.
        raw: bool[n], True for the leaf of a vote that counts in the raw view.

    Raises:
        Refuted: reason `method`: a published number is wrong. The message names the rule.
    """
    if manifest.method is None:
        return
    counted = np.zeros(ALL_BITS + 1, dtype=np.int64)  # of each combination of rules
    for start in range(0, len(raw), _LEAVES):
        part = slice(start, start + _LEAVES)
        counted += np.bincount(labels.rules[part][raw[part]], minlength=len(counted))
    combinations = np.flatnonzero(counted)
    found = count_by_first_rule(combinations, counted[combinations], manifest.method.rules)
    for rule, votes in found.items():
        stated = manifest.method.left_out[rule]
        if stated != votes:
            where = f"{MANIFEST}.method.left_out.{rule}"
            raise Refuted("method", where, f"the labels give {votes} votes, published are {stated}")
