"""What is wrong with a request is gathered and told at once, each fault at its field."""

import pytest

from compliance.models import Account
from ledger.models import CapitalAccount
from oms.lib.errors import (
    Conflict,
    DomainError,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    Stale,
    Unavailable,
)
from oms.lib.validation import LONGEST_REASON, Faults, changed, insert_once


class TestFaults:
    def test_nothing_wrong_nothing_raised(self):
        faults = Faults()
        faults.unless(True, "/a", "code", "words")
        faults.refuse("never")

    def test_all_of_it_is_told_in_the_order_of_finding(self):
        faults = Faults()
        faults.note("/b", "two", "Second.")
        faults.unless(False, "/a", "one", "First.")
        with pytest.raises(Invalid) as refusal:
            faults.refuse("Not like this.")
        assert refusal.value.errors == (FieldError("/b", "two", "Second."), FieldError("/a", "one", "First."))
        assert (refusal.value.status, refusal.value.detail) == (400, "Not like this.")

    @pytest.mark.parametrize(
        ("reason", "kept", "code"),
        [
            (" because ", "because", None),
            ("x" * LONGEST_REASON, "x" * LONGEST_REASON, None),
            ("", "", "required"),
            (" \n\t ", "", "required"),
            ("x" * (LONGEST_REASON + 1), "x" * (LONGEST_REASON + 1), "max_length"),
        ],
    )
    def test_a_reason_is_there_and_not_too_long(self, reason, kept, code):
        faults = Faults()
        assert faults.reason(reason) == kept
        assert [(fault.pointer, fault.code) for fault in faults.found] == ([("/reason", code)] if code else [])

    def test_a_columns_own_rules_name_the_column(self):
        faults = Faults()
        faults.columns(Account(code="", name="x" * 121, kind="BANK", products=["CNC"]), "code", "name", "kind")
        assert {fault.pointer for fault in faults.found} == {"/code", "/name", "/kind"}
        assert {fault.code for fault in faults.found} == {"blank", "max_length", "invalid_choice"}

    def test_columns_that_are_not_named_are_not_looked_at(self):
        faults = Faults()
        faults.columns(Account(code="", name="Acme", kind="BANK"), "name")
        assert faults.found == []


@pytest.mark.django_db
def test_a_name_is_given_once_and_the_transaction_goes_on(account):
    insert_once(CapitalAccount(account=account, code="NEW", name="First"), "/code", "Taken.")
    with pytest.raises(Conflict) as refusal:
        insert_once(CapitalAccount(account=account, code="NEW", name="Second"), "/code", "Taken.")
    assert (refusal.value.code, refusal.value.errors) == ("taken", (FieldError("/code", "taken", "Taken."),))
    assert CapitalAccount.objects.get(code="NEW").name == "First"


def test_of_the_changes_only_what_differs_remains():
    account = Account(name="Acme", ucc="A1", is_active=True)
    assert changed(account, {"name": "Acme", "ucc": "A2", "is_active": False}) == {"ucc": "A2", "is_active": False}
    for nothing in ({}, {"name": "Acme"}):
        with pytest.raises(Invalid) as refusal:
            changed(account, nothing)
        assert refusal.value.code == "nothing_changed"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DomainError, 422, "refused"), (Invalid, 400, "invalid"), (Forbidden, 403, "forbidden"),
        (NotFound, 404, "not_found"), (Conflict, 409, "conflict"), (Stale, 412, "stale_version"),
        (Unavailable, 503, "unavailable"),
    ],
)  # fmt: skip
def test_every_error_knows_its_status_and_its_code(error, status, code):
    plain, special = error("Words."), error("Words.", code="special")
    assert (plain.status, plain.code, plain.detail, plain.errors) == (status, code, "Words.", ())
    assert (special.status, special.code, error.code) == (status, "special", code), "an instance changes no class"
    assert str(plain) == "Words."
