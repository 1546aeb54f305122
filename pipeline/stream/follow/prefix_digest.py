"""Computes a digest of the first bytes of a growing file. More bytes can be added after a restart.

The file is hashed in blocks of 64 KiB. The hash of a block also covers the hash of the blocks before it, so the state
is a single hash. After a restart, only the last, incomplete block is read again.
"""

import hashlib

BLOCK = 64 * 1024


class PrefixDigest:
    """Computes the digest of all bytes that were added so far.

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
        """Return an independent copy: bytes that are added to one digest do not change the other."""
        other = PrefixDigest(self.size, self.chain)
        other._block = self._block.copy()
        return other

    def hexdigest(self) -> str:
        """Return the digest of all bytes that were added, as 64 hexadecimal digits."""
        return self._block.hexdigest()
