"""The official Kite client against a real exchange process: every route, errors included."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from orders.tests.brokers.paper.official import KiteConnect, exceptions
from orders.tests.brokers.paper.process import PaperExchange, wait_for

Row = dict[str, Any]
LIMIT = {
    "variety": "regular",
    "exchange": "NSE",
    "tradingsymbol": "SBIN",
    "transaction_type": "BUY",
    "quantity": 10,
    "product": "CNC",
    "order_type": "LIMIT",
    "price": 970,
}
NIFTY = {"exchange": "NFO", "tradingsymbol": "NIFTY26NOVFUT", "product": "NRML", "quantity": 65}


def place(kite: KiteConnect, **changes: Any) -> str:
    order_id: str = kite.place_order(**{**LIMIT, **changes})
    return order_id


def last(kite: KiteConnect, order_id: str) -> Row:
    return next(row for row in kite.orders() if row["order_id"] == order_id)


def until(kite: KiteConnect, order_id: str, status: str) -> Row:
    row: Row = wait_for(lambda: last(kite, order_id), lambda row: row["status"] == status)
    return row


def statuses(kite: KiteConnect, order_id: str) -> list[str]:
    return [row["status"] for row in kite.order_history(order_id)]


# Session


def test_a_login_gives_a_session_and_a_logout_ends_it(exchange: PaperExchange, kite: KiteConnect) -> None:
    session = kite.generate_session(exchange.request_token(), "paper-secret")
    assert session["user_id"] == "PX0001"
    assert session["login_time"].year == 2026
    assert kite.profile()["user_id"] == "PX0001"
    assert kite.invalidate_access_token() is True
    with pytest.raises(exceptions.TokenException, match="Incorrect `api_key` or `access_token`") as refused:
        kite.profile()
    assert refused.value.code == 403


def test_a_checksum_with_another_secret_is_refused(exchange: PaperExchange, kite: KiteConnect) -> None:
    with pytest.raises(exceptions.TokenException, match="Invalid `checksum`") as refused:
        kite.generate_session(exchange.request_token(), "another-secret")
    assert refused.value.code == 403


def test_a_request_token_is_good_once(exchange: PaperExchange, kite: KiteConnect) -> None:
    token = exchange.request_token()
    kite.generate_session(token, "paper-secret")
    with pytest.raises(exceptions.TokenException, match="invalid or has expired"):
        kite.generate_session(token, "paper-secret")


def test_a_second_login_ends_the_first(exchange: PaperExchange, kite: KiteConnect) -> None:
    first = kite.access_token
    kite.generate_session(exchange.request_token(), "paper-secret")
    kite.set_access_token(first)
    with pytest.raises(exceptions.TokenException):
        kite.orders()


def test_a_session_ends_at_six_in_the_morning(exchange: PaperExchange, kite: KiteConnect) -> None:
    exchange.control("POST", "/clock", {"now": "2026-11-24T05:59:00"})
    assert kite.profile()["user_id"] == "PX0001"
    exchange.control("POST", "/clock", {"now": "2026-11-24T06:00:00"})
    with pytest.raises(exceptions.TokenException):
        kite.profile()


def test_a_request_without_the_header_is_an_input_error(exchange: PaperExchange) -> None:
    answer = httpx.get(f"{exchange.root}/user/profile")
    assert (answer.status_code, answer.json()["error_type"]) == (400, "InputException")


def test_sessions_cannot_be_refreshed(kite: KiteConnect) -> None:
    with pytest.raises(exceptions.TokenException):
        kite.renew_access_token("nothing", "paper-secret")


def test_the_login_redirect_carries_kites_parameters(exchange: PaperExchange) -> None:
    answer = httpx.get(
        f"{exchange.root}/connect/login", params={"v": 3, "api_key": "paper", "redirect_params": "desk=7&book=a"}
    )
    target = httpx.URL(answer.headers["location"])
    assert answer.status_code == 302
    assert {"action": "login", "status": "success", "desk": "7", "book": "a"}.items() <= dict(target.params).items()
    assert httpx.get(f"{exchange.root}/connect/login", params={"api_key": "no"}).status_code == 400


# Funds and calculators


def test_funds_block_what_open_orders_need(kite: KiteConnect) -> None:
    before = kite.margins("equity")
    assert before["net"] == before["available"]["cash"] == 10_000_000
    order = place(kite, price=960, quantity=100)
    until(kite, order, "OPEN")
    during = kite.margins()["equity"]
    assert during["net"] == 10_000_000 - 96_000
    assert during["net"] == during["available"]["cash"] - during["utilised"]["debits"]
    kite.cancel_order("regular", order)
    until(kite, order, "CANCELLED")
    assert kite.margins("equity") == before
    assert kite.margins("commodity")["net"] == 0
    with pytest.raises(exceptions.InputException):
        kite.margins("bullion")


@pytest.mark.parametrize(
    ("symbol", "side", "product", "price", "needed"),
    [
        ("NSE:INFY", "BUY", "CNC", 1500, 15_000),
        ("NSE:INFY", "SELL", "CNC", 1500, 0),
        ("NSE:INFY", "SELL", "MIS", 1500, 3_000),
        ("NFO:NIFTY26NOVFUT", "BUY", "NRML", 26000, 39_000),
        ("NFO:NIFTY26NOV26000CE", "BUY", "NRML", 200, 2_000),
        ("NFO:NIFTY26NOV26000CE", "SELL", "NRML", 200, 39_000),
    ],
)
def test_order_margins_follow_the_table(
    kite: KiteConnect, symbol: str, side: str, product: str, price: int, needed: int
) -> None:
    exchange_name, name = symbol.split(":")
    [row] = kite.order_margins(
        [
            {
                "exchange": exchange_name,
                "tradingsymbol": name,
                "transaction_type": side,
                "variety": "regular",
                "product": product,
                "order_type": "LIMIT",
                "quantity": 10,
                "price": price,
            }
        ]
    )
    assert row["total"] == needed == row["span"] + row["exposure"] + row["var"] + row["option_premium"]


def test_charges_are_the_sum_of_their_parts(kite: KiteConnect) -> None:
    [row] = kite.get_virtual_contract_note(
        [
            {
                "order_id": "1",
                "exchange": "NSE",
                "tradingsymbol": "INFY",
                "transaction_type": "BUY",
                "variety": "regular",
                "product": "MIS",
                "order_type": "LIMIT",
                "quantity": 100,
                "average_price": 1545.5,
            }
        ]
    )
    parts = row["charges"]
    names = ("transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "brokerage", "stamp_duty")
    total = sum((Decimal(str(parts[name])) for name in names), Decimal(str(parts["gst"]["total"])))
    assert total == Decimal(str(parts["total"])) > 0
    assert row["price"] == 1545.5
    with pytest.raises(exceptions.InputException, match="average_price"):
        kite.get_virtual_contract_note(
            [
                {
                    "exchange": "NSE",
                    "tradingsymbol": "INFY",
                    "transaction_type": "BUY",
                    "product": "MIS",
                    "quantity": 1,
                    "average_price": 0,
                }
            ]
        )


# Market data


def test_the_instrument_list_is_kites_csv(kite: KiteConnect) -> None:
    rows = kite.instruments()
    assert len(rows) >= 200
    segments = {"NSE": 1, "NFO-FUT": 2, "NFO-OPT": 2, "INDICES": 9}
    assert all(row["instrument_token"] & 0xFF == segments[row["segment"]] for row in rows)
    assert {row["exchange"] for row in kite.instruments("NFO")} == {"NFO"}
    [sbin] = [row for row in kite.instruments("NSE") if row["tradingsymbol"] == "SBIN"]
    assert (sbin["instrument_token"], sbin["tick_size"], sbin["lot_size"]) == (779521, 0.05, 1)


def test_quotes_show_the_band_the_depth_and_the_day(exchange: PaperExchange, kite: KiteConnect) -> None:
    quote = kite.quote("NSE:SBIN", "NSE:NIFTY 50", "NSE:NOSUCH")
    assert set(quote) == {"NSE:SBIN", "NSE:NIFTY 50"}
    sbin = quote["NSE:SBIN"]
    assert sbin["last_price"] == 970
    assert sbin["lower_circuit_limit"] < 970 < sbin["upper_circuit_limit"]
    assert len(sbin["depth"]["buy"]) == len(sbin["depth"]["sell"]) == 5
    assert sbin["ohlc"]["low"] <= 970 <= sbin["ohlc"]["high"]
    assert kite.ltp("NSE:SBIN")["NSE:SBIN"] == {"instrument_token": 779521, "last_price": 970}
    assert kite.ohlc("NSE:SBIN")["NSE:SBIN"]["ohlc"]["close"] == 972.85
    with pytest.raises(exceptions.InputException, match="500"):
        kite.quote([f"NSE:X{n}" for n in range(501)])
    with pytest.raises(exceptions.InputException, match="1000"):
        kite.ltp([f"NSE:X{n}" for n in range(1001)])


# Placing and filling


def test_a_crossing_limit_order_fills_at_the_last_price(kite: KiteConnect) -> None:
    order = place(kite, price=975, tag="desk7")
    row = until(kite, order, "COMPLETE")
    assert len(order) == 19
    assert (row["average_price"], row["filled_quantity"], row["pending_quantity"]) == (970, 10, 0)
    assert (row["tag"], row["tags"], row["modified"]) == ("desk7", ["desk7"], False)
    assert statuses(kite, order) == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN", "COMPLETE"]
    history = kite.order_history(order)
    assert history[0]["exchange_order_id"] is None
    assert history[-1]["exchange_order_id"] == row["exchange_order_id"]
    assert not {"guid", "meta", "market_protection", "status_message_raw"} & history[0].keys()


def test_the_volume_of_a_tick_limits_a_fill(exchange: PaperExchange, kite: KiteConnect) -> None:
    exchange.control("POST", "/settings", {"tick_seconds": 60})
    exchange.control("POST", "/prices", {"NSE:SBIN": {"volume_per_tick": 40}})
    order = place(kite, quantity=100)
    row = wait_for(lambda: last(kite, order), lambda row: row["filled_quantity"] == 40)
    assert (row["status"], row["pending_quantity"]) == ("OPEN", 60)
    exchange.control("POST", "/tick", {"count": 2})
    row = last(kite, order)
    assert (row["status"], row["filled_quantity"]) == ("COMPLETE", 100)
    trades = kite.order_trades(order)
    assert [trade["quantity"] for trade in trades] == [40, 40, 20]
    assert {trade["order_id"] for trade in kite.trades()} == {order}
    assert all(len(trade["order_timestamp"]) == 8 for trade in trades)


def test_a_protected_market_order_comes_back_as_a_limit_order(kite: KiteConnect) -> None:
    order = place(kite, order_type="MARKET", price=None, market_protection=2, tag="m1")
    row = until(kite, order, "COMPLETE")
    assert (row["order_type"], row["price"], row["market_protection"]) == ("LIMIT", 989.4, 0)
    assert (row["tag"], row["tags"]) == ("m1", ["m1", "mktp", "mktp:2.00"])
    automatic = place(kite, order_type="MARKET", price=None, market_protection=-1)
    assert until(kite, automatic, "COMPLETE")["tags"] == ["mktp", "mktp:0.50"]


@pytest.mark.parametrize("order_type", ["MARKET", "SL-M"])
def test_market_orders_without_protection_are_refused(kite: KiteConnect, order_type: str) -> None:
    with pytest.raises(exceptions.InputException, match="without market protection are not allowed") as refused:
        place(kite, order_type=order_type, price=None, trigger_price=980)
    assert refused.value.code == 400


@pytest.mark.parametrize(("order_type", "extra"), [("SL", {"price": 985}), ("SL-M", {"market_protection": 1})])
def test_a_stop_order_waits_for_its_trigger(
    exchange: PaperExchange, kite: KiteConnect, order_type: str, extra: Row
) -> None:
    order = place(kite, order_type=order_type, trigger_price=980, **{"price": None, **extra})
    until(kite, order, "TRIGGER PENDING")
    exchange.control("POST", "/prices", {"NSE:SBIN": {"last_price": 981}})
    row = until(kite, order, "COMPLETE")
    assert (row["average_price"], row["order_type"]) == (981, "SL")
    assert statuses(kite, order)[-3:] == ["TRIGGER PENDING", "OPEN", "COMPLETE"]


def test_an_ioc_order_is_cancelled_for_what_it_did_not_get(exchange: PaperExchange, kite: KiteConnect) -> None:
    exchange.control("POST", "/prices", {"NSE:SBIN": {"volume_per_tick": 4}})
    row = until(kite, place(kite, validity="IOC"), "CANCELLED")
    assert (row["filled_quantity"], row["pending_quantity"], row["cancelled_quantity"]) == (4, 6, 6)


def test_a_ttl_order_ends_after_its_minutes(exchange: PaperExchange, kite: KiteConnect) -> None:
    order = place(kite, price=960, validity="TTL", validity_ttl=2)
    assert until(kite, order, "OPEN")["validity_ttl"] == 2
    exchange.control("POST", "/clock", {"now": "2026-11-23T11:01:30"})
    assert last(kite, order)["status"] == "OPEN"
    exchange.control("POST", "/clock", {"now": "2026-11-23T11:02:30"})
    assert until(kite, order, "CANCELLED")["status_message"]


def test_an_iceberg_shows_one_leg_after_the_other(kite: KiteConnect) -> None:
    order = place(kite, variety="iceberg", quantity=100, iceberg_legs=3, iceberg_quantity=None, tag="ice")
    rows = wait_for(kite.orders, lambda rows: len(rows) == 3 and all(r["status"] == "COMPLETE" for r in rows))
    assert [row["quantity"] for row in rows] == [34, 34, 32]
    assert rows[0]["order_id"] == order
    assert [row["meta"]["iceberg"]["leg"] for row in rows] == [1, 2, 3]
    assert [row["meta"]["iceberg"]["remaining_quantity"] for row in rows] == [66, 32, 0]
    assert {row["tag"] for row in rows} == {"ice"}


def test_an_amo_waits_for_the_open(exchange: PaperExchange, kite: KiteConnect) -> None:
    exchange.control("POST", "/clock", {"mode": "market", "now": "2026-11-23T20:00:00"})
    with pytest.raises(exceptions.InputException, match="Try placing an AMO order"):
        place(kite)
    with pytest.raises(exceptions.InputException, match="MIS \\(intraday\\) are blocked"):
        place(kite, product="MIS")
    order, other = place(kite, variety="amo"), place(kite, variety="amo")
    assert last(kite, order)["status"] == "AMO REQ RECEIVED"
    kite.modify_order("amo", order, quantity=7)
    kite.cancel_order("amo", other)
    assert last(kite, other)["status"] == "CANCELLED"
    exchange.control("POST", "/clock", {"mode": "market", "now": "2026-11-24T09:14:00"})
    kite.generate_session(exchange.request_token(), "paper-secret")
    assert last(kite, order)["status"] == "AMO REQ RECEIVED"
    exchange.control("POST", "/clock", {"mode": "market", "now": "2026-11-24T09:15:00"})
    assert until(kite, order, "COMPLETE")["quantity"] == 7
    assert statuses(kite, order)[-5:-1] == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN"]
    with pytest.raises(exceptions.InputException, match="AMO"):
        place(kite, variety="amo")


def test_day_orders_lapse_at_the_close(exchange: PaperExchange, kite: KiteConnect) -> None:
    order = place(kite, price=960)
    until(kite, order, "OPEN")
    exchange.control("POST", "/clock", {"mode": "market", "now": "2026-11-23T15:30:00"})
    assert until(kite, order, "CANCELLED")["status_message"]
    assert kite.margins("equity")["net"] == 10_000_000


def test_autoslice_makes_children_within_the_freeze_quantity(kite: KiteConnect) -> None:
    answer = kite.place_autoslice_order(**{**LIMIT, **NIFTY, "product": "MIS", "quantity": 65 * 40, "price": 25000})
    children = [child["order_id"] for child in answer["children"]]
    rows = wait_for(kite.orders, lambda rows: len(rows) == 2)
    assert [row["order_id"] for row in rows] == children
    assert [row["quantity"] for row in rows] == [65 * 27, 65 * 13]
    assert rows[0]["tags"] == ["autoslice", f"autoslice:{answer['order_id']}"]


# Modifying and cancelling


def test_a_modification_passes_kites_statuses(kite: KiteConnect) -> None:
    order = place(kite, price=960)
    until(kite, order, "OPEN")
    assert kite.modify_order("regular", order, price=961, quantity=12) == order
    wait_for(lambda: statuses(kite, order), lambda seen: seen[-1] == "OPEN" and len(seen) > 4)
    assert statuses(kite, order)[4:] == ["MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN"]
    assert [row["price"] for row in kite.order_history(order)[-2:]] == [960, 961]
    assert (last(kite, order)["quantity"], last(kite, order)["modified"]) == (12, False)
    kite.modify_order("regular", order, price=970)
    assert until(kite, order, "COMPLETE")["filled_quantity"] == 12


def test_a_partly_filled_order_can_be_modified_but_not_below_its_fill(
    exchange: PaperExchange, kite: KiteConnect
) -> None:
    exchange.control("POST", "/settings", {"tick_seconds": 60})
    exchange.control("POST", "/prices", {"NSE:SBIN": {"volume_per_tick": 4}})
    order = place(kite)
    wait_for(lambda: last(kite, order), lambda row: row["filled_quantity"] == 4)
    with pytest.raises(exceptions.InputException, match="already filled"):
        kite.modify_order("regular", order, quantity=4)
    kite.modify_order("regular", order, quantity=8)
    wait_for(lambda: last(kite, order), lambda row: row["quantity"] == 8 and row["status"] == "OPEN")
    kite.cancel_order("regular", order)
    row = until(kite, order, "CANCELLED")
    assert (row["filled_quantity"], row["pending_quantity"], row["cancelled_quantity"]) == (4, 4, 4)
    assert row["status_message"] is None


def test_a_modification_may_make_a_market_order(kite: KiteConnect) -> None:
    order = place(kite, price=960)
    until(kite, order, "OPEN")
    with pytest.raises(exceptions.InputException, match="market protection"):
        kite.modify_order("regular", order, order_type="MARKET")
    kite.modify_order("regular", order, order_type="MARKET", market_protection=1)
    assert until(kite, order, "COMPLETE")["tags"] == ["mktp", "mktp:1.00"]


def test_a_modification_out_of_the_band_leaves_the_order_as_it_was(kite: KiteConnect) -> None:
    order = place(kite, price=960)
    until(kite, order, "OPEN")
    kite.modify_order("regular", order, price=500)
    row = wait_for(lambda: last(kite, order), lambda row: row["status_message"])
    assert (row["status"], row["price"]) == ("OPEN", 960)
    assert "circuit limits" in row["status_message"]


def test_the_twenty_sixth_modification_is_a_network_exception(exchange: PaperExchange, kite: KiteConnect) -> None:
    exchange.control("POST", "/settings", {"latency_seconds": 0})
    order = place(kite, price=960)
    until(kite, order, "OPEN")
    for number in range(25):
        kite.modify_order("regular", order, quantity=20 + number)
        wait_for(lambda: last(kite, order), lambda row: row["status"] == "OPEN")
    with pytest.raises(exceptions.NetworkException, match="Maximum allowed order modifications exceeded"):
        kite.modify_order("regular", order, quantity=19)


def test_an_order_on_its_way_cannot_be_touched(exchange: PaperExchange, kite: KiteConnect) -> None:
    exchange.control("POST", "/settings", {"latency_seconds": 60})
    order = place(kite, price=960)
    exchange.control("POST", "/settings", {"latency_seconds": 0.005})
    with pytest.raises(exceptions.InputException, match="cannot be cancelled as it is being processed"):
        kite.cancel_order("regular", order)
    with pytest.raises(exceptions.InputException, match="cannot be modified as it is being processed"):
        kite.modify_order("regular", order, price=961)


def test_a_finished_order_cannot_be_cancelled_and_an_unknown_one_is_not_found(kite: KiteConnect) -> None:
    order = place(kite)
    until(kite, order, "COMPLETE")
    with pytest.raises(exceptions.InputException, match="COMPLETE already"):
        kite.cancel_order("regular", order)
    calls: list[Callable[[], Any]] = [
        lambda: kite.cancel_order("regular", "1"),
        lambda: kite.modify_order("regular", "1", price=1),
        lambda: kite.order_history("1"),
        lambda: kite.order_trades("1"),
    ]
    for call in calls:
        with pytest.raises(exceptions.OrderException, match="find that `order_id`"):
            call()


# Refusals


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tradingsymbol": "NOSUCH"}, "expired or does not exist"),
        ({"tradingsymbol": "NIFTY 50"}, "expired or does not exist"),
        ({"price": 970.03}, "Tick size for this script is 0.05"),
        ({"price": 970.001}, "`price`"),
        ({"price": 0}, "`price`"),
        ({"price": None}, "`price`"),
        ({"price": "cheap"}, "failed to decode price"),
        ({"quantity": 0}, "`quantity`"),
        ({"quantity": -5}, "`quantity`"),
        ({"quantity": 1.5}, "`quantity`"),
        ({**NIFTY, "quantity": 66, "price": 26000}, "lot size 65"),
        ({"transaction_type": "HOLD"}, "`transaction_type`"),
        ({"order_type": "MAGIC"}, "`order_type`"),
        ({"exchange": "LSE"}, "`exchange`"),
        ({"product": "NRML"}, "`product`"),
        ({"product": "MTF"}, "MTF"),
        ({**NIFTY, "product": "CNC", "price": 26000}, "`product`"),
        ({"tag": "not ok!"}, "`tag`"),
        ({"tag": "a" * 21}, "`tag`"),
        ({"validity": "GTC"}, "`validity`"),
        ({"validity": "TTL"}, "`validity_ttl`"),
        ({"disclosed_quantity": 11}, "`disclosed_quantity`"),
        ({"order_type": "MARKET", "price": None, "market_protection": True}, "expected decimal"),
        ({"order_type": "MARKET", "price": None, "market_protection": 101}, "`market_protection`"),
        ({"order_type": "SL", "trigger_price": 960, "price": 985}, "should be higher than the last traded price"),
        ({"order_type": "SL", "trigger_price": 990, "price": 985}, "cannot be above the limit price"),
        ({"order_type": "SL", "price": 985}, "`trigger_price`"),
        ({"variety": "iceberg", "iceberg_legs": 51, "quantity": 100}, "`iceberg_legs`"),
        ({"variety": "iceberg", "quantity": 100}, "`iceberg_legs`"),
        ({"variety": "auction"}, "not supported by the paper exchange"),
        ({"variety": "co"}, "not supported by the paper exchange"),
        ({"variety": "new"}, "`variety`"),
    ],
)
def test_malformed_orders_are_refused_and_leave_nothing(kite: KiteConnect, changes: Row, words: str) -> None:
    with pytest.raises(exceptions.InputException) as refused:
        place(kite, **changes)
    assert words in str(refused.value)
    assert refused.value.code == 400
    assert kite.orders() == []
    assert kite.margins("equity")["net"] == 10_000_000


def test_an_order_without_funds_is_a_margin_error(kite: KiteConnect) -> None:
    with pytest.raises(
        exceptions.GeneralException,
        match=(r"Insufficient funds\. Required margin is 14550000\.00 but available margin is 10000000\.00"),
    ) as refused:
        place(kite, quantity=15_000)
    assert refused.value.code == 400  # the client has no class for MarginException
    assert kite.orders() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": 1200}, "circuit limits"),
        (
            {
                "tradingsymbol": "ITC",
                "product": "MIS",
                "transaction_type": "SELL",
                "quantity": 700_000,
                "price": 404.85,
            },
            "freeze quantity",
        ),
        ({"tradingsymbol": "SBIN", "transaction_type": "SELL", "quantity": 1001}, "Insufficient holdings"),
        (
            {"tradingsymbol": "RELIANCE", "transaction_type": "SELL", "quantity": 201, "price": 1536},
            "Insufficient holdings",
        ),
    ],
)
def test_risk_refusals_come_as_rejected_rows(
    exchange: PaperExchange, kite: KiteConnect, changes: Row, words: str
) -> None:
    exchange.control("POST", "/clients", {"user_id": "PX0001", "cash": 1_000_000_000})
    order = place(kite, **changes)
    row = until(kite, order, "REJECTED")
    assert words in row["status_message"]
    assert row["status_message_raw"]
    assert row["exchange_order_id"] is None
    assert (row["filled_quantity"], row["pending_quantity"], row["cancelled_quantity"]) == (0, 0, 0)
    assert statuses(kite, order) == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "REJECTED"]
    assert kite.margins("equity")["utilised"]["debits"] == 0


def test_a_sale_may_need_authorisation_at_the_depository(exchange: PaperExchange, kite: KiteConnect) -> None:
    exchange.control("POST", "/clients", {"user_id": "PX0001", "edis": True})
    sale = {"transaction_type": "SELL", "quantity": 10}
    with pytest.raises(exceptions.GeneralException, match="10 quantity needs authorisation at depository") as refused:
        place(kite, **sale)
    assert refused.value.code == 428
    httpx.post(
        f"{exchange.root}/portfolio/holdings/authorise", headers={"Authorization": f"token paper:{kite.access_token}"}
    )
    until(kite, place(kite, **sale), "COMPLETE")


# Portfolio


def assert_identities(row: Row) -> None:
    """What holds on every position row of Kite's own samples."""
    near = pytest.approx
    assert row["quantity"] == row["buy_quantity"] - row["sell_quantity"]
    assert row["quantity"] == row["overnight_quantity"] + row["day_buy_quantity"] - row["day_sell_quantity"]
    assert row["value"] == near(row["sell_value"] - row["buy_value"])
    assert row["buy_value"] == near(row["buy_quantity"] * row["buy_price"] * row["multiplier"])
    held = row["quantity"] * row["last_price"] * row["multiplier"]
    assert row["pnl"] == row["unrealised"] == near(row["value"] + held)
    assert row["buy_m2m"] == near(row["overnight_quantity"] * row["close_price"] + row["day_buy_value"])
    assert row["m2m"] == near(row["sell_m2m"] - row["buy_m2m"] + held)
    assert row["realised"] == 0
    if not row["quantity"]:
        assert row["average_price"] == 0


def test_positions_keep_kites_identities_over_days(exchange: PaperExchange, kite: KiteConnect) -> None:
    assert kite.positions() == {"net": [], "day": []}
    future = {**NIFTY, "quantity": 130, "price": 26000}
    until(kite, place(kite, **future), "COMPLETE")
    until(kite, place(kite, **{**future, "quantity": 65, "transaction_type": "SELL"}), "COMPLETE")
    until(kite, place(kite, product="MIS", transaction_type="SELL", quantity=20), "COMPLETE")
    exchange.control("POST", "/prices", {"NSE:SBIN": {"last_price": 960}, "NFO:NIFTY26NOVFUT": {"last_price": 26100}})
    positions = kite.positions()
    assert [row["quantity"] for row in positions["net"]] == [65, -20]
    assert [row["pnl"] for row in positions["net"]] == [6500, 200]
    for row in positions["net"] + positions["day"]:
        assert_identities(row)
    exchange.control("POST", "/clock", {"now": "2026-11-24T05:00:00"})
    exchange.control("POST", "/prices", {"NFO:NIFTY26NOVFUT": {"last_price": 26200, "freeze": True}})
    until(kite, place(kite, **{**future, "quantity": 65, "price": 26200}), "COMPLETE")
    [net], [day] = kite.positions()["net"], kite.positions()["day"]
    assert (net["quantity"], net["overnight_quantity"], day["quantity"]) == (130, 65, 65)
    assert net["close_price"] == 26100
    assert net["m2m"] == 6500
    for row in (net, day):
        assert_identities(row)
    assert len(kite.orders()) == len(kite.trades()) == 1


def test_delivery_moves_between_holdings_and_positions(exchange: PaperExchange, kite: KiteConnect) -> None:
    sbin = next(row for row in kite.holdings() if row["tradingsymbol"] == "SBIN")
    assert (sbin["quantity"], sbin["used_quantity"], len(sbin["isin"])) == (1000, 0, 12)
    assert sbin["pnl"] == pytest.approx((sbin["last_price"] - sbin["average_price"]) * 1000)
    until(kite, place(kite, transaction_type="SELL", quantity=300), "COMPLETE")
    until(kite, place(kite, tradingsymbol="ITC", price=405, quantity=50), "COMPLETE")
    assert next(r for r in kite.holdings() if r["tradingsymbol"] == "SBIN")["used_quantity"] == 300
    assert until(kite, place(kite, transaction_type="SELL", quantity=701), "REJECTED")
    exchange.control("POST", "/clock", {"now": "2026-11-24T05:00:00"})
    held = {row["tradingsymbol"]: row for row in kite.holdings()}
    assert (held["SBIN"]["quantity"], held["SBIN"]["used_quantity"]) == (700, 0)
    assert (held["ITC"]["quantity"], held["ITC"]["t1_quantity"], held["ITC"]["average_price"]) == (0, 50, 405)
    assert kite.positions()["net"] == []


# Limits and spoilt answers


def place_many(kite: KiteConnect) -> None:
    for _ in range(200):
        place(kite, price=960, quantity=1)


def test_the_eleventh_order_of_a_second_is_too_many(exchange: PaperExchange, kite: KiteConnect) -> None:
    exchange.control("POST", "/limits", {"enabled": True, "orders_per_second": 10, "others_per_second": 0})
    with pytest.raises(exceptions.NetworkException, match="Too many requests") as refused:
        place_many(kite)
    assert refused.value.code == 429
    assert len(kite.orders()) >= 10


def test_the_day_has_its_own_limit(exchange: PaperExchange, kite: KiteConnect) -> None:
    figures = exchange.control("GET", "/limits")
    exchange.control(
        "POST",
        "/limits",
        {"enabled": True, "orders_per_day": 2, "orders_per_second": 0, "orders_per_minute": 0, "others_per_second": 0},
    )
    place(kite, price=960)
    with pytest.raises(exceptions.InputException):
        place(kite, price=-1)  # refused, and counted all the same
    with pytest.raises(exceptions.NetworkException, match="Maximum allowed order request exceeded"):
        place(kite, price=960)
    exchange.control("POST", "/limits", figures)


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ({"kind": "http_429"}, exceptions.NetworkException, 429),
        ({"kind": "http_5xx", "status": 503}, exceptions.NetworkException, 503),
        ({"kind": "http_5xx", "status": 500}, exceptions.GeneralException, 500),
        ({"kind": "html_error", "status": 504}, exceptions.DataException, 502),
        ({"kind": "timed_out"}, exceptions.NetworkException, 504),
        ({"kind": "token_expiry"}, exceptions.TokenException, 403),
    ],
)
def test_spoilt_answers_reach_the_client_as_kites_errors(
    exchange: PaperExchange, kite: KiteConnect, fault: Row, error: type[Exception], code: int
) -> None:
    exchange.control("POST", "/faults", {**fault, "calls": 1, "route": "place"})
    with pytest.raises(error) as refused:
        place(kite, tag="spoilt")
    assert refused.value.code == code  # type: ignore[attr-defined]
    taken = exchange.control("GET", "/orders?tag=spoilt")
    assert len(taken) == (fault["kind"] == "timed_out")


@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "/nowhere", 404), ("PUT", "/trades", 405), ("GET", "/gtt/triggers", 404)]
)
def test_unknown_routes_answer_in_kites_envelope(exchange: PaperExchange, method: str, path: str, code: int) -> None:
    answer = httpx.request(method, f"{exchange.root}{path}")
    assert answer.status_code == code
    assert answer.json()["status"] == "error"
    assert answer.json()["error_type"]


def test_clients_do_not_see_each_other(exchange: PaperExchange, kite: KiteConnect) -> None:
    order = place(kite, price=960)
    until(kite, order, "OPEN")
    exchange.control("POST", "/clients", {"user_id": "PX0002", "cash": 1000})
    exchange.control("POST", "/apps", {"api_key": "second", "api_secret": "s", "redirect_url": "http://127.0.0.1:9/"})
    other = KiteConnect("second", root=exchange.root)
    other.generate_session(exchange.request_token("second", "PX0002"), "s")
    assert other.orders() == other.trades() == other.holdings() == []
    for call in (lambda: other.cancel_order("regular", order), lambda: other.order_history(order)):
        with pytest.raises(exceptions.OrderException):
            call()
    other.reqsession.close()
