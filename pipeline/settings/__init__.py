"""Settings: the only reader of the environment.

- `checks`: types of single settings, messages about bad values, and which settings are secret.
- `model`: `Settings`, one class with every setting's name, default, range and reason.
- `method_file`: reads the method that a setting or an option names.
- `loading`: reads the values (`load`), lets a caller replace them (`override`), and finds unknown variables.
"""

from pipeline.settings.checks import PREFIX, SECRETS, shown
from pipeline.settings.loading import load, override, sources, unknown
from pipeline.settings.model import SHAPING, Settings

__all__ = ["PREFIX", "SECRETS", "SHAPING", "Settings", "load", "override", "shown", "sources", "unknown"]
