"""GET /accounts: the limits and the mode that hold for each, whatever scopes say so, and nothing of anybody else's."""

from collections.abc import Callable
from typing import Any

import pytest

from compliance.models import Account, AlgoRegistration
from compliance.services.controls import set_kill_switch, set_limits
from ledger.services.portfolios import open_portfolio
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.tests.api_cast import Cast, Client

ACCOUNTS = "/api/v1/accounts"
BY: dict[str, Any] = {"user": None, "actor": SYSTEM, "reason": "test"}
#: What the API calls a limit: the column that holds it.
LIMITS = {
    "maxOrderQuantity": "max_order_quantity", "maxOrderValue": "max_order_value", "maxOpenValue": "max_open_value",
    "maxPositionQuantity": "max_position_quantity", "maxOrdersPerSecond": "max_orders_per_second",
    "duplicateWindowSeconds": "duplicate_window_seconds",
}  # fmt: skip


def demo(client: Client) -> dict[str, Any]:
    [account] = [one for one in client.get(ACCOUNTS).json()["content"] if one["accountId"] == "DEMO"]
    found: dict[str, Any] = account
    return found


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize(("house", "own"), [(5, 7), (7, 5), (None, 5), (5, None), (None, None)])
def test_the_strictest_limit_of_house_and_account_is_shown_or_none(
    cast: Cast, as_trader: Client, name: str, house: int | None, own: int | None
) -> None:
    column = LIMITS[name]
    set_limits("HOUSE", values={column: house}, at=now(), **BY)
    set_limits("ACCOUNT", account=cast.account, values={column: own}, at=now(), **BY)
    set_limits("ACCOUNT", account=cast.other_account, values={column: 1}, at=now(), **BY)
    given = [value for value in (house, own) if value is not None]
    harder = max if name == "duplicateWindowSeconds" else min
    assert demo(as_trader)["limits"] == ({name: harder(given)} if given else {})


@pytest.mark.parametrize(
    ("switches", "shown"),
    [
        ([], ("ACTIVE", None)),
        ([("HOUSE", "REDUCING")], ("REDUCING", "HOUSE")),
        ([("HOUSE", "REDUCING"), ("ACCOUNT", "HALTED")], ("HALTED", "ACCOUNT")),
        ([("HOUSE", "HALTED"), ("ACCOUNT", "REDUCING")], ("HALTED", "HOUSE")),
        ([("OTHER", "HALTED")], ("ACTIVE", None)),
        ([("ALGO", "HALTED")], ("ACTIVE", None)),  # stops the algorithm, not the account
        ([("ACCOUNT", "HALTED"), ("ACCOUNT", "ACTIVE")], ("ACTIVE", None)),
    ],
)
def test_the_strictest_switch_is_shown_with_whose_it_is(
    cast: Cast, as_trader: Client, switches: list[tuple[str, str]], shown: tuple[str, str | None]
) -> None:
    algo = AlgoRegistration.objects.create(account=cast.account, algo_id="A1", name="Momentum")
    targets: dict[str, tuple[str, dict[str, Any]]] = {
        "HOUSE": ("HOUSE", {}), "ACCOUNT": ("ACCOUNT", {"account": cast.account}),
        "OTHER": ("ACCOUNT", {"account": cast.other_account}), "ALGO": ("ALGO", {"algo": algo}),
    }  # fmt: skip
    for name, mode in switches:
        scope, target = targets[name]
        set_kill_switch(scope, mode=mode, at=now(), **target, **BY)
    found = demo(as_trader)["killSwitch"]
    assert (found["mode"], found.get("scope")) == shown
    assert ("reason" in found) == (shown[1] is not None)


def test_portfolios_are_listed_first_opened_first_and_only_ones_own(
    cast: Cast, client_for: Callable[[str], Client]
) -> None:
    open_portfolio(cast.account.pk, code="A-LATER", name="Second", at=now(), **BY)
    for name, codes in (("trader", {"DEMO": ["DEMO-1", "A-LATER"]}), ("outsider", {"OTHER": ["OTHER-1"]})):
        content = client_for(name).get(ACCOUNTS).json()["content"]
        assert {one["accountId"]: [p["portfolioId"] for p in one["portfolios"]] for one in content} == codes


def test_a_closed_account_is_still_shown_and_says_so(cast: Cast, as_trader: Client) -> None:
    Account.objects.filter(pk=cast.account.pk).update(is_active=False, ucc="")
    found = demo(as_trader)
    assert found["isActive"] is False
    assert "ucc" not in found, "what is not set is absent"


def test_the_house_is_nobodys_trading_account(cast: Cast, as_operator: Client) -> None:
    page = as_operator.get(ACCOUNTS).json()
    assert [one["accountId"] for one in page["content"]] == ["DEMO", "OTHER"]
    assert page["totalElements"] == 2
