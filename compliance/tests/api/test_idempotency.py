"""The Idempotency-Key of a request: what is a key, what counts as the same request, and how a repeat is told."""

import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory
from rest_framework.request import Request

from compliance.api.idempotency import KeyMissing, idempotent, key_of, replayed, required_key
from compliance.idempotency import StoredAnswer
from oms.lib.errors import Invalid

USER = User(pk=7)


def request(key=None, *, method="post", path="/api/v1/orders", body=b'{"a": 1}', user=USER):
    headers = {} if key is None else {"Idempotency-Key": key}
    made = Request(getattr(RequestFactory(), method)(path, body, content_type="application/json", headers=headers))
    made.user = user
    return made


def sent_key(*args, own_reference="", **kwargs):
    found = idempotent(request(*args, **kwargs), lambda _: StoredAnswer(201, b""), own_reference=own_reference)
    return found and found.sent_key


@pytest.mark.parametrize("key", ["a", "!", "~", "x" * 80, "order-1:2026/11", '"quoted"'])
def test_any_printable_text_is_a_key(key):
    assert key_of(request(key)) == key == required_key(request(key))


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 81, "ünique", "tab\there", "１"])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(Invalid) as refusal:
        key_of(request(key))
    assert refusal.value.code == "invalid_idempotency_key"


def test_a_request_that_needs_a_key_says_so():
    assert key_of(request()) is None
    with pytest.raises(KeyMissing) as refusal:
        required_key(request())
    assert (refusal.value.status, refusal.value.code) == (428, "idempotency_key_required")


def test_the_same_request_makes_the_same_claim():
    assert sent_key("k") == sent_key("k")
    assert (sent_key("k").principal, sent_key("k").key, len(sent_key("k").body_hash)) == ("user:7", "key:k", 32)


@pytest.mark.parametrize(
    "other",
    [{"body": b'{"a": 2}'}, {"body": b'{"a":1}'}, {"path": "/api/v1/orders/1"}, {"method": "put"}, {"body": b""}],
)
def test_another_request_under_a_key_is_another_request(other):
    assert sent_key("k").key == sent_key("k", **other).key
    assert sent_key("k").body_hash != sent_key("k", **other).body_hash


def test_keys_are_their_senders_own():
    assert sent_key("k").principal != sent_key("k", user=User(pk=8)).principal


def test_a_reference_in_the_body_serves_as_a_key_and_is_never_taken_for_one_of_the_header():
    assert sent_key(own_reference="DEMO:1").key == "ref:DEMO:1"
    assert sent_key("DEMO:1").key == "key:DEMO:1"
    assert sent_key("k", own_reference="DEMO:1").key == "key:k", "the header goes before"
    assert sent_key() is None


@pytest.mark.parametrize(
    ("status", "media"), [(200, "application/json"), (201, "application/json"), (422, "application/problem+json")]
)
def test_a_repeat_gets_the_first_answer_to_the_byte(status, media):
    answer = replayed(StoredAnswer(status, b'{"a": 1}\x00'))
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (status, b'{"a": 1}\x00', media)
    assert answer["Idempotent-Replayed"] == "true"
