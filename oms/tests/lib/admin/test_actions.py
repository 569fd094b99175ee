"""A dialog's way back: where one was, never to another site; refusals at their fields, as they were typed."""

import pytest
from django import forms
from django.contrib import admin
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpResponse

from compliance.models import Alert
from oms.lib.admin.actions import ReasonForm, go, holders_of, service_action
from oms.lib.admin.columns import column_field
from oms.lib.admin.records import RecordAdmin
from oms.lib.errors import Conflict, FieldError, Invalid
from orders.models import BrokerAccount

pytestmark = pytest.mark.django_db


class AmountForm(ReasonForm):
    amount = forms.IntegerField()


class Page(RecordAdmin):
    """An admin class with one action, which does what it was told to."""

    actions_list = ("pay",)
    outcome = "done"

    def __init__(self):
        super().__init__(Alert, admin.site)

    @service_action("Pay", permission="pay", form=AmountForm)
    def pay(self, request, form):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def has_pay_permission(self, request, object_id=None):
        return True


@pytest.fixture
def posted(rf, operator):
    """A dialog sent in by an operator's browser."""

    def post(reason="because I say so", amount="5", **headers):
        data = {"_form_submitted": "on", "reason": reason, "amount": amount}
        request = rf.post("/admin/pay/", data, headers={"HX-Request": "true", **headers})
        request.user, request.session = operator, {}
        request._messages = FallbackStorage(request)
        return request

    return post


@pytest.mark.parametrize(
    ("current", "target"),
    [
        ("http://testserver/admin/orders/?p=2", "http://testserver/admin/orders/?p=2"),
        ("https://evil.example/admin/", "/admin/"),
        ("//evil.example/", "/admin/"),
        ("javascript:alert(1)", "/admin/"),
        ("", "/admin/"),
    ],
)
def test_a_dialog_closes_to_the_page_that_it_was_opened_on(rf, current, target):
    """By the header of the page's script, or without it by the browser's own."""
    scripted = go(rf.post("/x", headers={"HX-Request": "true", "HX-Current-URL": current}))
    assert (scripted.status_code, scripted["HX-Redirect"]) == (200, target)
    plain = go(rf.post("/x", headers={"Referer": current}))
    assert (plain.status_code, plain["Location"]) == (302, target)


def test_an_action_that_says_where_to_go_goes_there(rf):
    request = rf.post("/x", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/admin/orders/"})
    assert go(request, "https://broker.example/login")["HX-Redirect"] == "https://broker.example/login"


def test_what_was_done_is_said_on_the_page_one_comes_back_to(posted):
    request = posted()
    answer = Page().pay(request)
    assert answer["HX-Redirect"]
    assert [str(message) for message in request._messages] == ["done"]


def test_an_answer_of_the_actions_own_is_passed_on(posted):
    page = Page()
    page.outcome = HttpResponse("elsewhere", status=202)
    assert page.pay(posted()).status_code == 202


@pytest.mark.parametrize("reason", ["", "   ", "why", "x" * 301])
def test_nothing_happens_without_a_reason_that_says_something(posted, reason):
    page = Page()
    page.outcome = AssertionError("the service was called")
    answer = page.pay(posted(reason=reason))
    assert "HX-Redirect" not in answer


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Conflict("Somebody was faster."), "Somebody was faster."),
        (Invalid("Not so.", errors=(FieldError("/amount", "low", "Too little."),)), "Too little."),
        (Invalid("Not so.", errors=(FieldError("/colour", "odd", "No such colour."),)), "No such colour."),
    ],
)
def test_a_refusal_stands_in_the_dialog_at_its_field_with_what_was_typed(posted, refusal, words):
    page = Page()
    page.outcome = refusal
    request = posted(amount="42")
    answer = page.pay(request)
    text = answer.content.decode()
    assert refusal.detail in text
    assert words in text
    assert 'value="42"' in text
    assert "because I say so" in text
    assert "HX-Redirect" not in answer
    assert list(request._messages) == []


def test_a_mistake_of_ours_is_not_shown_as_a_refusal(posted):
    page = Page()
    page.outcome = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        page.pay(posted())


def test_a_permission_is_asked_of_the_person(rf, operator, officer):
    holds = holders_of("compliance.add_account")
    for user, may in ((operator, True), (officer, False)):
        request = rf.get("/")
        request.user = user
        assert holds(None, request) is may


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("name", "Paper", "x" * 300), ("trading_hours", "ALWAYS", "SOMETIMES"), ("orders_per_second", "10", "-1"),
        ("root_url", "http://127.0.0.1:9", "no address"),
    ],
)  # fmt: skip
def test_a_field_made_from_a_column_refuses_what_the_column_does(name, good, bad):
    options = {"assume_scheme": "https"} if name == "root_url" else {}
    field = column_field(BrokerAccount, name, **options)
    assert str(field.clean(good)) == good
    for wrong in (bad, ""):
        with pytest.raises(forms.ValidationError):
            field.clean(wrong)
