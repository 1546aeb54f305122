"""Describes in OpenAPI the responses that FastAPI cannot derive from a route."""

from typing import Any

from pipeline.api.documents.base import ProblemDocument
from pipeline.api.error_responses import PROBLEM_MEDIA_TYPE
from pipeline.api.table_responses import PARQUET

Responses = dict[int | str, dict[str, Any]]


def media_types(*types: str) -> Responses:
    """Describe that a response with status 200 may have these media types, besides those that FastAPI derives.

    Returns:
        The value for the argument `responses` of a FastAPI route.
    """
    return {200: {"content": {one: {"schema": {"type": "string"}} for one in types}}}


TABLE_RESPONSES = media_types("text/csv", PARQUET)
REDIRECT_RESPONSES: Responses = {307: {"description": "A redirect to the newest one's own address."}}
TOKEN_RESPONSES: Responses = {
    401: {"description": "The token is missing or invalid."},
    403: {"description": "The token does not allow this decision."},
}
ERROR_RESPONSES: Responses = {
    code: {"description": what, "content": {PROBLEM_MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}}}
    for code, what in (
        ("4XX", "The request is invalid; the document says where."),
        ("503", "The store does not answer; try again."),
    )
}
