"""Folding limits of scopes, as properties: the fold is one of those given, order does not matter, more is stricter."""

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from compliance.models import RiskLimit
from compliance.screening.facts import Limit
from compliance.screening.limits import strictest

#: Column of a scope's row: (name of the folded limit, which of two holds).
COLUMNS = {
    "max_order_quantity": ("order_quantity", min),
    "max_order_value": ("order_value", min),
    "max_open_value": ("open_value", min),
    "max_position_quantity": ("position_quantity", min),
    "duplicate_window_seconds": ("duplicate_window", max),
}
values = st.none() | st.integers(0, 50)
RATE = "max_orders_per_second"


def row(scope):
    numbers = dict.fromkeys((*COLUMNS, RATE), values)
    return st.builds(RiskLimit, scope=st.just(scope), version=st.integers(1, 9), **numbers)


scopes = st.tuples(row("HOUSE"), row("ACCOUNT"), row("ALGO"))


@given(scopes)
def test_what_holds_is_the_hardest_given_and_says_whose_it_is(rows):
    folded = strictest(rows)
    for column, (name, harder) in COLUMNS.items():
        given = [getattr(r, column) for r in rows if getattr(r, column) is not None]
        limit = getattr(folded, name)
        assert (limit.value if limit else None) == (harder(given) if given else None)
        if limit:
            named = [r for r in rows if limit.source == f"{r.scope} limits v{r.version}"]
            assert getattr(named[0], column) == limit.value


@given(scopes, st.randoms())
def test_the_order_in_which_scopes_are_read_decides_nothing(rows, random):
    mixed = list(rows)
    random.shuffle(mixed)
    one, other = strictest(rows), strictest(mixed)
    for name, _ in COLUMNS.values():
        assert _value(getattr(one, name)) == _value(getattr(other, name))
    assert _value(one.orders_per_second) == _value(other.orders_per_second)


@given(scopes)
def test_a_further_scope_only_tightens_but_for_the_rate_of_a_registered_algorithm(rows):
    house, account, algo = rows
    for fewer, more in (((house,), (house, account)), ((house, account), rows)):
        before, after = strictest(fewer), strictest(more)
        for name, harder in COLUMNS.values():
            low, high = _value(getattr(before, name)), _value(getattr(after, name))
            assert low is None or harder(low, high) == high
    rate = strictest(rows).orders_per_second
    if algo.max_orders_per_second is not None:
        assert rate == Limit(D(algo.max_orders_per_second), f"ALGO limits v{algo.version}")


def _value(limit):
    return None if limit is None else limit.value
