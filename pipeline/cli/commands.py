"""The application with all commands loaded, for tests and documentation."""

from pipeline.cli.lazy_group import app, load

load()

__all__ = ["app"]
