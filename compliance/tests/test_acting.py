"""Who an event will say did it: by group, by door, in which login, never with a session's key."""

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from rest_framework.request import Request

from compliance.acting import acting, actor_of
from oms.lib.clock import now

pytestmark = pytest.mark.django_db

PEOPLE = {"trader": "TRADER", "viewer": "TRADER", "operator": "OPERATOR", "officer": "OFFICER"}


@pytest.fixture
def page(rf):
    """A request of somebody in a browser."""

    def make(user):
        request = rf.get("/", REMOTE_ADDR="203.0.113.9")
        request.user, request.session = user, SessionStore()
        request.session.create()
        return request

    return make


@pytest.fixture
def call(rf):
    """A request of somebody to the API, with a token of login 'l1'."""

    def make(user):
        request = Request(rf.get("/", REMOTE_ADDR="203.0.113.9"))
        request.user, request.auth = user, {"sid": "l1"}
        return request

    return make


@pytest.mark.parametrize(("name", "kind"), PEOPLE.items())
def test_the_group_says_what_somebody_acts_as_at_every_door(name, kind, page, call, request):
    user = request.getfixturevalue(name)
    for door, channel in ((page, "ADMIN"), (call, "API")):
        actor = actor_of(door(user))
        assert (actor.type, actor.id, actor.channel, actor.source_ip) == (kind, str(user.pk), channel, "203.0.113.9")


def test_a_superuser_acts_as_an_operator(page):
    assert actor_of(page(User.objects.create_superuser("root"))).type == "OPERATOR"


def test_an_order_of_an_algorithm_is_the_algorithms(call, trader, operator):
    assert actor_of(call(trader), algo_id="A-1").type == "ALGO"
    assert actor_of(call(operator), algo_id="A-1").type == "OPERATOR"


def test_the_login_is_named_by_its_token_or_by_a_digest_of_the_session(page, call, trader):
    assert actor_of(call(trader)).session_id == "l1"
    first, second = page(trader), page(trader)
    assert actor_of(first).session_id == actor_of(first).session_id
    assert actor_of(first).session_id != actor_of(second).session_id
    assert len(actor_of(first).session_id) == 16
    assert actor_of(first).session_id not in first.session.session_key
    first.session = SessionStore()
    assert actor_of(first).session_id == ""


def test_a_page_says_who_and_when_as_services_want_it(page, operator):
    before = now()
    request = page(operator)
    said = acting(request)
    assert said.keys() == {"user", "actor", "at"}
    assert (said["user"], said["actor"]) == (operator, actor_of(request))
    assert before <= said["at"] <= now()
