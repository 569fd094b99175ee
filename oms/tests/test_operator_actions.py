"""What every operator action keeps to, one by one: who may, a reason, nothing done when refused, an event when done.

The actions are found in the service modules themselves, so one that is added without a line here fails. How to
add one: docs/adding-an-operator-action.md.
"""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from compliance.models import Account, Alert, OrderEvent
from compliance.selectors import COMPLIANCE, OPERATOR, account_events, require
from compliance.services.alerts import raise_alert
from compliance.verification import verify_chain
from oms.lib.actors import Actor, ActorType
from oms.lib.clock import now
from oms.lib.errors import Forbidden, Invalid
from oms.lib.validation import LONGEST_REASON
from oms.tests.api_cast import Cast, cast
from oms.tests.test_admin_actions import contents
from orders.models import BrokerAccount

__all__ = ["cast"]

PACKAGES = ("compliance.services", "ledger.services", "orders.services")
WHY = "because a test says so"
OPERATORS, STAFF = frozenset({"operator"}), frozenset({"operator", "officer"})
PEOPLE = ("trader", "viewer", "outsider", "officer", "operator")


def _actions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public service that asks for a reason and knows who acts."""
    for package in PACKAGES:
        root = importlib.import_module(package)
        for found in pkgutil.walk_packages(root.__path__, f"{package}."):
            module = importlib.import_module(found.name)
            for name, service in inspect.getmembers(module, inspect.isfunction):
                parameters = inspect.signature(service).parameters.keys()
                asks = "reason" in parameters and parameters & {"user", "actor"}
                if service.__module__ == found.name and not name.startswith("_") and asks:
                    yield name, service


SERVICES = dict(_actions())
MODULES = sorted({service.__module__ for service in SERVICES.values()})


@dataclass(frozen=True)
class World:
    """What the actions act on, by id: DEMO, its algorithm, an open alert, a broker account and a second one."""

    cast: Cast
    demo: int
    algo: int
    alert: int
    broker: int
    second_broker: int


@dataclass(frozen=True)
class Action:
    """How to ask for it, rightly; who may; the event that it leaves on an account's chain, if any."""

    arguments: Callable[[World], tuple[tuple[Any, ...], dict[str, Any]]]
    may: frozenset[str]
    event: str


def given(*positional: Any, **named: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return positional, named


NEW_BROKER = {
    "name": "New", "kind": "PAPER", "root_url": "http://127.0.0.1:8", "client_id": "PX9", "api_key": "k", "api_secret": "s",
}  # fmt: skip
ACTIONS = {
    "open_account": Action(
        lambda _: given(code="NEW", name="New", kind="PROP", products=["CNC"]), OPERATORS, "ACCOUNT_OPENED"
    ),
    "change_account": Action(lambda w: given(w.demo, changes={"name": "Other"}), OPERATORS, "ACCOUNT_CHANGED"),
    "grant_membership": Action(
        lambda w: given(w.demo, member=w.cast.outsider, role="VIEWER"), OPERATORS, "MEMBERSHIP_GRANTED"
    ),
    "revoke_membership": Action(lambda w: given(w.demo, member=w.cast.viewer), OPERATORS, "MEMBERSHIP_REVOKED"),
    "register_algo": Action(lambda w: given(w.demo, algo_id="A-2", name="Second"), OPERATORS, "ALGO_REGISTERED"),
    "change_algo": Action(lambda w: given(w.algo, changes={"name": "Other"}), OPERATORS, "ALGO_CHANGED"),
    "set_kill_switch": Action(
        lambda w: given("ACCOUNT", account=w.cast.account, mode="HALTED"), STAFF, "KILL_SWITCH_ON"
    ),
    "set_limits": Action(lambda _: given("HOUSE", values={"max_order_value": Decimal(5)}), STAFF, "LIMIT_CHANGED"),
    "close_alert": Action(lambda w: given(w.alert), STAFF, ""),
    "deposit": Action(lambda w: given(w.cast.portfolio, Decimal(100), key="another"), OPERATORS, "CAPITAL_DEPOSITED"),
    "open_portfolio": Action(lambda w: given(w.demo, code="DEMO-2", name="Second"), OPERATORS, "PORTFOLIO_OPENED"),
    "add_broker_account": Action(
        lambda w: given(w.demo, fields=NEW_BROKER | {"client_id": "PX8"}), OPERATORS, "BROKER_ACCOUNT_ADDED"
    ),
    "change_credentials": Action(
        lambda w: given(w.broker, changes={"api_key": "other"}), OPERATORS, "BROKER_ACCOUNT_CHANGED"
    ),
    "start_login": Action(lambda w: given(w.broker), OPERATORS, ""),
    "close_session": Action(lambda w: given(w.broker), OPERATORS, "BROKER_SESSION_CLOSED"),
    "change_routing": Action(lambda w: given(w.demo, broker_account_id=w.second_broker), OPERATORS, "ROUTING_CHANGED"),
}
#: Services that take a reason and are no operator's: why not.
OTHERS = {
    "request_modify": "a trader's, who need not say why",
    "request_cancel": "a trader's",
    "request_cancels": "a trader's",
    "record_login": "the end of a login; `start_login` asked who and why",
}
each_action = pytest.mark.parametrize("name", ACTIONS)


@pytest.fixture
def world(cast: Cast) -> World:
    account, broker = cast.account, cast.broker_account
    Account.objects.filter(pk=account.pk).update(pan="AAAPA1234A")
    second = BrokerAccount.objects.create(**NEW_BROKER | {"name": "Second", "default_account": account})
    algo = account.algos.create(algo_id="A-1", name="Momentum")
    raise_alert(key="k", kind="TEST", summary="Look at this", at=now(), account_id=account.pk)
    return World(cast, account.pk, algo.pk, Alert.objects.get().pk, broker.pk, second.pk)


def press(name: str, world: World, user: Any, reason: str = WHY) -> Any:
    """Call the service as its door would, and rightly but for what is given here."""
    positional, named = ACTIONS[name].arguments(world)
    actor = Actor(ActorType.OPERATOR, str(user.pk), "ADMIN", session_id="s1")
    context = {"user": user, "actor": actor, "at": now(), "reason": reason}
    wanted = inspect.signature(SERVICES[name]).parameters
    return SERVICES[name](*positional, **named, **{key: value for key, value in context.items() if key in wanted})


def test_every_service_that_asks_for_a_reason_is_here() -> None:
    assert SERVICES.keys() == ACTIONS.keys() | OTHERS.keys()


@pytest.mark.parametrize("module", MODULES)
def test_there_is_one_way_to_ask_who_may_and_one_to_say_what_is_wrong(module: str) -> None:
    names = {
        node.id
        for node in ast.walk(ast.parse(inspect.getsource(importlib.import_module(module))))
        if isinstance(node, ast.Name)
    }
    assert not names & {"is_in", "FieldError"}, "compliance.selectors.require, oms.lib.validation.Faults"


@each_action
def test_who_acts_why_and_when_is_named_in_the_call_and_none_of_it_is_left_out(name: str) -> None:
    parameters = inspect.signature(SERVICES[name]).parameters
    for wanted in {"user", "reason"} | (parameters.keys() & {"actor", "at"}):
        assert parameters[wanted].kind is inspect.Parameter.KEYWORD_ONLY, wanted
        assert parameters[wanted].default is inspect.Parameter.empty, wanted


@each_action
def test_those_who_may_not_are_told_who_may_and_nothing_happens(name: str, world: World) -> None:
    refused = [world.cast.people[role] for role in PEOPLE if role not in ACTIONS[name].may]
    gone = world.cast.operator
    gone.is_active = False
    before = contents()
    for user in (*refused, gone):
        with pytest.raises(Forbidden, match=r"^Only operators( and compliance officers)? may .+: ask one of them\.$"):
            press(name, world, user)
    assert contents() == before


@each_action
@pytest.mark.parametrize("reason", ["", "  \n", "x" * (LONGEST_REASON + 1)])
def test_without_a_reason_or_with_a_novel_nothing_happens(name: str, world: World, reason: str) -> None:
    before = contents()
    with pytest.raises(Invalid) as caught:
        press(name, world, world.cast.operator, reason)
    assert [error.pointer for error in caught.value.errors] == ["/reason"]
    assert all(error.message for error in caught.value.errors)
    assert contents() == before


@pytest.mark.parametrize(("name", "role"), [(name, role) for name, one in ACTIONS.items() for role in sorted(one.may)])
def test_what_is_done_stands_on_a_chain_with_who_and_why(name: str, role: str, world: World) -> None:
    action = ACTIONS[name]
    last = OrderEvent.objects.order_by("id").last()
    press(name, world, world.cast.people[role], f" {WHY} ")
    new = OrderEvent.objects.filter(id__gt=last.pk if last else 0)
    assert [event.event_type for event in new] == ([action.event] if action.event else [])
    for event in new:
        assert (event.order_id, event.actor_id) == (None, str(world.cast.people[role].pk))
        assert event.data["reason"] == WHY
        account = Account.objects.get(pk=event.account_id)
        assert verify_chain(account_events(account.pk), head=account.event_hash).ok


class TestRequire:
    def test_the_house_itself_may(self) -> None:
        require(None, OPERATOR, what="do this")

    def test_a_superuser_may(self, django_user_model: Any, db: None) -> None:
        require(django_user_model.objects.create_superuser("root"), COMPLIANCE, what="do this")

    def test_each_group_is_named(self, cast: Cast) -> None:
        require(cast.officer, OPERATOR, COMPLIANCE, what="do this")
        with pytest.raises(Forbidden, match="Only compliance officers may do this: ask one of them."):
            require(cast.operator, COMPLIANCE, what="do this")
