"""The rights of database roles, for a store that has none."""

from pathlib import Path

import pytest

from pipeline.cli.store_commands import migrate
from pipeline.errors import Usage


def test_a_file_has_no_roles_and_is_not_created_for_them(tmp_path: Path) -> None:
    with pytest.raises(Usage, match=r"expected a PostgreSQL store, got .*board\.db, which has no roles"):
        migrate(str(tmp_path / "board.db"), grant=True)
    assert list(tmp_path.iterdir()) == []
