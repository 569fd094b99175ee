"""Logging in at a broker, from the admin's button to the stored token, and every way in which a session ends."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from compliance.models import Account, Alert, EventType, OrderEvent
from compliance.verification import verify_chain
from oms.lib.actors import Actor, ActorType
from oms.lib.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from oms.lib.redis import client as redis_client
from orders.broker_rules import rules_of
from orders.brokers.base import SessionExpired
from orders.brokers.registry import broker_for
from orders.gateway import logins, watching
from orders.gateway.attendance import Attendance, Work
from orders.models import BrokerAccount
from orders.services import broker_sessions
from orders.tasks import look_at_orders
from orders.tests.brokers.paper.process import PaperExchange, paper_exchange

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)  # 11:30 in India
CALLBACK, POSTBACK = "/api/v1/broker/paper/callback", "/api/v1/broker/paper/postback"
State = BrokerAccount.SessionState


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    with paper_exchange(
        tmp_path_factory.mktemp("paper"),
        rate_limits=False,
        tick_seconds=600,
        redirect_url=f"http://testserver{CALLBACK}",
    ) as running:
        yield running


@pytest.fixture
def operator(db):
    user = User.objects.create_user("operator", password="operator-demo", is_staff=True)
    user.groups.add(Group.objects.get_or_create(name="operator")[0])
    return user


@pytest.fixture
def paper(db, exchange: PaperExchange):
    return BrokerAccount.objects.create(
        name="Paper", kind="PAPER", root_url=exchange.root, client_id="PX0001", api_key="paper",
        api_secret="paper-secret", default_account=Account.objects.get(code="HOUSE"),
    )  # fmt: skip


@pytest.fixture
def open_account(paper):
    return logins.auto_login(paper.pk, at=NOW)


def actor(user, session="s1"):
    return Actor(ActorType.OPERATOR, str(user.pk), "ADMIN", session_id=session)


def begin(paper, user, **changes):
    return logins.begin_login(paper.pk, **{"user": user, "actor": actor(user), "reason": "Start of the day", **changes})


def browse(url):
    """What the exchange's login page sends a browser back with."""
    location = httpx.get(url, trust_env=False).headers["location"]
    return location, {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def session_events(paper):
    return OrderEvent.objects.filter(account_id=paper.default_account_id, order_id=None).order_by("seq")


def test_a_login_opens_a_session_until_six_in_india(paper, operator):
    _, back = browse(begin(paper, operator))
    account = logins.complete_login("PAPER", back, actor=actor(operator), at=NOW)
    assert account.session_state == State.OPEN
    assert account.session_expires_at == datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
    assert broker_for(BrokerAccount.objects.get(pk=paper.pk)).order_book() == []
    (event,) = session_events(paper)
    assert event.event_type == EventType.BROKER_SESSION_OPENED
    assert event.data["reason"] == "Start of the day"
    assert event.actor_id == str(operator.pk)
    assert account.access_token not in json.dumps(event.document)
    assert verify_chain(session_events(paper)).ok


def test_the_browser_comes_back_to_the_admin_with_a_message(paper, operator, client):
    client.force_login(operator)
    page = f"/admin/orders/brokeraccount/{paper.pk}/change/"
    from compliance.acting import actor_of

    request = client.get(CALLBACK).wsgi_request
    url = begin(paper, operator, actor=actor_of(request))
    location, _ = browse(url)
    answer = client.get(location)
    assert (answer.status_code, answer["location"]) == (302, page)
    assert BrokerAccount.objects.get(pk=paper.pk).session_state == State.OPEN
    again = client.get(location)
    assert again.status_code == 400
    assert b"Begin again" in again.content


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("status=cancelled&state=x", b"no success"),
        ("status=success&state=x", b"no request_token"),
        ("status=success&state=x&request_token=t", b"not begun here"),
    ],
)
def test_a_callback_that_fits_no_login_is_refused_in_words(operator, client, query, words):
    client.force_login(operator)
    answer = client.get(f"{CALLBACK}?{query}")
    assert answer.status_code == 400
    assert words in answer.content


def test_the_callback_is_for_staff_only(paper, client):
    client.force_login(User.objects.create_user("trader"))
    answer = client.get(f"{CALLBACK}?status=success&request_token=t&state=x")
    assert answer.status_code == 302
    assert "login" in answer["location"]


def test_a_state_works_once(paper, operator):
    _, back = browse(begin(paper, operator))
    logins.complete_login("PAPER", back, actor=actor(operator), at=NOW)
    with pytest.raises(Invalid, match="already"):
        logins.complete_login("PAPER", back, actor=actor(operator), at=NOW)


def test_a_state_is_worth_nothing_in_another_session_or_hand(paper, operator):
    for other in (actor(operator, "s2"), Actor(ActorType.OPERATOR, "999", "ADMIN", session_id="s1")):
        _, back = browse(begin(paper, operator))
        with pytest.raises(Forbidden):
            logins.complete_login("PAPER", back, actor=other, at=NOW)
    assert BrokerAccount.objects.get(pk=paper.pk).session_state == State.CLOSED


def test_a_state_that_was_tampered_with_or_is_too_old_is_refused(paper, operator, time_machine):
    _, back = browse(begin(paper, operator))
    with pytest.raises(Invalid):
        logins.complete_login("PAPER", back | {"state": "x" + back["state"]}, actor=actor(operator), at=NOW)
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=11))
    with pytest.raises(Invalid):
        logins.complete_login("PAPER", back, actor=actor(operator), at=NOW)


def test_only_operators_with_a_reason_begin_a_login(paper, operator):
    trader = User.objects.create_user("trader")
    with pytest.raises(Forbidden):
        begin(paper, trader, actor=actor(trader))
    with pytest.raises(Invalid):
        begin(paper, operator, reason="  ")
    with pytest.raises(NotFound):
        logins.begin_login(0, user=operator, actor=actor(operator), reason="Start of the day")


def test_a_refused_request_token_changes_nothing(paper, operator):
    _, back = browse(begin(paper, operator))
    with pytest.raises(Conflict, match="refused"):
        logins.complete_login("PAPER", back | {"request_token": "made-up"}, actor=actor(operator), at=NOW)
    assert BrokerAccount.objects.get(pk=paper.pk).session_state == State.CLOSED
    assert not session_events(paper).exists()


def test_another_clients_login_is_not_taken_for_the_accounts_own(paper, operator):
    BrokerAccount.objects.filter(pk=paper.pk).update(client_id="PX0002")
    _, back = browse(begin(paper, operator))
    with pytest.raises(Conflict, match="PX0001 logged in"):
        logins.complete_login("PAPER", back, actor=actor(operator), at=NOW)


def test_the_token_and_secret_are_encrypted_at_rest(open_account):
    with connection.cursor() as cursor:
        cursor.execute("SELECT access_token, api_secret FROM orders_brokeraccount WHERE id = %s", [open_account.pk])
        stored = b"".join(bytes(value) for value in cursor.fetchone())
    assert open_account.access_token.encode() not in stored
    assert b"paper-secret" not in stored


@pytest.mark.parametrize(
    ("at", "expires"),
    [
        ("2026-11-20T00:00:00+00:00", "2026-11-20T00:30:00+00:00"),
        ("2026-11-20T00:29:59+00:00", "2026-11-20T00:30:00+00:00"),
        ("2026-11-20T00:30:00+00:00", "2026-11-21T00:30:00+00:00"),
        ("2026-11-20T18:40:00+00:00", "2026-11-21T00:30:00+00:00"),
    ],
)
def test_tokens_die_at_six_in_india(at, expires):
    assert rules_of("KITE").next_expiry(datetime.fromisoformat(at)) == datetime.fromisoformat(expires)


def test_at_six_the_session_is_over_whatever_the_broker_says(open_account):
    at_six = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
    assert broker_sessions.expire_due_sessions(at=at_six - timedelta(seconds=1)) == []
    assert broker_sessions.expire_due_sessions(at=at_six) == [open_account.pk]
    account = BrokerAccount.objects.get(pk=open_account.pk)
    assert (account.session_state, account.access_token) == (State.EXPIRED, "")
    assert Alert.objects.get().severity == "CRITICAL"
    assert [event.event_type for event in session_events(account)] == ["BROKER_SESSION_OPENED", "BROKER_SESSION_CLOSED"]


def test_a_dead_token_ends_the_session_and_a_new_login_settles_the_alert(exchange, open_account):
    exchange.control("POST", "/faults", {"kind": "token_expiry", "route": "book", "calls": 1})
    with pytest.raises(SessionExpired) as caught:
        broker_for(open_account).order_book()
    later = NOW + timedelta(hours=1)
    assert broker_sessions.mark_expired(open_account.pk, message=caught.value.message, at=later)
    assert not broker_sessions.mark_expired(open_account.pk, message="again", at=later)
    alert = Alert.objects.get()
    assert (alert.count, alert.closed_at) == (1, None)
    assert "access_token" in BrokerAccount.objects.get(pk=open_account.pk).session_message
    logins.auto_login(open_account.pk, at=later)
    assert Alert.objects.get().closed_at == later


def test_a_call_that_began_before_the_new_login_does_not_end_it(open_account):
    assert not broker_sessions.mark_expired(open_account.pk, message="late", at=NOW - timedelta(seconds=1))
    assert BrokerAccount.objects.get(pk=open_account.pk).session_state == State.OPEN


def test_logging_out_forgets_the_token_here_and_there(open_account, operator):
    closed = logins.log_out(open_account.pk, user=operator, actor=actor(operator), at=NOW, reason="End of the day")
    assert (closed.session_state, closed.access_token) == (State.CLOSED, "")
    with pytest.raises(SessionExpired):
        broker_for(open_account).order_book()
    with pytest.raises(Conflict):
        logins.log_out(open_account.pk, user=operator, actor=actor(operator), at=NOW, reason="Twice")


def test_the_demo_keeps_its_session_open_by_itself(paper, operator):
    logins.keep_sessions(at=NOW)
    assert BrokerAccount.objects.get(pk=paper.pk).session_state == State.OPEN
    redis_client().flushdb()
    next_day = NOW + timedelta(days=1)
    logins.keep_sessions(at=next_day)
    assert BrokerAccount.objects.get(pk=paper.pk).session_opened_at == next_day
    redis_client().flushdb()
    logins.log_out(paper.pk, user=operator, actor=actor(operator), at=next_day, reason="On purpose")
    logins.keep_sessions(at=next_day)
    assert BrokerAccount.objects.get(pk=paper.pk).session_state == State.CLOSED


def test_nobody_is_logged_in_automatically_outside_the_demo_or_at_a_real_broker(paper, settings):
    BrokerAccount.objects.filter(pk=paper.pk).update(kind="KITE")
    with pytest.raises(Forbidden):
        logins.auto_login(paper.pk, at=NOW)
    BrokerAccount.objects.filter(pk=paper.pk).update(kind="PAPER")
    settings.DEMO = False
    with pytest.raises(Forbidden):
        logins.auto_login(paper.pk, at=NOW)
    logins.keep_sessions(at=NOW)
    assert BrokerAccount.objects.get(pk=paper.pk).session_state == State.CLOSED


def test_an_exchange_that_is_away_is_said_to_be_away(paper):
    BrokerAccount.objects.filter(pk=paper.pk).update(root_url="http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="does not answer"):
        logins.auto_login(paper.pk, at=NOW)
    logins.keep_sessions(at=NOW)


# --- postbacks


def signed(key="paper-secret", **changes):
    payload = {
        "user_id": "PX0001", "order_id": "1953341975595868160", "order_timestamp": "2026-11-20 11:30:00",
        "status": "COMPLETE", "filled_quantity": 10, "tag": "TAG1", **changes,
    }  # fmt: skip
    text = f"{payload['order_id']}{payload['order_timestamp']}{key}"
    return {"checksum": hashlib.sha256(text.encode()).hexdigest(), **payload}


@pytest.fixture
def hints(monkeypatch):
    """The broker accounts that a worker was told to look at."""
    told = []
    monkeypatch.setattr(look_at_orders, "apply_async", lambda args: told.append(*args))
    return told


def send(client, payload):
    body = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
    return client.post(POSTBACK, body, content_type="application/json")


def test_a_genuine_postback_is_a_hint_to_read_the_order(paper, client, hints, monkeypatch):
    assert send(client, signed()).status_code == 200
    assert hints == [paper.pk]
    looked_at = []
    monkeypatch.setattr(watching, "look", lambda *order: looked_at.append(order))
    look_at_orders(paper.pk)
    assert looked_at == [(paper.pk, ["1953341975595868160"])]
    look_at_orders(paper.pk)
    assert len(looked_at) == 1


def test_any_news_of_an_order_until_somebody_looks_is_one_look(paper, client, hints, monkeypatch):
    for payload in (signed(filled_quantity=5, status="UPDATE"), signed(filled_quantity=5, status="UPDATE"), signed()):
        assert send(client, payload).status_code == 200
    assert hints == [paper.pk]
    looked_at = []
    monkeypatch.setattr(watching, "look", lambda *order: looked_at.append(order))
    look_at_orders(paper.pk)
    assert len(looked_at) == 1


def test_a_burst_of_postbacks_asks_the_database_once_who_sent_them(paper, client, hints):
    assert send(client, signed()).status_code == 200
    with CaptureQueriesContext(connection) as queries:
        for _ in range(3):
            assert send(client, signed()).status_code == 200
    assert len(queries) == 0
    paper.api_secret = "another"
    paper.save()
    assert send(client, signed()).status_code == 403
    assert send(client, signed("another")).status_code == 200


def test_news_of_very_many_orders_is_one_reading_of_the_book(paper, monkeypatch):
    read = []
    monkeypatch.setattr(watching, "poll", read.append)
    for number in range(3 * watching.MANY_HINTS):
        Attendance(Work.LOOKING, paper.pk).ring(str(number))
    assert watching.look_at_hinted(paper.pk)
    assert read == [paper.pk]


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (signed("wrong-secret"), 403),
        ({**signed(), "order_id": "2"}, 403),
        ({**signed(), "user_id": "ZZ9999"}, 403),
        ({**signed(), "checksum": None}, 403),
        ({name: value for name, value in signed().items() if name != "user_id"}, 403),
        ([signed()], 400),
        ("", 400),
        ("{", 400),
        (b"\xff\xfe", 400),
        ("{" + " " * 70_000 + "}", 400),
    ],
)
def test_anything_else_is_refused_and_does_nothing(paper, client, hints, payload, status):
    answer = send(client, payload)
    assert answer.status_code == status
    assert answer["content-type"] == "application/problem+json"
    assert hints == []


def test_the_secret_that_signed_decides_between_accounts_of_one_client(paper, client, hints):
    second = BrokerAccount.objects.create(
        name="Second", kind="PAPER", root_url="http://127.0.0.1:1", client_id="PX0001", api_key="k", api_secret="second",
        default_account=paper.default_account,
    )  # fmt: skip
    send(client, signed("second"))
    assert hints == [second.pk]


def test_postbacks_are_posted(client, db):
    assert client.get(POSTBACK).status_code == 405


def test_when_the_queue_is_away_the_broker_is_told_to_come_back(paper, client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert send(client, signed()).status_code == 503
