"""The command with every verb loaded: for tests and documentation, which look at more than one."""

from pipeline.cli.lazy_group import app, load

load()

__all__ = ["app"]
