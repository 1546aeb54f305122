"""Settings: the only reader of the environment.

- `checks`: types of single settings and the messages about bad values; what is secret.
- `model`: `Settings`, one class with every setting's name, default, range and reason.
- `loading`: where values come from (`load`), how a caller replaces them (`override`), and which variables are unknown.
"""

from pipeline.settings.checks import PREFIX, SECRETS, shown
from pipeline.settings.loading import load, override, sources, unknown
from pipeline.settings.model import SHAPING, Settings

__all__ = ["PREFIX", "SECRETS", "SHAPING", "Settings", "load", "override", "shown", "sources", "unknown"]
