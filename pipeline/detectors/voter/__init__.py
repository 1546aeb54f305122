"""Detectors of one voter's behaviour, vote by vote."""
