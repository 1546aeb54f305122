"""What becomes of a store that was not made by this version."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline.errors import StoreUnavailable
from pipeline.store import Store, remaking
from pipeline.store.db import schema
from pipeline.store.db.engine import parse
from tests.integration.board_of_votes import OPTIONS, Board, event, using


def test_windows_are_counted_again_as_the_worker_counts_them(tmp_path: Path) -> None:
    """The votes of a store of this version, counted again, give the windows that its worker wrote."""
    with using(OPTIONS):
        it = Board(str(tmp_path / "store.db"), tmp_path)
        it.vote(200)
        it.refresh()
        it.read(*(event(n, voter_since="2026-02-27T00:00:00Z") for n in range(200, 260)))
        it.read(event(900), event(300), event(400, cast_at="2026-09-01T00:00:00Z"), event(401, network=None))
        windows = sa.select(schema.window).order_by(schema.window.c.start, schema.window.c.partition_no)
        with it.store() as store, store.write() as connection:
            written = connection.execute(windows).all()
            remaking.windows_of_all(connection)
            assert connection.execute(windows).all() == written
            assert len(written) > 8


@pytest.mark.postgres
def test_a_role_that_may_not_make_tables_is_told_who_may(postgres_url: str) -> None:
    owner = sa.create_engine(parse(postgres_url), isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.execute(sa.text("CREATE ROLE onlooker LOGIN"))
        try:
            with pytest.raises(StoreUnavailable, match=r"version \d+, got none: `integrity migrate`"):
                Store.open(postgres_url.replace("//postgres@", "//onlooker@"), voter_key=OPTIONS.key)
        finally:
            connection.execute(sa.text("DROP ROLE onlooker"))
    owner.dispose()


def test_tables_of_later_code_are_left_alone(tmp_path: Path) -> None:
    url = str(tmp_path / "store.db")
    with closing(Store.open(url)) as store, store.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match=r"expected tables of version \d+ at most, got 9999"):
        Store.open(url)
