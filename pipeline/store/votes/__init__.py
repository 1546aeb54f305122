"""Votes as they came: ingest, dictionaries, voter states, window counts, registry events."""
