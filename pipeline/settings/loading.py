"""Loads the settings. The value of a setting comes from the first source that has it.

The sources are, in this order:

- The environment of the process: the variable INTEGRITY_NAME.
- The file `.env` in the working directory: a line INTEGRITY_NAME=value. Other names are ignored.
- The secrets directory: a file integrity_name, whose content without surrounding white space is the value. The
  directory is the setting `secrets_dir` or, without it, /run/secrets if that exists (Docker and Kubernetes mount it).
- The default of the setting.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource, SecretsSettingsSource

from pipeline.errors import Usage
from pipeline.private_files import is_open_to_others, warn_if_open
from pipeline.settings.checks import PREFIX, is_secret
from pipeline.settings.model import Settings

Values = dict[str, Any]

_ENV_FILE = ".env"
_MOUNTED = Path("/run/secrets")
# Read elsewhere, because no process but `integrity up` needs it: where the Kafka broker's jars are.
_OTHERS = frozenset({"INTEGRITY_KAFKA_LIBS"})

_overridden: ContextVar[Settings | None] = ContextVar("settings", default=None)


@contextmanager
def override(settings: Settings) -> Iterator[None]:
    """Let `load` return the given settings within a `with` block, for demos, benchmarks and tests.

    Other threads and asyncio tasks are not affected.
    """
    token = _overridden.set(settings)
    try:
        yield
    finally:
        _overridden.reset(token)


def load() -> Settings:
    """Read the settings of this process from all sources, or return those of `override`.

    Raises:
        Usage: a value is not valid, or the secrets directory or one of its files cannot be read.
    """
    fixed = _overridden.get()
    if fixed is not None:
        return fixed
    values: Values = {}
    for found in reversed(_given().values()):
        values |= found
    return Settings(**values)


def sources() -> dict[str, str]:
    """Return where the value of each setting comes from.

    Returns:
        Name of a setting → environment, .env, secrets directory, override or default.
    """
    fixed = _overridden.get()
    if fixed is not None:
        return {name: "override" if name in fixed.model_fields_set else "default" for name in Settings.model_fields}
    given = _given()
    return {
        name: next((source for source, found in given.items() if name in found), "default")
        for name in Settings.model_fields
    }


def unknown() -> dict[str, str]:
    """Find variables that begin with INTEGRITY_ but are not settings, most likely mistyped ones.

    Returns:
        Name of the variable → its source and, if a setting has a similar name, the setting that is probably meant.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | _OTHERS
    environment, dotenv = _sources()
    directory = _secrets_directory([_known(environment()), _known(dotenv())])
    files = [path.name for path in directory.iterdir()] if directory else []
    found = {name.upper(): str(directory) for name in files}
    found |= {name.upper(): _ENV_FILE for name in dotenv.env_vars}
    found |= {name.upper(): "environment" for name in environment.env_vars}
    return {
        name: source + _meant(name)
        for name, source in sorted(found.items())
        if name.startswith(PREFIX) and name not in known
    }


def _meant(name: str) -> str:
    """Return the nearest name of a setting. Names are compared without the prefix, which all of them share."""
    near = get_close_matches(name.removeprefix(PREFIX), [known.upper() for known in Settings.model_fields], n=1)
    return f"; is {PREFIX}{near[0]} meant?" if near else ""


def _sources() -> tuple[EnvSettingsSource, DotEnvSettingsSource]:
    return EnvSettingsSource(Settings), DotEnvSettingsSource(Settings, _ENV_FILE)


def _known(values: Values) -> Values:
    """Return only those values whose names are settings. The file `.env` may have other names."""
    return {name: value for name, value in values.items() if name in Settings.model_fields}


def _given() -> dict[str, Values]:
    """Return name of a source → its values. A value in an earlier source wins over one in a later source."""
    environment, dotenv = (_known(source()) for source in _sources())
    directory = _secrets_directory([environment, dotenv])
    secrets = SecretsSettingsSource(Settings, directory)() if directory else {}
    if any(is_secret(name, str(value)) for name, value in dotenv.items()):
        warn_if_open(Path(_ENV_FILE).absolute())
    if directory and directory != _MOUNTED:  # there an engine decides, and nobody but the container's own user looks
        _warn_of_open_files(directory)
    return {"environment": environment, _ENV_FILE: dotenv, "secrets directory": secrets}


def _warn_of_open_files(directory: Path) -> None:
    if is_open_to_others(directory):  # a closed directory closes its files
        for path in directory.iterdir():
            if path.name.upper().startswith(PREFIX):
                warn_if_open(path)


def _secrets_directory(given: Iterable[Values]) -> Path | None:
    """Return the secrets directory; None if there is none.

    The settings library ignores an entry of the directory that is not a file. The setting would then look unset, and a
    board would get a new key. This function raises an error instead.

    Raises:
        Usage: the directory is missing, or a secret in it is not a file.
    """
    wanted = next((found["secrets_dir"] for found in given if found.get("secrets_dir")), None)
    if wanted is None and not _MOUNTED.is_dir():
        return None
    directory = Path(wanted or _MOUNTED)
    if not directory.is_dir():
        raise Usage(f"{PREFIX}SECRETS_DIR: expected a directory, got {str(directory)!r}")
    for path in directory.iterdir():
        inside = directory.resolve() in path.resolve().parents
        if path.name.upper().startswith(PREFIX) and not (inside and path.is_file()):
            raise Usage(f"expected secrets to be files inside {directory}, got {path.name} -> {path.resolve()}")
    return directory
