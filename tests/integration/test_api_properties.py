"""Schemathesis sends requests that OpenAPI allows and requests that it forbids; none gives a 500.

Every response is checked against OpenAPI: status, media type, headers, schema. Forbidden requests must be refused, and
so must requests without a token where one is needed. Allowed requests need not be accepted: a cursor, a date or a
target is any text in OpenAPI, and most texts are invalid.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from pipeline.api.app import create_app
from pipeline.open_store import now
from pipeline.store import Store
from pipeline.store.alerting import operator_tokens
from tests.integration import readable

EXAMPLES = int(os.environ.get("INTEGRITY_API_EXAMPLES", "12"))
QUIET = list(HealthCheck)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("described")
    made = readable.made(str(folder / "board.db"), folder)
    yield made
    made.close()


@pytest.mark.long
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_every_answer_is_as_described(store: Store, mode: GenerationMode) -> None:
    at = now()
    with store.write() as connection:
        token = operator_tokens.create(
            connection, f"a {mode.value} test", operator_tokens.SCOPES, "a tester", "a test", at, at + 10**12
        )
    described = schemathesis.openapi.from_asgi("/api/v1/openapi.json", create_app(store))
    operations = [found.ok() for found in described.get_all_operations()]
    # A tile's path contains slashes, which schemathesis does not generate; test_api.py requests one.
    operations = [one for one in operations if "{tile}" not in one.path]
    if mode is GenerationMode.NEGATIVE:  # without parameters, no request is invalid
        operations = [one for one in operations if one.body or list(one.iter_parameters())]
    assert len(operations) >= 12
    for operation in operations:
        checked(operation, mode, {"Authorization": f"Bearer {token}"} if needs_token(operation) else {})


def needs_token(operation: schemathesis.APIOperation) -> bool:
    return operation.method == "post" or "/operator" in operation.path


def checked(operation: schemathesis.APIOperation, mode: GenerationMode, headers: dict[str, str]) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=QUIET)
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

    try:
        holds()
    except Exception as error:
        error.add_note(operation.label)
        raise
