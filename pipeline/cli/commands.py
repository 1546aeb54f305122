"""Loads all commands into the application, for tests and documentation."""

from pipeline.cli.lazy_group import app, load

load()

__all__ = ["app"]
