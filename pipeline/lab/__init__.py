"""Simulators, benchmarks and the red team: nothing here runs in production."""
