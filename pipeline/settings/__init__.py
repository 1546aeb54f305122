"""Defines and reads the settings of the pipeline. Only this package reads the environment.

- `checks`: checks the values of single settings, builds messages about bad values, and knows which settings are secret.
- `model`: defines the class `Settings`, with name, default, range and meaning of every setting.
- `method_file`: reads the method that a setting or an option names.
- `loading`: reads the values (`load`), lets a caller replace them (`override`), and finds unknown variables.
"""

from pipeline.settings.checks import PREFIX, SECRETS, shown
from pipeline.settings.loading import load, override, sources, unknown
from pipeline.settings.model import SHAPING, Settings

__all__ = ["PREFIX", "SECRETS", "SHAPING", "Settings", "load", "override", "shown", "sources", "unknown"]
