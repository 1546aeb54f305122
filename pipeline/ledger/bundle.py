"""Assembles and reads proof bundles: one snapshot with everything that is needed to check it offline.

    manifest.json           what the snapshot claims: the leaf of the snapshot log
    previous.json           the previous manifest (not for the first snapshot)
    checkpoint              the signed head of the snapshot log
    previous-checkpoint     the signed head before `checkpoint` (not for the first snapshot)
    proof.json              inclusion of both manifests, consistency of both heads, the leaf hashes of the snapshot log
    votes/….parquet         the vote log, one file for each seal
    labels/….parquet        rules, categories and language of the leaves of a seal, where they have any
    excluded.parquet        which leaves the defended view does not count
    intervals.json          intervals clustered by voter, confidence sequences, sure ranks
    voter-scores.parquet    sums over the votes of each voter, from which these intervals follow
    snapshot.json           the body of the snapshot, which the API shows
    key.txt                 the key that signed; proves nothing by itself
    README.txt              how to check the bundle

The head of a log is its name, size and root hash. Proofs and signatures protect the first five files. The manifest
lists every other file with its SHA-256. A file that the manifest does not list is a fault, and so is a link or a
device.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..errors import Refuted
from . import canonical_json, size_limits
from .canonical_json import Digest
from .manifest import Manifest, sha256_hex
from .merkle import NodeReader
from .merkle_proofs import consistency_path, inclusion_path
from .signed_note import VerifierKey

MANIFEST, PREVIOUS, PROOF = "manifest.json", "previous.json", "proof.json"
CHECKPOINT, PREVIOUS_CHECKPOINT = "checkpoint", "previous-checkpoint"
KEY, README, EXCLUDED = "key.txt", "README.txt", "excluded.parquet"
SNAPSHOT = "snapshot.json"
"""Path of the body of the snapshot. The SHA-256 of the body is the id of the snapshot in the store and the API."""

BundleFiles = Mapping[str, bytes]
"""The contents of the files of a bundle, by path. A path has "/" between its parts."""

_README = """\
A snapshot of a leaderboard, with everything needed to check it without asking the operator.

    leaderboard-verify DIRECTORY --key KEY          (or: integrity verify DIRECTORY --key KEY)

checks, offline, that the operator signed it, that it is in the log of snapshots, that both logs were only appended to,
that the votes are those of the log, and that the ratings follow from the votes, from the exclusions and the method in
manifest.json, and from the labels of the votes. The intervals in manifest.json follow from the votes alone. Those in
intervals.json allow for votes of one voter hanging together; they follow from the votes and from voter-scores.parquet,
which is a statement of the operator, because public votes do not name voters.

Get KEY from the operator through another channel: key.txt could have been replaced together with the bundle.

The public part of a vote is its id, the two models, the outcome, its fate and the hour. The voter and all other fields
are committed to as SHA-256(blind + private fields). That is pseudonymous, not anonymous. Public data cannot prove why a
voter was excluded or a vote has its labels. It does prove that exactly the listed votes were left out.
"""


@dataclass(frozen=True, slots=True)
class BundleProof:
    """The proofs in a bundle: hashes in hexadecimal digits, lowest level first.

    Attributes:
        inclusion: proof that the manifest is in the log of the checkpoint.
        previous_inclusion: proof that the previous manifest is in the log of the checkpoint.
        consistency: proof that the log of the checkpoint begins with the log of the previous checkpoint.
        leaves: the leaf hashes of the whole snapshot log. From these hashes, a reader can compute the root at every
            earlier size, and compare any earlier checkpoint. None in bundles from before December 2026.
    """

    inclusion: tuple[Digest, ...]
    previous_inclusion: tuple[Digest, ...]
    consistency: tuple[Digest, ...]
    leaves: tuple[Digest, ...] | None = None


def listed_files(key: VerifierKey, excluded: bytes) -> dict[str, bytes]:
    """Build three files of a bundle: the key, the excluded votes and the README.

    Args:
        key: the operator's public key.
        excluded: content of `excluded.parquet`.

    Returns:
        Path of a file → its content.
    """
    return {KEY: f"{key}\n".encode(), README: _README.encode(), EXCLUDED: excluded}


def file_digests(files: BundleFiles) -> dict[str, Digest]:
    """Return the SHA-256 of each file as path → digest, in the form that the manifest lists."""
    return {name: sha256_hex(data) for name, data in sorted(files.items())}


def build_proof(sequence: int, size: int, previous_size: int, node: NodeReader) -> BundleProof:
    """Make the proofs of a bundle.

    Args:
        sequence: sequence number of the snapshot. Its manifest is leaf `sequence` − 1 of the snapshot log.
        size: number of leaves at the checkpoint.
        previous_size: number of leaves at the previous checkpoint, 0 if there is none.
        node: a function that returns the hash of a node of the snapshot log.

    Returns:
        The proofs of inclusion and of consistency, and all leaf hashes.
    """
    paths = (
        inclusion_path(sequence - 1, size, node),
        inclusion_path(sequence - 2, size, node) if sequence > 1 else [],
        consistency_path(previous_size, size, node),
        [node(0, leaf) for leaf in range(size)],
    )
    return BundleProof(*(tuple(Digest(sibling.hex()) for sibling in path) for path in paths))


def assemble(
    manifest: bytes,
    checkpoint: bytes,
    proof: BundleProof,
    files: BundleFiles,
    *,
    before: tuple[bytes, bytes] | None = None,
) -> dict[str, bytes]:
    """Assemble the bundle of a snapshot, as path → content of each file.

    Args:
        manifest: bytes of the manifest, as in the log.
        checkpoint: the checkpoint of the snapshot log, as a signed note.
        proof: inclusion and consistency proofs of the manifest, from `build_proof`.
        files: all other files of the bundle, by path: the segments, `listed_files`, and the rest that the manifest
            lists.
        before: the previous manifest and the previous checkpoint, in this order; None for the first snapshot.
    """
    older = {} if before is None else {PREVIOUS: before[0], PREVIOUS_CHECKPOINT: before[1]}
    return {MANIFEST: manifest, CHECKPOINT: checkpoint, PROOF: canonical_json.dump(proof), **older, **files}


def file_size(files: BundleFiles, name: str) -> int:
    """Return the size of the file `name` of a bundle in bytes.

    A file in a folder or in a zip is not read for this.
    """
    size = getattr(files, "size", None)
    return len(files[name]) if size is None else int(size(name))


def expected_paths(manifest: Manifest) -> set[str]:
    """Return the paths of all files that a bundle with this manifest must have."""
    bound = {MANIFEST, CHECKPOINT, PROOF} | ({PREVIOUS, PREVIOUS_CHECKPOINT} if manifest.sequence > 1 else set())
    return bound | {segment.path for segment in manifest.segments} | set(manifest.files)


def write_folder(folder: Path, files: BundleFiles) -> None:
    """Write the files of a bundle into an empty folder. The folder is created if it is missing."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class BundleFolder(BundleFiles):
    """Reads a bundle in a folder, as a mapping of paths to contents. A file is read when it is looked up.

    Raises:
        Refuted: reason `missing`: the folder does not exist. Listing the files raises two more reasons. Reason
            `not_a_file`: there is a link or a device. Reason `limit`: there are too many files.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise Refuted("missing", str(folder), "expected the folder of a bundle")
        self._folder = folder

    def __iter__(self) -> Iterator[str]:
        """Yield the path of every file.

        Raises:
            Refuted: reason `not_a_file`: the folder contains a link, a device or a pipe.
        """
        for path in sorted(self._list()):
            name = path.relative_to(self._folder).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise Refuted("not_a_file", name, "expected a file, got a link or a device")
            if path.is_file():
                yield name

    def _list(self) -> list[Path]:
        found = list(islice(self._folder.rglob("*"), size_limits.MAX_FILES + 1))
        if len(found) > size_limits.MAX_FILES:
            raise Refuted("limit", str(self._folder), f"expected at most {size_limits.MAX_FILES:,} files")
        return found

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def size(self, name: str) -> int:
        """Return the size of a file in bytes, without reading it."""
        return (self._folder / name).stat().st_size

    def __getitem__(self, name: str) -> bytes:
        """Return the content of the file with this path. The path must be one that `__iter__` yields."""
        return (self._folder / name).read_bytes()
