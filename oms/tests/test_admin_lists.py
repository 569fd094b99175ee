"""Lists that page by key: every row once, in order, without counting, and found by what people know."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from oms.lib.admin.keyset import KeysetChangeList
from orders.models import Order
from orders.tests.factories import place, send

ORDERS = "/admin/orders/order/"


@pytest.fixture
def orders(trader: User, sbin: Any, infy: Any) -> list[Order]:
    """Seven orders, newest first."""
    made = [send(place(user=trader, client_order_id=f"mine-{n}")) for n in range(6)]
    made.append(place(user=trader, symbol="INFY", price=5000))
    return made[::-1]


@pytest.fixture
def staff(operator: User, client: Client) -> Client:
    client.force_login(operator)
    return client


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin.site._registry[Order], "list_per_page", 3)


def rows(client: Client, query: str = "") -> tuple[list[Any], KeysetChangeList]:
    answer = client.get(ORDERS + query, follow=True)
    assert answer.status_code == 200
    changelist = answer.context["cl"]
    return [row.pk for row in changelist.result_list], changelist


def pages(client: Client, query: str = "") -> Iterator[list[Any]]:
    while True:
        found, changelist = rows(client, query)
        yield found
        if not changelist.older_url:
            return
        query = changelist.older_url


def test_following_older_shows_every_row_once_newest_first(orders: list[Order], staff: Client) -> None:
    shown = list(pages(staff))
    assert [len(page) for page in shown] == [3, 3, 1]
    assert [pk for page in shown for pk in page] == [order.pk for order in orders]


def test_rows_of_one_instant_are_neither_skipped_nor_repeated(orders: list[Order], staff: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_order SET created_at = (SELECT max(created_at) FROM orders_order)")
    shown = [pk for page in pages(staff) for pk in page]
    assert sorted(shown) == sorted(order.pk for order in orders)


def test_newer_leads_back_to_the_same_page(orders: list[Order], staff: Client) -> None:
    first, changelist = rows(staff)
    second, changelist = rows(staff, changelist.older_url)
    assert rows(staff, changelist.newer_url)[0] == first
    assert rows(staff, changelist.first_url)[0] == first
    _, changelist = rows(staff, changelist.older_url)
    assert rows(staff, changelist.newer_url)[0] == second


def test_nothing_is_counted_and_nothing_skipped_by_offset(orders: list[Order], staff: Client) -> None:
    _, changelist = rows(staff)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        rows(staff, changelist.older_url)
    about_orders = [q["sql"] for q in captured.captured_queries if "orders_order" in q["sql"]]
    assert about_orders
    assert not [sql for sql in about_orders if re.search(r"count\(|offset", sql, re.IGNORECASE)]


@pytest.mark.parametrize("cursor", ["after:nonsense", "after:2026-01-01~x", "before:~", "after:a~b~c"])
def test_a_broken_position_starts_again_with_a_warning(cursor: str, orders: list[Order], staff: Client) -> None:
    answer = staff.get(ORDERS, {"p": cursor})
    assert answer.status_code == 302
    assert answer.headers["Location"].endswith("?e=1")


@pytest.mark.parametrize("known", ["id", "tag", "broker_order_id", "client_order_id"])
def test_search_finds_one_order_by_any_of_its_names(known: str, orders: list[Order], staff: Client) -> None:
    wanted = orders[3]
    term = str(getattr(wanted, known))
    assert rows(staff, f"?q={term}")[0] == [wanted.pk]
    assert rows(staff, f"?q=%20{term}%20")[0] == [wanted.pk]


def test_search_by_symbol_and_by_nothing_that_exists(orders: list[Order], staff: Client) -> None:
    infy = [order.pk for order in orders if order.symbol == "INFY"]
    assert rows(staff, "?q=infy")[0] == infy
    assert rows(staff, "?q=NSE:INFY")[0] == infy
    assert rows(staff, "?q=BSE:INFY")[0] == []
    assert rows(staff, "?q=nothing-like-it")[0] == []


def test_filters_narrow_and_stay_while_paging(orders: list[Order], staff: Client) -> None:
    accepted = [order.pk for order in orders if order.symbol == "SBIN"]
    assert [pk for page in pages(staff, "?state__exact=ACKED") for pk in page] == accepted
    assert [pk for page in pages(staff, "?symbol=sbin") for pk in page] == accepted
    both = [pk for page in pages(staff, "?state__exact=ACKED&state__exact=REJECTED") for pk in page]
    assert both == [order.pk for order in orders]
    assert rows(staff, "?product=MIS")[0] == []


def test_the_day_filter_goes_by_the_calendar_in_india(orders: list[Order], staff: Client) -> None:
    with connection.cursor() as cursor:  # 00:30 in India on 2 March is still 1 March in UTC
        cursor.execute("UPDATE orders_order SET created_at = '2026-03-01 19:00:00+00' WHERE id = %s", [orders[0].pk])
    assert rows(staff, "?created_at_from=2026-03-02&created_at_to=2026-03-02")[0] == [orders[0].pk]
    assert rows(staff, "?created_at_from=2026-03-01&created_at_to=2026-03-01")[0] == []
