"""Returns the cache headers of pages, and the values of the bar that shows whether the reader is signed in."""

from collections.abc import Mapping
from typing import Any

from pipeline.api.cache_policies import NO_STORE, REVALIDATE
from pipeline.api.page_operator import PageOperator


def page_policy(operator: PageOperator | None) -> Mapping[str, str]:
    """Return the caching headers of a page, as header name → value.

    The headers keep a page for an operator out of every cache.

    Args:
        operator: the operator who is signed in; None for the public.
    """
    return {**(REVALIDATE if operator is None else NO_STORE), "vary": "Cookie"}


def reader_values(operator: PageOperator | None, here: str) -> dict[str, Any]:
    """Return the values of the template `operator_bar.html`, which shows whether the reader is signed in.

    An operator's message about the last action is taken out of the session.

    Args:
        operator: the operator who is signed in; None for the public.
        here: address of this page, to which signing in or out leads back.
    """
    if operator is None:
        return {"operator": None, "here": here, "csrf": "", "message": "", "undo": ""}
    message, undo = operator.take_message()
    return {"operator": operator, "here": here, "csrf": operator.csrf, "message": message, "undo": undo}
