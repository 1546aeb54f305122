"""The public log of votes: seals, segments, leaves, manifests."""
