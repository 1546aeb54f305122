"""The digest of the first bytes of a growing file, which can be continued from a few bytes of state.

The file is hashed in blocks, each together with the hash of the blocks before it. To continue after a restart only the
last, incomplete block is read again.
"""

import hashlib

BLOCK = 64 * 1024


class PrefixDigest:
    """SHA-256 over the bytes given so far, in a chain of blocks.

    Attributes:
        size: number of bytes.
        chain: hash of the complete blocks; empty before the first.
    """

    def __init__(self, size: int = 0, chain: bytes = b"") -> None:
        """Continue after complete blocks: `size` is a multiple of BLOCK."""
        self.size, self.chain = size, chain
        self._block = hashlib.sha256(chain)

    def update(self, data: bytes) -> None:
        """Add bytes."""
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
        """Return an independent copy."""
        other = PrefixDigest(self.size, self.chain)
        other._block = self._block.copy()
        return other

    def hexdigest(self) -> str:
        """Return the digest of all bytes, 64 hexadecimal digits."""
        return self._block.hexdigest()
