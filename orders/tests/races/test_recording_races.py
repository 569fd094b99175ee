"""Writers of one account's chain that meet: with the lock one waits for the other, without it one is refused."""

from datetime import timedelta

from django.db import IntegrityError, transaction

from compliance import audit
from compliance.audit import EventType
from compliance.models import Account
from compliance.selectors import account_events
from compliance.services.controls import set_kill_switch
from compliance.verification import verify_chain
from oms.lib.actors import SYSTEM
from oms.lib.clock import now


def is_whole(account) -> bool:
    head = Account.objects.get(pk=account.pk)
    report = verify_chain(account_events(account.pk), head=head.event_hash)
    return report.ok and report.count == head.event_seq


def test_switches_thrown_at_once_stand_in_one_chain(race, account):
    def throw(mode):
        return lambda: set_kill_switch(
            "ACCOUNT", account=account, mode=mode, reason="race", user=None, actor=SYSTEM, at=now()
        )

    switches = race(account, *[throw(mode) for mode in ("HALTED", "REDUCING") * 5])
    assert {type(one).__name__ for one in switches} == {"KillSwitch"}
    assert account_events(account.pk).filter(event_type="KILL_SWITCH_ON").count() == 10
    assert is_whole(account)


def test_of_writers_that_forgot_to_lock_one_passes_whatever_its_day(race, account):
    def record(days):
        stale = Account.objects.get(pk=account.pk)

        def run():
            with transaction.atomic():
                at = now() + timedelta(days=days)
                audit.record_on(stale, EventType.CORRECTION, {}, actor=SYSTEM, at=at)

        return run

    outcomes = race(account, *[record(days) for days in range(4)])
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 3
    for error in refused:
        assert isinstance(error, IntegrityError)
        assert "does not follow the head" in str(error)
    assert account_events(account.pk).filter(event_type="CORRECTION").count() == 1
    assert is_whole(account)
