"""Reading on in sorted lists: nothing twice, nothing left out, on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.keyset import Order

shelf = sa.Table(
    "shelf",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("due", sa.Integer),
    sa.Column("opened", sa.Integer, nullable=False),
    prefixes=["TEMPORARY"],
)
ORDERS = {
    "due": Order((shelf.c.due, shelf.c.id)),
    "opened": Order((shelf.c.opened, shelf.c.id)),
    "newest": Order((shelf.c.opened, shelf.c.id), downwards=True),
}
rows = st.lists(st.tuples(st.none() | st.integers(0, 3), st.integers(0, 3)), max_size=12)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(rows=rows, size=st.integers(1, 5))
def test_pages_put_together_are_the_list(database, order, rows, size):
    with database.engine.begin() as connection:
        shelf.create(connection)
        if rows:
            connection.execute(shelf.insert(), [{"due": due, "opened": opened} for due, opened in rows])
        whole = connection.execute(sa.select(shelf).order_by(*order.by)).all()
        pages, query = [], sa.select(shelf)
        while page := connection.execute(query.order_by(*order.by).limit(size)).all():
            pages += page
            query = sa.select(shelf).where(order.after(order.place(page[-1])))
        shelf.drop(connection)
    assert pages == whole


def test_what_has_no_date_comes_last(database):
    with database.engine.begin() as connection:
        shelf.create(connection)
        connection.execute(shelf.insert(), [{"due": due, "opened": 1} for due in (None, 2, 1)])
        found = connection.scalars(sa.select(shelf.c.due).order_by(*ORDERS["due"].by)).all()
        shelf.drop(connection)
    assert found == [1, 2, None]
