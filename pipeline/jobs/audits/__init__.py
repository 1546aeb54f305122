"""Slow audits over one consistent read of a store."""
