"""Who may see and trade what, and the limits and switches in force. No rule is decided here."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet

from compliance.models import Account, Alert, AlgoRegistration, KillSwitch, OrderEvent, RiskLimit
from oms.lib.db import PLANNED_ONCE, Read, model_read, read_all
from oms.lib.errors import Forbidden, NotFound

User = AbstractBaseUser | AnonymousUser
OPERATOR, COMPLIANCE = "operator", "compliance"


def is_in(user: Any, *groups: str) -> bool:
    """Whether an active user belongs to any of the named staff groups; superusers belong to all."""
    if not user.is_active:
        return False
    if getattr(user, "is_superuser", False):
        return True
    if not hasattr(user, "_group_names"):
        names = user.groups.values_list("name", flat=True) if user.pk else ()
        user._group_names = frozenset(names)
    return not user._group_names.isdisjoint(groups)


def require_operator(user: User | None, what: str) -> None:
    """Raise Forbidden unless the user is an operator; `None` is the house itself, which may."""
    if user is not None and not is_in(user, OPERATOR):
        raise Forbidden(f"Only operators may {what}.")


def accounts_visible_to(user: Any) -> "QuerySet[Account]":
    """The accounts that a user is a member of; all of them for operators and compliance officers."""
    if is_in(user, OPERATOR, COMPLIANCE):
        return Account.objects.all()
    if not user.is_active or user.pk is None:
        return Account.objects.none()
    return Account.objects.filter(memberships__user_id=user.pk)


def require_account(user: User, code: str) -> Account:
    """The visible account with this code. Raises NotFound, the same for absent and for not yours."""
    account = accounts_visible_to(user).filter(code=code).first()
    if account is None:
        raise NotFound(f"There is no account {code} that you can see.")
    return account


def can_trade(user: Any, account: Account) -> bool:
    """Whether the user may send orders for the account: a trader of it, or an operator."""
    member = account.memberships.filter(user_id=user.pk, role="TRADER")
    return is_in(user, OPERATOR) or (user.is_active and member.exists())


def lock_tradable_accounts(codes: Iterable[str], user: User | None) -> dict[str, Account]:
    """Lock the named accounts in id order, provided that `user` may trade every one of them; by code.

    The lock makes what is decided from an account's open orders and this second's count hold until the
    commit. One statement also checks that the user is still active; `None` is the house itself.
    Raises NotFound for an account that the user cannot see, Forbidden for one that it may only view.
    """
    wanted = sorted(set(codes))
    user_id = None if user is None else user.pk
    parameters = {"codes": wanted, "user": user_id, "operator": OPERATOR}
    # The transaction's BEGIN goes along.
    _, rows = read_all(PLANNED_ONCE, model_read(Account, _TRADABLE, parameters))
    accounts = {account.code: account for account in rows}
    for code in wanted:
        if code not in accounts:
            if user is not None:
                require_account(user, code)
                raise Forbidden(f"You may look at account {code} but not trade it.", code="view_only")
            raise NotFound(f"There is no account {code}.")
    return accounts


def lock_trading_account(account_id: int) -> Account:
    """Lock one account, which is not the house. Raises NotFound."""
    rows = Account.objects.select_for_update(no_key=True).exclude(kind=Account.Kind.HOUSE)
    account = rows.filter(pk=account_id).first()
    if account is None:
        raise NotFound("There is no such trading account.")
    return account


_TRADABLE = """WHERE t.code = ANY(%(codes)s) AND (%(user)s::bigint IS NULL OR EXISTS (
        SELECT 1 FROM auth_user AS u
        WHERE u.id = %(user)s AND u.is_active AND (
            u.is_superuser
            OR EXISTS (SELECT 1 FROM compliance_membership AS m
                       WHERE m.account_id = t.id AND m.user_id = u.id AND m.role = 'TRADER')
            OR EXISTS (SELECT 1 FROM auth_user_groups AS ug JOIN auth_group AS g ON g.id = ug.group_id
                       WHERE ug.user_id = u.id AND g.name = %(operator)s))))
    ORDER BY t.id FOR NO KEY UPDATE OF t"""


@dataclass(frozen=True, slots=True)
class Controls:
    """Limits and trading modes in force for some accounts, as read in one transaction."""

    limits: Sequence[RiskLimit] = ()
    switches: Sequence[KillSwitch] = ()
    algos: dict[tuple[int, str], AlgoRegistration] = field(default_factory=dict)

    def algo(self, account_id: int, algo_id: str) -> AlgoRegistration | None:
        return self.algos.get((account_id, algo_id))

    def limits_on(self, account_id: int, algo: AlgoRegistration | None) -> list[RiskLimit]:
        """The current limits that cover an order of this account and algorithm: house, account, algo."""
        return [x for x in self.limits if _covers(x, account_id, algo)]

    def mode_of(self, account_id: int, algo: AlgoRegistration | None) -> KillSwitch | None:
        """The strictest switch that is not ACTIVE, or None."""
        thrown = [x for x in self.switches if _covers(x, account_id, algo)]
        return max(thrown, key=lambda x: x.mode == KillSwitch.Mode.HALTED, default=None)


def _covers(row: RiskLimit | KillSwitch, account_id: int, algo: AlgoRegistration | None) -> bool:
    if row.scope == "HOUSE":
        return True
    if row.scope == "ACCOUNT":
        return row.account_id == account_id
    return algo is not None and row.algo_id == algo.pk


def controls_of(account_ids: Sequence[int], algo_ids: Iterable[str] = ()) -> Controls:
    """Read the controls that may concern orders of these accounts and algorithms."""
    algos = algos_named(account_ids, algo_ids)
    limits, switches = read_all(*control_reads(account_ids, algos.values()))
    return Controls(limits, switches, algos)


def algos_named(account_ids: Sequence[int], algo_ids: Iterable[str]) -> dict[tuple[int, str], AlgoRegistration]:
    """Registrations by (account, algorithm id); no query when no algorithm is named."""
    names = sorted({name for name in algo_ids if name})
    if not names:
        return {}
    found = AlgoRegistration.objects.filter(account__in=list(account_ids), algo_id__in=names)
    return {(algo.account_id, algo.algo_id): algo for algo in found}


def control_reads(
    account_ids: Sequence[int], algos: Iterable[AlgoRegistration]
) -> tuple[Read[list[RiskLimit]], Read[list[KillSwitch]]]:
    """The current version of each limit, and each switch that is not ACTIVE, of the house, accounts and algos."""
    scope = {"accounts": list(account_ids), "algos": [algo.pk for algo in algos]}
    return model_read(RiskLimit, _CURRENT_LIMITS, scope), model_read(KillSwitch, _THROWN_SWITCHES, scope)


_COVERS = "(t.scope = 'HOUSE' OR t.account_id = ANY(%(accounts)s) OR t.algo_id = ANY(%(algos)s))"
_THROWN_SWITCHES = f"WHERE {_COVERS} AND t.mode <> 'ACTIVE'"
_CURRENT_LIMITS = f"""WHERE {_COVERS} AND NOT EXISTS (
    SELECT 1 FROM compliance_risklimit AS later
    WHERE later.scope = t.scope AND later.account_id IS NOT DISTINCT FROM t.account_id
      AND later.algo_id IS NOT DISTINCT FROM t.algo_id AND later.version > t.version)"""  # noqa: S608  no value is in it


def event_log(user: User) -> "QuerySet[OrderEvent]":
    """All events of the accounts that the user can see, in no particular order."""
    return OrderEvent.objects.filter(account_id__in=accounts_visible_to(user).values("pk"))


def order_events(order_id: UUID) -> "QuerySet[OrderEvent]":
    """The chain of one order, oldest first."""
    return OrderEvent.objects.filter(order_id=order_id).order_by("seq")


def account_events(account_id: int) -> "QuerySet[OrderEvent]":
    """The chain of control events of one account, oldest first."""
    return OrderEvent.objects.filter(order_id=None, account_id=account_id).order_by("seq")


def accounts_to_trade(user: Any) -> "QuerySet[Account]":
    """The accounts for which the user may send and cancel orders; all of them for operators."""
    accounts = accounts_visible_to(user)
    if is_in(user, OPERATOR):
        return accounts
    return accounts.filter(memberships__user_id=user.pk, memberships__role="TRADER")


def remember_groups(user: User, names: Iterable[str]) -> None:
    """Spare `is_in` its query for a user whose groups were read together with it."""
    user._group_names = frozenset(names)  # type: ignore[union-attr]


def inactive_among(account_ids: Iterable[int]) -> set[int]:
    """Those of the accounts that are closed to trading."""
    return set(Account.objects.filter(pk__in=list(account_ids), is_active=False).values_list("pk", flat=True))


def was_raised(key: str) -> bool:
    """Whether the alert of this key was ever raised, open still or closed."""
    return bool(raised_among([key]))


def raised_among(keys: Collection[str]) -> set[str]:
    """Those of the keys whose alert was ever raised, open still or closed. One query, none for no key."""
    return set(Alert.objects.filter(key__in=keys).values_list("key", flat=True)) if keys else set()
