"""The one rule for a service that this machine lacks: a skip on a desk, a failure under CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

WANT = "for want of a service: "


def services_required() -> bool:
    return os.environ.get("CI") == "true" or os.environ.get("INTEGRITY_REQUIRE_SERVICES") == "1"


def give_up(reason: str) -> NoReturn:
    if services_required():
        pytest.fail(WANT + reason, pytrace=False)
    pytest.skip(WANT + reason)
