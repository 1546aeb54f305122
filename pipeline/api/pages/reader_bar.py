"""Returns what pages for the public and for operators have in common: the bar about the reader, and cache headers."""

from collections.abc import Mapping
from typing import Any

from pipeline.api.cache_policies import NO_STORE, REVALIDATE
from pipeline.api.page_operator import PageOperator


def page_policy(operator: PageOperator | None) -> Mapping[str, str]:
    """Return the headers about caching, which keep the page of an operator out of every cache."""
    return {**(REVALIDATE if operator is None else NO_STORE), "vary": "Cookie"}


def reader_values(operator: PageOperator | None, here: str) -> dict[str, Any]:
    """Return the values of the template `operator_bar.html`.

    Args:
        operator: the operator who is signed in; None for the public.
        here: address of the page, to which signing in and out leads back.
    """
    if operator is None:
        return {"operator": None, "here": here, "csrf": "", "message": "", "undo": ""}
    message, undo = operator.take_message()
    return {"operator": operator, "here": here, "csrf": operator.csrf, "message": message, "undo": undo}
