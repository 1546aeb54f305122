"""Proofs, signed notes, and the check of a bundle."""
