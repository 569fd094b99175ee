"""Charges and margins: reckoned from dated data, the same however an order is split into fills."""

from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import rates
from ledger.models import ChargeRate, Instrument
from ledger.rates import NoRate, capital_needed, charges_on, rate_card, reserve_price
from oms.lib.money import to_paisa

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 20)
EQUITY, FUTURE = Instrument(type="EQ"), Instrument(type="FUT")
CALL = Instrument(type="CE", strike=D(26000))
fixture_reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
sides = st.sampled_from(["BUY", "SELL"])
turnovers = st.integers(0, 10**9).map(lambda n: D(n) / 100)
KINDS = [(EQUITY, "CNC"), (EQUITY, "MIS"), (FUTURE, "NRML"), (CALL, "NRML")]


@pytest.fixture(autouse=True)
def _nothing_remembered():
    rates._rate_card.cache_clear()
    yield
    rates._rate_card.cache_clear()


@pytest.fixture
def card():
    return rate_card(TODAY)


@given(st.sampled_from(KINDS), sides, turnovers, turnovers)
@fixture_reuse
def test_more_turnover_never_costs_less(card, kind, side, one, other):
    rate = card.charge_rate(*kind)
    low, high = sorted((one, other))
    assert charges_on(rate, side, low) <= charges_on(rate, side, high)


@given(st.sampled_from(KINDS), sides, st.lists(turnovers, min_size=1, max_size=12))
@fixture_reuse
def test_fills_cost_together_what_the_whole_order_costs(card, kind, side, fills):
    """Each fill pays the difference, so that a cap per order is exact and no paisa is lost to rounding."""
    rate = card.charge_rate(*kind)
    charged = turnover = D(0)
    for value in fills:
        turnover += value
        due = charges_on(rate, side, turnover) - charged
        assert due >= 0
        charged += due
    assert charged == charges_on(rate, side, turnover)


@given(turnovers)
@fixture_reuse
def test_brokerage_stops_at_its_cap(card, turnover):
    free = ChargeRate(brokerage=D("0.0003"), brokerage_cap=None)
    capped = ChargeRate(brokerage=D("0.0003"), brokerage_cap=D(20))
    assert charges_on(capped, "BUY", turnover) == min(charges_on(free, "BUY", turnover), D(20))


class TestExamples:
    """Reckoned by hand from the published rates."""

    def test_delivery_buy_of_a_lakh(self, card):
        # STT 100, exchange 2.97, SEBI 0.10, stamp 15, GST 18 % of 3.07
        assert charges_on(card.charge_rate(EQUITY, "CNC"), "BUY", D(100_000)) == D("118.62")

    def test_delivery_sale_has_no_stamp_duty(self, card):
        assert charges_on(card.charge_rate(EQUITY, "CNC"), "SELL", D(100_000)) == D("103.62")

    def test_intraday_brokerage_is_a_fraction_up_to_twenty_rupees(self, card):
        # brokerage 3, STT 2.50, exchange 0.30, SEBI 0.01, GST 18 % of 3.31
        assert charges_on(card.charge_rate(EQUITY, "MIS"), "SELL", D(10_000)) == D("6.41")
        # brokerage 20 (not 300), STT 250, exchange 29.70, SEBI 1, GST 18 % of 50.70
        assert charges_on(card.charge_rate(EQUITY, "MIS"), "SELL", D(1_000_000)) == D("309.83")

    def test_an_option_costs_flat_brokerage(self, card):
        # brokerage 20, STT 15, exchange 3.50, SEBI 0.01, GST 18 % of 23.51
        assert charges_on(card.charge_rate(CALL, "NRML"), "SELL", D(10_000)) == D("42.74")

    def test_nothing_traded_costs_nothing(self, card):
        assert charges_on(card.charge_rate(EQUITY, "CNC"), "BUY", D(0)) == 0

    @pytest.mark.parametrize(
        ("instrument", "product", "side", "price", "margin"),
        [
            (EQUITY, "CNC", "BUY", 1000, 1000),
            (EQUITY, "MTF", "BUY", 1000, 500),
            (EQUITY, "MIS", "SELL", 1000, 200),
            (FUTURE, "NRML", "BUY", 26000, 3900),
            (CALL, "NRML", "BUY", 200, 200),
            (CALL, "NRML", "SELL", 200, 3900),  # a written option ties up margin on its strike
        ],
    )
    def test_margins(self, card, instrument, product, side, price, margin):
        assert card.unit_margin(instrument, product, side, D(price)) == margin


class TestByDate:
    @pytest.mark.parametrize(
        ("on", "stt"),
        [(date(2026, 3, 31), D("0.0002")), (date(2026, 4, 1), D("0.0005")), (date(2030, 1, 1), D("0.0005"))],
    )
    def test_a_tax_changes_on_its_day(self, on, stt):
        assert rate_card(on).charge_rate(FUTURE, "NRML").stt_sell == stt

    def test_before_the_first_rate_there_is_none(self):
        early = rate_card(date(2024, 9, 30))
        with pytest.raises(NoRate, match="EQ under CNC"):
            early.charge_rate(EQUITY, "CNC")
        with pytest.raises(NoRate, match="BUY EQ under CNC"):
            early.unit_margin(EQUITY, "CNC", "BUY", D(1))

    def test_a_newer_rate_wins_from_its_day_on(self):
        ChargeRate.objects.create(valid_from=date(2026, 11, 21), instrument_type="EQ", product="CNC", source="test")
        assert rate_card(TODAY).charge_rate(EQUITY, "CNC").stt_buy == D("0.001")
        assert rate_card(date(2026, 11, 21)).charge_rate(EQUITY, "CNC").stt_buy == 0

    def test_a_rate_that_has_ended_is_gone(self):
        ChargeRate.objects.filter(instrument_type="EQ", product="CNC").update(valid_to=date(2026, 11, 19))
        with pytest.raises(NoRate):
            rate_card(TODAY).charge_rate(EQUITY, "CNC")

    def test_a_future_is_not_held_for_delivery(self, card):
        with pytest.raises(NoRate):
            card.charge_rate(FUTURE, "CNC")


class TestWhatToReserve:
    @pytest.mark.parametrize(
        ("given", "worst"),
        [
            ({"type": "LIMIT", "price": D(100), "last_price": D(500)}, D(100)),
            ({"type": "STOP_LIMIT", "price": D(110), "stop_price": D(100), "last_price": D(90)}, D(110)),
            ({"type": "MARKET", "last_price": D(100), "protection": D(2)}, D(102)),
            ({"type": "MARKET", "last_price": D(100), "protection": D(-1)}, D(105)),
            ({"type": "MARKET", "last_price": D(100)}, D(105)),
            ({"type": "MARKET"}, None),
            ({"type": "STOP", "stop_price": D(120), "last_price": D(100), "protection": D(10)}, D(132)),
            ({"type": "STOP", "stop_price": D(80), "last_price": D(100), "protection": D(10)}, D(110)),
        ],
    )
    def test_the_worst_price_an_order_may_execute_at(self, given, worst):
        fields = {"side": "BUY", "price": None, "stop_price": None, "last_price": None, "protection": None}
        assert reserve_price(**(fields | given)) == worst

    def test_opening_units_need_margin_and_the_whole_order_its_charges(self, card):
        need = capital_needed(card, EQUITY, product="MIS", side="SELL", quantity=D(10), opens=D(4), price=D(1000))
        assert need == D(800) + charges_on(card.charge_rate(EQUITY, "MIS"), "SELL", D(10_000))

    def test_an_order_that_only_closes_needs_nothing(self, card):
        assert capital_needed(card, EQUITY, product="CNC", side="SELL", quantity=D(10), opens=D(0), price=D(1000)) == 0


prices = st.integers(1, 100_000).map(lambda ticks: ticks * D("0.05"))
units = st.integers(1, 10_000).map(D)


class TestWhatIsReservedIsEnough:
    """Whatever an order executes at within its terms, its reservation pays for it: margin, and charges on the whole."""

    def cost(self, card, kind, side, trades):
        """What executing these (units, price) really ties up and costs."""
        instrument, product = kind
        turnover = sum((quantity * price for quantity, price in trades), D(0))
        margins = [
            to_paisa(card.unit_margin(instrument, product, side, price) * quantity) for quantity, price in trades
        ]
        return sum(margins, D(0)) + charges_on(card.charge_rate(instrument, product), side, turnover)

    @given(
        st.sampled_from(KINDS), units, prices, st.lists(st.tuples(st.integers(1, 9), st.integers(0, 100)), max_size=5)
    )
    @fixture_reuse
    def test_a_purchase_never_costs_more_than_was_reserved_for_it(self, card, kind, quantity, limit, cuts):
        """Any fills at the limit or better; each may round its margin up by half a paisa."""
        need = capital_needed(
            card, kind[0], product=kind[1], side="BUY", quantity=quantity, opens=quantity, price=limit
        )
        trades, left = [], quantity
        for part, better in cuts:
            filled = min(left, quantity * part // 10 or D(1))
            trades.append((filled, limit * (100 - better) / 100))
            left -= filled
            if not left:
                break
        assert self.cost(card, kind, "BUY", [trade for trade in trades if trade[0]]) <= need + D("0.005") * len(trades)

    @given(st.sampled_from([(EQUITY, "MIS"), (FUTURE, "NRML")]), sides, units, st.data())
    @fixture_reuse
    def test_the_more_opens_the_more_is_reserved(self, card, kind, side, quantity, data):
        fewer, more = sorted(data.draw(st.integers(0, int(quantity)).map(D)) for _ in range(2))
        need = [
            capital_needed(card, kind[0], product=kind[1], side=side, quantity=quantity, opens=opens, price=D(500))
            for opens in (fewer, more)
        ]
        assert 0 <= need[0] <= need[1]

    @given(sides, st.none() | prices, st.none() | prices, st.none() | st.integers(-1, 20).map(D))
    def test_the_worst_price_of_a_market_order_is_no_better_than_the_market(self, side, last, stop, protection):
        for kind, trigger in (("MARKET", None), ("STOP", stop)):
            worst = reserve_price(
                type=kind, side=side, price=None, stop_price=trigger, last_price=last, protection=protection
            )
            known = [price for price in (last, trigger) if price is not None]
            assert (worst is None) == (not known)
            if worst is not None:
                assert worst >= max(known)

    @given(sides, prices, st.none() | prices)
    def test_a_sale_may_fetch_more_than_its_limit_and_a_purchase_never_costs_more(self, side, limit, last):
        worst = reserve_price(type="LIMIT", side=side, price=limit, stop_price=None, last_price=last, protection=None)
        assert worst == (max(limit, last or D(0)) if side == "SELL" else limit)
