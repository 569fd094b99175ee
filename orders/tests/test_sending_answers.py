"""Applying what brokers answered: what comes in together is one transaction, unless something is in the way."""

import pytest
from django.db import OperationalError

from orders.gateway import sending

pytestmark = pytest.mark.django_db


def test_answers_that_meet_a_deadlock_are_applied_each_on_its_own():
    """One order that somebody holds for long costs the others nothing."""
    applied, tries = [], []

    def answer(answers, *, at):
        tries.append(answers)
        if "held" in answers:
            raise OperationalError("canceling statement due to lock timeout")
        applied.extend(answers)

    sending._apply(answer, ["first", "held", "third"])
    assert applied == ["first", "third"]
    assert tries.count(["held"]) == sending.APPLY_ATTEMPTS
    sending._apply(answer, [])
    assert len(tries) == 1 + 2 + sending.APPLY_ATTEMPTS, "nothing to apply is no transaction"
