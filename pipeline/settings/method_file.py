"""Reads a method: the rules by which the defended view of a board leaves votes out.

A setting or a command-line option names the method.
"""

from importlib.resources import files
from pathlib import Path

from pipeline.errors import BadInput, Usage
from pipeline.ratings.method import ALL_VOTES, Method

SHIPPED, NONE = "arena", "none"
_MOST_BYTES = 64 * 1024


def load_method(given: str, option: str) -> Method:
    """Return the method that a setting or an option names: a shipped one, or the one in a file.

    Args:
        given: "arena" for the shipped method, "none" to count every vote, or the path of a TOML file.
        option: name of the setting or option that has this value, for messages.

    Raises:
        Usage: the file does not exist or cannot be read.
        BadInput: the file does not contain a method; the message names the file.
    """
    if given == NONE:
        return ALL_VOTES
    if given == SHIPPED:
        shipped = files("pipeline").joinpath("data/method.toml")
        return Method.parse(shipped.read_text(encoding="utf-8"), "method.toml")
    path = Path(given)
    try:
        if not path.is_file():
            raise Usage(f"{option}: expected {SHIPPED}, {NONE} or a file, got {given}: there is no such file")
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Usage(f"{option}: expected a file that can be read, got {given}: {error}") from None
    if len(data) > _MOST_BYTES:
        raise BadInput(f"{path.name}: expected a method of at most {_MOST_BYTES:,} bytes, got a larger file")
    try:
        return Method.parse(data.decode(), path.name)
    except UnicodeDecodeError:
        raise BadInput(f"{path.name}: expected a method in UTF-8, got other bytes") from None
