"""Computes a digest of the first bytes of a growing file, to which more bytes can be added after a restart.

The file is hashed in blocks of 64 KiB, each together with the hash of the blocks before it. The state is therefore one
hash: after a restart, only the last, incomplete block is read again.
"""

import hashlib

BLOCK = 64 * 1024


class PrefixDigest:
    """The digest of all bytes that were added so far.

    Attributes:
        size: number of bytes.
        chain: hash of the complete blocks; b"" before the first block is complete.
    """

    def __init__(self, size: int = 0, chain: bytes = b"") -> None:
        """Create a digest of no bytes, or continue a digest.

        Args:
            size: number of bytes so far, a multiple of BLOCK.
            chain: `chain` of the digest after these bytes.
        """
        self.size, self.chain = size, chain
        self._block = hashlib.sha256(chain)

    def update(self, data: bytes) -> None:
        """Add bytes to the digest."""
        view = memoryview(data)
        while view:
            part = view[: BLOCK - self.size % BLOCK]
            self._block.update(part)
            self.size += len(part)
            if not self.size % BLOCK:
                self.chain = self._block.digest()
                self._block = hashlib.sha256(self.chain)
            view = view[len(part) :]

    def copy(self) -> "PrefixDigest":
        """Return a copy that further bytes do not change."""
        other = PrefixDigest(self.size, self.chain)
        other._block = self._block.copy()
        return other

    def hexdigest(self) -> str:
        """Return the digest of all bytes, 64 hexadecimal digits."""
        return self._block.hexdigest()
