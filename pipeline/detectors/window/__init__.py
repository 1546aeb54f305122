"""Detectors of models, providers, networks and the board, window by window."""
