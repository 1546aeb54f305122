"""What differs between the databases is in one module."""

from __future__ import annotations

import re
from pathlib import Path

import pipeline.store

STORE = Path(pipeline.store.__file__).parent


def test_no_other_module_asks_which_database_it_talks_to() -> None:
    asks = re.compile(r"dialect\.name|get_backend_name|dialects\.(sqlite|postgresql)")
    found = {str(path.relative_to(STORE)) for path in STORE.rglob("*.py") if asks.search(path.read_text("utf-8"))}
    # A URL is parsed; a migration names a column type of PostgreSQL; triggers differ.
    assert found == {
        "db/dialect.py",
        "db/store_url.py",
        "db/migrations/versions/0003_base.py",
        "db/migrations/versions/0006_operators_log.py",
    }
