"""Reads what the caller of a verifier gives: keys, paths, and a checkpoint that the caller saved earlier.

A mistyped path or key is a usage error, never a finding against the operator.
"""

from collections.abc import Iterable
from pathlib import Path

from ..errors import Refuted, Usage
from . import receipt, signed_note, size_limits
from .bundle import CHECKPOINT, MANIFEST, PROOF, BundleFiles
from .bundle_archive import open_bundle
from .receipt import VoteReceipt
from .signed_note import VerifierKey

# How a zip begins: with an entry, or with its end if it has none.
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def read_keys(texts: Iterable[str], option: str = "--key") -> list[VerifierKey]:
    """Parse public keys of a log.

    Args:
        texts: the keys.
        option: the command-line option that gave them, for messages.

    Raises:
        Usage: a text is not a key, or is the key of a witness.
    """
    found = []
    for text in texts:
        key = parse_key(text, option)
        if key.kind != signed_note.ED25519:
            raise Usage(f"{option}: expected the key of a log, got the key of the witness {key.name}")
        found.append(key)
    return found


def parse_key(text: str, option: str) -> VerifierKey:
    """Parse a public key that a person typed.

    Args:
        text: the key; white space around it is ignored.
        option: the command-line option that gave it, for messages.

    Raises:
        Usage: the text is not a key; the message names the option.
    """
    try:
        return VerifierKey.parse(text.strip(), option)
    except Refuted as fault:
        raise Usage(f"{option}: {fault.detail}: is it typed in full?") from None


def open_path(path: Path) -> BundleFiles:
    """Open the bundle at a path that the caller gave.

    Returns:
        The files of the bundle, as a mapping of paths to contents.

    Raises:
        Usage: the path does not exist, or is neither a folder nor a file of a bundle.
        Refuted: the path is a bundle with a fault.
    """
    try:
        if path.is_dir():
            if not any((path / name).exists() for name in (MANIFEST, CHECKPOINT, PROOF)):
                raise Usage(f"{path}: expected the folder of a bundle, got one without {MANIFEST} and {CHECKPOINT}")
        elif not path.exists():
            raise Usage(f"{path}: expected the folder or the zip of a bundle, got no such file")
        else:
            with path.open("rb") as file:
                if file.read(4) not in _ZIP:
                    raise Usage(f"{path}: expected the folder or the zip of a bundle, got a file that is no zip")
        return open_bundle(path)
    except OSError as error:
        raise Usage(f"{path}: expected a bundle that can be read: {error.strerror}") from None


def read_kept(path: Path, option: str = "--checkpoint") -> bytes:
    """Read a checkpoint that the caller saved earlier, as the bytes of a signed note.

    Args:
        path: path of the file.
        option: the command-line option that names the file, for messages.

    Raises:
        Usage: the file does not exist, or is not a checkpoint.
    """
    data = read_file(path, option, size_limits.MAX_SMALL)
    try:
        signed_note.parse_checkpoint(signed_note.parse(data, str(path)), str(path))
    except Refuted as fault:
        raise Usage(f"{option}: {path}: expected a checkpoint: {fault.detail}") from None
    return data


def read_receipt(path: Path, option: str = "--receipt") -> VoteReceipt:
    """Read a receipt from a file.

    Args:
        path: path of the file.
        option: the command-line option that names it, for messages.

    Raises:
        Usage: the file does not exist or is too large.
        Refuted: reason `canonical`, `fields` or `limit`: the file is not a receipt.
    """
    return receipt.load(read_file(path, option, size_limits.MAX_RECEIPT))


def read_file(path: Path, option: str, most: int = size_limits.MAX_RECEIPT) -> bytes:
    """Read a file of at most `most` bytes.

    Args:
        path: path of the file.
        option: the command-line option that names the file, for messages.
        most: largest size in bytes.

    Raises:
        Usage: the file does not exist or is larger. The message names the option.
    """
    try:
        size = path.stat().st_size
        if size > most:
            raise Usage(f"{option}: {path}: expected at most {most:,} bytes, got {size:,}")
        return path.read_bytes()
    except OSError as error:
        raise Usage(f"{option}: {path}: {error.strerror}") from None
