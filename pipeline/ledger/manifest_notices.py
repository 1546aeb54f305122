"""Checks the correction notices in manifests.

A manifest has every notice of the previous manifest, unchanged and in the same order, so no notice disappears.
"""

from dataclasses import dataclass

from ..errors import Refuted
from .canonical_json import Digest


@dataclass(frozen=True, slots=True)
class ManifestNotice:
    """A correction notice: a person's dated statement of what is wrong with a published snapshot.

    Attributes:
        sequence: sequence number of the snapshot.
        snapshot: id of the snapshot's body, its SHA-256.
        text: what is wrong.
        name: name of the author.
        at: time of the notice, RFC 3339.
    """

    sequence: int
    snapshot: Digest
    text: str
    name: str
    at: str


Notices = tuple[ManifestNotice, ...] | None


def check_notice_form(notices: Notices, sequence: int, where: str) -> None:
    """Check that each notice of a manifest has a text and a name, and refers to an earlier snapshot.

    Args:
        notices: the notices of the manifest.
        sequence: sequence number of the manifest's snapshot.
        where: place of the notices, for messages.

    Raises:
        Refuted: reason `notices`: a notice is wrong. The message names its place.
    """
    if notices == ():
        raise Refuted("notices", where, "expected at least one notice, or no such field")
    for place, one in enumerate(notices or ()):
        if not (0 < one.sequence < sequence and one.text.strip() and one.name.strip()):
            what = f"expected a text and a name, and a snapshot from 1 to {sequence - 1}, got {one.sequence}"
            raise Refuted("notices", f"{where}[{place}]", what)


def check_notices(now: Notices, before: Notices, where: str) -> None:
    """Check that the notices of a manifest begin with all notices of the previous manifest.

    Args:
        now: the notices of the manifest.
        before: the notices of the previous manifest.
        where: place of the notices, for messages.

    Raises:
        Refuted: reason `notices`: an earlier notice is missing or changed.
    """
    earlier = before or ()
    if (now or ())[: len(earlier)] != earlier:
        raise Refuted("notices", where, f"expected the {len(earlier)} notices of the previous manifest first")
