"""Pure scoring: votes and windows in, evidence and alerts out. No I/O, no clock."""
