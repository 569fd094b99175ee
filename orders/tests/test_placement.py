"""Placing: who may, what is stored, what a repeat gets, and that a failure anywhere leaves nothing behind."""

from contextlib import contextmanager
from decimal import Decimal as D

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from compliance.idempotency import Idempotent, KeyReused, SentKey, StoredAnswer
from compliance.models import Alert, IdempotencyKey, OrderEvent
from compliance.selectors import order_events
from compliance.services.controls import set_limits
from compliance.verification import verify_chain
from ledger.models import AssetTransaction, CapitalAccount, CapitalEntry, Position
from ledger.selectors import trial_balance
from ledger.services.holdings import HeldBefore, open_holdings
from oms.lib.actors import SYSTEM, Actor, ActorType
from oms.lib.clock import now
from oms.lib.errors import Conflict, Forbidden, Invalid, NotFound
from oms.lib.hints import Hint, _listeners, listen
from orders.models import Amendment, BrokerMessage, Execution, Order
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.observation import apply_book
from orders.services.placement import Intent, place_orders
from orders.services.submission import answer_place, claim_orders
from orders.tests.factories import TRADER, broker_id, fresh, place, place_list, request_for, row, see, send, trade
from orders.tests.test_convergence import RolledBack
from orders.types import Accepted, BrokerStatus, Modification, Side

pytestmark = pytest.mark.django_db


def place_all(*requests, user=None, idempotent=None):
    """A list; the key is the first order's."""
    return place_list(requests, user=user, keys=[idempotent] if idempotent else ())


def outcomes(placements):
    """Of each: the state of what was stored with the reason, or the error's code."""
    return [p.error.code if p.error else (p.order.state, p.order.rejection_code) for p in placements]


def keyed(key, body=bytes(32)):
    """A key whose answer names the state and id of the order."""
    sent_key = SentKey("user:1", key, body)
    return Idempotent(sent_key, lambda placed: StoredAnswer(201, placed.order.state.encode() + placed.order.id.bytes))


class TestWhoMay:
    def test_traders_of_the_account_and_operators(self, account, sbin, trader, dealer, operator):
        for user in (trader, dealer, operator):
            assert place(user=user).placed_by == user

    def test_who_may_only_look_is_told_so(self, account, sbin, viewer, officer):
        for user in (viewer, officer):
            with pytest.raises(Forbidden) as caught:
                place(user=user)
            assert caught.value.code == "view_only"

    def test_for_others_the_account_does_not_exist(self, account, sbin, outsider, django_user_model):
        nobody = django_user_model.objects.create_user("nobody")
        with pytest.raises(NotFound) as absent:
            place(user=outsider, account="GHOST")
        for user in (outsider, nobody):
            with pytest.raises(NotFound) as hidden:
                place(user=user)
            assert hidden.value.detail == absent.value.detail.replace("GHOST", "DEMO")

    @pytest.mark.parametrize("who", ["trader", "operator", "superuser"])
    def test_somebody_who_was_deactivated_a_moment_ago_may_not(self, who, account, sbin, request, django_user_model):
        user = django_user_model.objects.create_superuser(who) if who == "superuser" else request.getfixturevalue(who)
        django_user_model.objects.filter(pk=user.pk).update(is_active=False)
        with pytest.raises((NotFound, Forbidden)):
            place(user=user)  # though this very object still says active

    def test_an_account_that_is_not_theirs_refuses_that_order_alone_and_leaves_no_row(
        self, account, other_account, sbin, trader
    ):
        other_account.memberships.create(user=trader, role="VIEWER")
        asked = [request_for(account=code) for code in ("DEMO", "OTHER", "GHOST", "DEMO")]
        assert outcomes(place_all(*asked, user=trader)) == [("CREATED", ""), "view_only", "not_found", ("CREATED", "")]
        assert Order.objects.filter(account=account).count() == Order.objects.count() == 2
        assert not OrderEvent.objects.filter(account_id=other_account.pk, order_id__isnull=False).exists()

    def test_an_account_that_is_not_theirs_is_not_locked(self, account, other_account, sbin, trader):
        with CaptureQueriesContext(connection) as queries:
            place_all(request_for(account="OTHER"), user=trader)
        assert not [q for q in queries if "INSERT" in q["sql"] or 'UPDATE "' in q["sql"]]

    def test_orders_of_several_people_in_one_list_are_each_their_own(
        self, account, other_account, sbin, trader, outsider
    ):
        officers = Actor(ActorType.OPERATOR, "9", "API")
        intents = [
            Intent(request_for(), TRADER, trader),
            Intent(request_for(account="OTHER"), officers, outsider),
            Intent(request_for(), officers, outsider),
        ]
        first, second, third = place_orders(intents, at=now())
        assert [first.order.placed_by, second.order.placed_by] == [trader, outsider]
        assert third.error.code == "not_found"
        for placement, actor in ((first, TRADER), (second, officers)):
            events = order_events(placement.order.pk)
            assert {(e.actor_type, e.actor_id) for e in events} == {(actor.type, actor.id)}
            entry = CapitalEntry.objects.get(order_id=placement.order.pk)
            assert entry.actor == f"{actor.type}:{actor.id}"

    def test_a_portfolio_of_another_account_does_not_exist(self, account, other_account, sbin, trader):
        with pytest.raises(NotFound):
            place(user=trader, portfolio="OTHER-1")
        assert place(user=trader, portfolio="DEMO-1").portfolio.code == "DEMO-1"

    def test_the_portfolio_named_is_the_one_that_pays(self, account, sbin, trader):
        second = CapitalAccount.objects.create(code="DEMO-2", name="Second", account=account)
        assert place(portfolio="DEMO-2").rejection_code == "INSUFFICIENT_CAPITAL"
        assert place().portfolio.code == "DEMO-1"
        second.refresh_from_db()
        assert second.entry_seq == 0


class TestWhatIsStored:
    def test_everything_that_was_asked_for(self, account, sbin, trader):
        order = fresh(
            place(
                user=trader, price=D("1000.05"), disclosed_quantity=D(5), client_order_id="mine", strategy_id="s",
                notes="n", validity_minutes=None,
            )
        )  # fmt: skip
        assert (order.state, order.price, order.disclosed_quantity) == ("CREATED", D("1000.05"), 5)
        assert (order.client_order_id, order.strategy_id, order.notes, order.segment) == ("mine", "s", "n", "NSE")
        assert len(order.tag) == 20
        assert order.reserve_id == CapitalEntry.objects.get(order_id=order.pk).pk
        assert verify_chain(order_events(order.pk), head=order.event_hash).ok

    def test_a_refused_order_too_but_without_a_tag(self, account, sbin):
        (placement,) = place_all(request_for(price=D("1000.01")))
        assert placement.denial.pointer == "/price"
        order = fresh(placement.order)
        assert (order.state, order.rejection_code, order.tag, order.reserve_id) == ("REJECTED", "TICK_SIZE", None, None)
        assert order.ended_at is not None
        assert verify_chain(order_events(order.pk), head=order.event_hash).ok

    def test_an_empty_list_is_no_request(self):
        with pytest.raises(Invalid):
            place_all()

    def test_a_worker_is_hinted_after_the_commit_and_once(self, account, sbin, django_capture_on_commit_callbacks):
        heard, before = [], _listeners[Hint.SEND]
        listen(Hint.SEND, heard.append)
        try:
            with django_capture_on_commit_callbacks(execute=True):
                place_all(request_for(), request_for())
                assert heard == []
            assert heard == [account.routing.broker_account_id]
            with django_capture_on_commit_callbacks(execute=True):
                place(price=D("1000.01"))
            assert len(heard) == 1, "nothing waits after a refusal"
        finally:
            listen(Hint.SEND, before)


class TestRepeats:
    def test_a_client_order_id_names_one_order_of_an_account(self, account, other_account, sbin):
        place(client_order_id="mine")
        with pytest.raises(Conflict) as caught:
            place(client_order_id="mine", quantity=D(3))
        assert caught.value.code == "client_order_id_used"
        assert place(client_order_id="mine", account="OTHER").state == "CREATED"
        assert Order.objects.count() == 2

    def test_also_of_a_refused_order_and_within_a_list(self, account, sbin):
        place(client_order_id="mine", price=D("1000.01"))
        with pytest.raises(Conflict):
            place(client_order_id="mine")
        twice = place_all(request_for(client_order_id="new"), request_for(client_order_id="new"), request_for())
        assert outcomes(twice) == [("CREATED", ""), "client_order_id_used", ("CREATED", "")]
        assert Order.objects.count() == 3

    def test_orders_without_one_are_as_many_as_one_likes(self, account, sbin):
        assert {place().state, place().state} == {"CREATED"}

    @pytest.mark.parametrize("price", ["1000", "1000.01"])
    def test_a_key_gives_the_first_answer_again(self, account, sbin, price):
        key = keyed("k")
        (first,) = place_all(request_for(price=D(price)), idempotent=key)
        (again,) = place_all(request_for(price=D(price)), idempotent=key)
        assert (again.order, again.is_repeat, again.answer) == (None, True, first.answer)
        assert first.answer.body == first.order.state.encode() + first.order.id.bytes
        assert Order.objects.count() == 1

    def test_keys_are_each_orders_own_and_stored_together(self, account, sbin):
        place_list([request_for()], keys=[keyed("old")])
        keys = [keyed("new"), keyed("old"), keyed("old", b"1" * 32), keyed("new"), keyed("new", b"1" * 32), None]
        new, old, other, twin, other_twin, free = place_list([request_for()] * 6, keys=keys)
        assert (new.order.state, new.is_repeat) == ("CREATED", False)
        assert (old.order, old.is_repeat, old.answer.status) == (None, True, 201)
        assert (twin.order, twin.is_repeat, twin.answer) == (None, True, new.answer)
        assert [p.error.code for p in (other, other_twin)] == ["idempotency_key_reused"] * 2
        assert free.order.state == "CREATED"
        assert (Order.objects.count(), IdempotencyKey.objects.count()) == (3, 2)

    def test_a_key_is_bound_to_its_request(self, account, sbin):
        place_all(request_for(), idempotent=keyed("k"))
        (refused,) = place_all(request_for(quantity=D(3)), idempotent=keyed("k", b"1" * 32))
        assert isinstance(refused.error, KeyReused)
        assert Order.objects.count() == 1

    def test_a_key_may_be_used_again_for_a_request_that_failed(self, account, sbin):
        (failed,) = place_all(request_for(portfolio="GHOST"), idempotent=keyed("k"))
        assert (type(failed.error), failed.answer) == (NotFound, None)
        assert outcomes(place_all(request_for(), idempotent=keyed("k"))) == [("CREATED", "")]

    def test_within_a_list_too_a_key_whose_order_failed_serves_the_next(self, account, sbin):
        requests = [request_for(portfolio="GHOST"), request_for()]
        failed, placed = place_list(requests, keys=[keyed("k"), keyed("k")])
        assert failed.error.code == "not_found"
        assert (placed.order.state, placed.is_repeat) == ("CREATED", False)


def test_each_order_of_a_list_stands_or_falls_alone(account, other_account, sbin, trader):
    """Two good ones and one of each kind of refusal, in as many statements as two good ones alone."""
    place(client_order_id="used")
    asked = [
        request_for(client_order_id="a"),
        request_for(client_order_id="used"),
        request_for(account="OTHER", client_order_id="b"),
        request_for(client_order_id="c", quantity=D(2000)),
        request_for(client_order_id="d", portfolio="DEMO-1"),
    ]
    keys = [keyed(request.client_order_id) for request in asked]
    good = [request_for(client_order_id="x"), request_for(client_order_id="y")]
    expected = statements_of(lambda: place_list(good, user=trader, keys=[keyed("x"), keyed("y")]))
    with CaptureQueriesContext(connection) as queries:
        placements = place_list(asked, user=trader, keys=keys)
    assert sum(not _is_bookkeeping(query["sql"]) for query in queries) == expected
    refused = ("REJECTED", "INSUFFICIENT_CAPITAL")
    assert outcomes(placements) == [("CREATED", ""), "client_order_id_used", "not_found", refused, ("CREATED", "")]
    durable = {o.client_order_id: (o.state, o.rejection_code) for o in Order.objects.exclude(client_order_id="used")}
    assert durable == {"a": ("CREATED", ""), "c": refused, "d": ("CREATED", "")}
    assert set(IdempotencyKey.objects.values_list("key", flat=True)) == {"a", "c", "d"}
    for order in Order.objects.all():
        assert verify_chain(order_events(order.pk), head=order.event_hash).ok
    assert trial_balance() == []


# --- a failure after each statement


class PowerCut(DatabaseError):
    """The connection is gone."""


@contextmanager
def power_cut_after(statements: int):
    """Let so many statements through, then fail every one."""
    count = 0

    def execute_or_fail(execute, sql, params, many, context):
        nonlocal count
        if _is_bookkeeping(sql):
            return execute(sql, params, many, context)
        count += 1
        if count > statements:
            raise PowerCut(f"before statement {count}")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute_or_fail):
        yield


def _is_bookkeeping(sql: str) -> bool:
    """What is no step of the work: savepoints, and the rates, which are read again every half minute."""
    return (
        sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")) or "ledger_chargerate" in sql or "ledger_marginrate" in sql
    )


def everything() -> dict[str, list]:
    """Every row that an order service may write."""
    models = (
        Order, Amendment, Execution, BrokerMessage, CapitalEntry, CapitalAccount, Position, AssetTransaction,
        OrderEvent, IdempotencyKey, Alert,
    )  # fmt: skip
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


def statements_of(work) -> int:
    """How many statements `work` takes; its changes are undone."""
    with RolledBack(), CaptureQueriesContext(connection) as queries:
        work()
    return sum(not _is_bookkeeping(query["sql"]) for query in queries)


def assert_all_or_nothing(work) -> None:
    before, total = everything(), statements_of(work)
    assert total > 3
    for survived in range(total):
        with pytest.raises(PowerCut), power_cut_after(survived):
            work()
        assert everything() == before, f"something was left behind by a failure after statement {survived}"
    work()
    assert everything() != before
    assert trial_balance() == []


class TestAFailureAfterAnyStatementLeavesNothing:
    def test_of_a_placement(self, account, sbin, trader):
        key = keyed("k")
        requests = [request_for(client_order_id="a"), request_for(price=D("1000.01")), request_for(quantity=D(10_000))]
        assert_all_or_nothing(lambda: place_all(*requests, user=trader, idempotent=key))

    def test_of_a_claim(self, account, sbin):
        order = place()
        assert_all_or_nothing(lambda: claim_orders(order.broker_account_id, limit=10, at=now()))

    def test_of_an_answer(self, account, sbin):
        order = place()
        claim_orders(order.broker_account_id, limit=10, at=now())
        assert_all_or_nothing(lambda: answer_place(order.pk, Accepted(broker_id(order)), at=now()))

    def test_of_a_fill_that_completes_an_order_under_modification(self, account, sbin):
        order = see(send(place()), BrokerStatus.OPEN)
        request_modify(order.pk, Modification(quantity=D(20)), actor=TRADER, at=now(), user=None)
        seen = row(order, BrokerStatus.COMPLETE, filled=10)
        trades = [trade(order, 1, 10)]
        assert_all_or_nothing(lambda: apply_book(order.broker_account_id, [seen], trades, at=now()))

    def test_of_a_modification(self, account, sbin):
        order = see(send(place()), BrokerStatus.OPEN)
        changes = Modification(quantity=D(20), price=D(1010))
        assert_all_or_nothing(lambda: request_modify(order.pk, changes, actor=TRADER, at=now(), user=None))

    def test_of_a_cancellation(self, account, sbin):
        order = place()
        assert_all_or_nothing(lambda: request_cancel(order.pk, actor=TRADER, at=now(), user=None))

    def test_of_holdings_brought_in(self, account, sbin):
        held = [HeldBefore("NSE", "SBIN", D(10), D(900))]
        assert_all_or_nothing(lambda: open_holdings("DEMO", held, actor=SYSTEM, at=now()))


class TestTheNumberOfStatements:
    """It must not grow with the list: one order and fifty take the same."""

    def test_of_a_placement(self, account, sbin, infy, trader):
        set_limits("HOUSE", values={}, reason="test", user=None, actor=SYSTEM, at=now())
        place(user=trader)  # the rate card is remembered from here on
        lists = [
            [request_for(price=D(900 + n), quantity=D(1), symbol=("SBIN", "INFY")[n % 2]) for n in range(size)]
            for size in (2, 50)
        ]
        few, many = (statements_of(lambda requests=requests: place_all(*requests, user=trader)) for requests in lists)
        assert set(outcomes(place_all(*lists[1], user=trader))) == {("CREATED", "")}
        assert many == few
        assert few <= 22

    def test_of_applying_a_book(self, account, sbin):
        def book(size):
            orders = [send(place(quantity=D(2), price=D(950), at=now())) for _ in range(size)]
            rows = [row(o, BrokerStatus.OPEN, filled=1) for o in orders]
            return rows, [trade(o, n, 1) for n, o in enumerate(orders)]

        set_limits("HOUSE", values={}, reason="test", user=None, actor=SYSTEM, at=now())
        broker_account_id = account.routing.broker_account_id
        counts = []
        for size in (2, 20):
            rows, trades = book(size)
            counts.append(statements_of(lambda r=rows, t=trades: apply_book(broker_account_id, r, t, at=now())))
        assert counts[0] == counts[1]

    def test_of_applying_the_same_book_again(self, account, sbin):
        order = send(place())
        seen, trades = row(order, BrokerStatus.COMPLETE, filled=10), [trade(order, 1, 10)]
        apply_book(order.broker_account_id, [seen], trades, at=now())
        assert statements_of(lambda: apply_book(order.broker_account_id, [seen], trades, at=now())) == 2

    def test_of_claiming(self, account, sbin):
        set_limits("HOUSE", values={}, reason="test", user=None, actor=SYSTEM, at=now())
        counts = []
        for size in (1, 20):
            for _ in range(size):
                place(quantity=D(1))
            counts.append(statements_of(lambda: claim_orders(account.routing.broker_account_id, limit=100, at=now())))
        assert counts[0] == counts[1]


def test_selling_more_than_is_held_is_refused_with_what_is_free(account, sbin):
    open_holdings("DEMO", [HeldBefore("NSE", "SBIN", D(10), D(900))], actor=SYSTEM, at=now())
    refused = place(side=Side.SELL, quantity=D(11))
    assert (refused.rejection_code, refused.rejection_reason) == (
        "INSUFFICIENT_HOLDINGS", "Only 10 units are held and free to sell.",
    )  # fmt: skip
    assert place(side=Side.SELL, quantity=D(10)).state == "CREATED"
