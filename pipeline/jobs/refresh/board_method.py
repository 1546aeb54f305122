"""Reads a method from the settings or from the body of a snapshot, and states a method in a new body.

A method states which votes a board leaves out, which models it lists, and how many votes a board needs.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.open_store import now
from pipeline.ratings.method import ALL_VOTES, Method
from pipeline.registry import Registry
from pipeline.settings import PREFIX, Settings
from pipeline.settings.method_file import load_method
from pipeline.store.boards import hidden_models
from pipeline.store.votes import registry_events


def method_of(options: Settings) -> Method:
    """Return the method that the setting INTEGRITY_METHOD names.

    Raises:
        Usage: the file of the method cannot be read.
        BadInput: the file does not contain a method.
    """
    return load_method(options.method, f"{PREFIX}METHOD")


def models_under_test(connection: Connection) -> tuple[str, ...]:
    """Return all names of the private models in the registry that are not released yet, sorted."""
    state = Registry(registry_events.read_since(connection, 0)[0]).as_of(now())
    return tuple(sorted(hidden_models.all_names(state, hidden_models.models_under_test(state))))


def describe_method(method: Method, left_out: Mapping[str, int], hidden: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields by which the body of a snapshot states its method.

    Args:
        method: the rules that leave votes out, and the rules for listing models.
        left_out: rule → number of votes that the rule leaves out.
        hidden: names of the models under test, which boards do not list.
    """
    return {
        "name": method.name,
        "sha256": method.digest(),
        "rules": list(method.rules),
        "left_out": dict(left_out),
        "listing": {
            "least_votes": method.least_votes,
            "preliminary_votes": method.preliminary_votes,
            "private_models": method.private_models,
            "hidden": list(hidden) if method.private_models == hidden_models.HIDDEN else [],
        },
        "least_board_votes": method.least_board_votes,
    }


def stated_method(body: Mapping[str, Any]) -> Method:
    """Read the method that the body of a snapshot states.

    An old snapshot states no method. The result is then a method that counts every vote.
    """
    stated = body.get("method")
    if stated is None:
        return ALL_VOTES
    listing = stated["listing"]
    return Method(
        stated["name"],
        tuple(stated["rules"]),
        listing["least_votes"],
        listing["preliminary_votes"],
        listing["private_models"],
        stated["least_board_votes"],
    )
