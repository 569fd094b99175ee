"""Quotes, instruments and the calculators over Kite's routes."""

import csv
import io
from typing import Any

import pytest

from orders.tests.brokers.paper.api.client import Client, Door
from orders.tests.brokers.paper.engine import Engine

MARGIN = {
    "exchange": "NSE", "tradingsymbol": "SBIN", "transaction_type": "BUY", "product": "MIS", "quantity": 10, "price": 970,
}  # fmt: skip


class TestQuotes:
    def test_each_route_says_more_than_the_one_before(self, kite: Client) -> None:
        ltp, ohlc, full = (
            kite.data("GET", f"{path}?i=NSE:SBIN")["NSE:SBIN"] for path in ("/quote/ltp", "/quote/ohlc", "/quote")
        )
        assert ltp == {"instrument_token": 779521, "last_price": 970}
        assert ltp.items() <= ohlc.items()
        assert {name: full[name] for name in ohlc} == ohlc
        assert full["lower_circuit_limit"] < full["last_price"] < full["upper_circuit_limit"]
        assert [len(full["depth"][side]) for side in ("buy", "sell")] == [5, 5]

    def test_instruments_are_named_by_key_or_token_and_unknown_ones_left_out(self, kite: Client) -> None:
        found = kite.data("GET", "/quote/ltp?i=NSE:SBIN&i=779521&i=NSE:GHOST&i=999&i=%C2%B2")
        assert found.keys() == {"NSE:SBIN", "779521"}

    @pytest.mark.parametrize(("path", "most"), [("/quote", 500), ("/quote/ohlc", 1000), ("/quote/ltp", 1000)])
    def test_so_many_at_once_and_no_more(self, kite: Client, path: str, most: int) -> None:
        query = "&".join(f"i={n}" for n in range(most))
        assert kite.data("GET", f"{path}?{query}") == {}
        code, error, words = kite.refused("GET", f"{path}?{query}&i=0")
        assert (code, error, words) == (400, "InputException", f"At most {most} instruments can be asked for at once.")
        assert "`i`" in kite.refused("GET", path)[2]

    def test_a_trade_shows_in_the_days_figures(self, kite: Client) -> None:
        before = kite.data("GET", "/quote?i=NSE:SBIN")["NSE:SBIN"]
        kite.place(price="970", quantity="7")
        after = kite.data("GET", "/quote?i=NSE:SBIN")["NSE:SBIN"]
        assert after["volume"] == before["volume"] + 7
        assert (after["last_quantity"], after["last_trade_time"] is not None) == (7, True)


class TestInstruments:
    def rows(self, door: Door, path: str) -> list[dict[str, str]]:
        answer = door.get(path)
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/csv")
        return list(csv.DictReader(io.StringIO(answer.text)))

    def test_the_list_needs_no_session_and_has_kites_columns(self, door: Door) -> None:
        rows = self.rows(door, "/instruments")
        assert list(rows[0]) == [
            "instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike",
            "tick_size", "lot_size", "instrument_type", "segment", "exchange",
        ]  # fmt: skip
        [sbin] = [row for row in rows if (row["exchange"], row["tradingsymbol"]) == ("NSE", "SBIN")]
        assert (sbin["last_price"], sbin["tick_size"], sbin["lot_size"], sbin["expiry"]) == ("970", "0.05", "1", "")

    def test_exchanges_together_are_the_whole(self, door: Door) -> None:
        whole = self.rows(door, "/instruments")
        parts = {name: self.rows(door, f"/instruments/{name}") for name in ("NSE", "NFO", "LSE")}
        assert parts["LSE"] == []
        assert sorted(row["instrument_token"] for part in parts.values() for row in part) == sorted(
            row["instrument_token"] for row in whole
        )  # fmt: skip

    def test_what_has_expired_is_not_listed_any_more(self, door: Door, control: Any) -> None:
        contracts = {row["tradingsymbol"]: row["expiry"] for row in self.rows(door, "/instruments/NFO")}
        first = min(contracts.values())
        control("POST", "/clock", {"now": f"{first}T23:00:00", "frozen": True})
        assert {row["tradingsymbol"]: row["expiry"] for row in self.rows(door, "/instruments/NFO")} == contracts
        control("POST", "/clock", {"now": f"{first[:8]}{int(first[8:]) + 1:02}T00:00:00", "frozen": True})
        left = {row["tradingsymbol"]: row["expiry"] for row in self.rows(door, "/instruments/NFO")}
        assert left == {name: expiry for name, expiry in contracts.items() if expiry > first}


class TestCalculators:
    def test_a_margin_is_what_an_order_will_really_hold_back(self, kite: Client) -> None:
        for product in ("MIS", "CNC"):
            [told] = kite.data("POST", "/margins/orders", json=[MARGIN | {"product": product, "price": 960}])
            before = kite.data("GET", "/user/margins/equity")["utilised"]["debits"]
            kite.place(product=product)
            after = kite.data("GET", "/user/margins/equity")["utilised"]["debits"]
            assert told["total"] == pytest.approx(after - before)

    def test_charges_are_what_a_trade_really_costs(self, kite: Client, engine: Engine) -> None:
        account = engine.services.accounts["PX0001"]
        [told] = kite.data("POST", "/charges/orders", json=[MARGIN | {"average_price": 970}])
        before = account.cash
        kite.place(product="MIS", price="970")
        assert before - account.cash == round(told["charges"]["total"] * 100)

    def test_without_a_price_the_last_one_counts(self, kite: Client) -> None:
        [priced] = kite.data("POST", "/margins/orders", json=[MARGIN])
        for absent in ({"price": 0}, {"price": None}):
            assert kite.data("POST", "/margins/orders", json=[MARGIN | absent]) == [priced]

    def test_each_of_a_list_for_itself(self, kite: Client) -> None:
        items = [MARGIN | {"quantity": n} for n in (1, 2, 3)]
        assert [row["total"] for row in kite.data("POST", "/margins/orders", json=items)] == [194, 388, 582]

    @pytest.mark.parametrize("path", ["/margins/orders", "/charges/orders"])
    @pytest.mark.parametrize(
        "body",
        [
            {}, [], ["text"], [MARGIN, 5], [MARGIN | {"quantity": 0}], [MARGIN | {"quantity": 1.5}],
            [MARGIN | {"quantity": "10"}], [MARGIN | {"transaction_type": "HOLD"}], [MARGIN | {"product": "NRML"}],
            [MARGIN | {"tradingsymbol": "GHOST"}], [MARGIN | {"tradingsymbol": "NIFTY 50"}],
            [MARGIN | {"price": -1, "average_price": -1}], [MARGIN | {"price": "x", "average_price": "x"}],
        ],
    )  # fmt: skip
    def test_what_is_no_order_is_refused(self, kite: Client, path: str, body: Any) -> None:
        code, error, words = kite.refused("POST", path, json=body)
        assert (code, error) == (400, "InputException")
        assert words.endswith(".")
