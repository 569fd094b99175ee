"""Who may see and trade what, and the limits and switches in force. No rule is decided here."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from compliance.models import Account, Alert, AlgoRegistration, KillSwitch, OrderEvent, RiskLimit
from oms.lib.db import PLANNED_ONCE, Read, model_columns, model_read, nothing_asked, read_all
from oms.lib.errors import DomainError, Forbidden, NotFound
from oms.lib.users import User

OPERATOR, COMPLIANCE = "operator", "compliance"
#: What the members of a staff group are called.
_CALLED = {OPERATOR: "operators", COMPLIANCE: "compliance officers"}


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


def require(user: User | None, *groups: str, what: str) -> None:
    """Raise Forbidden unless the user is in one of the staff groups; `None` is the house itself, which may."""
    if user is not None and not is_in(user, *groups):
        allowed = " and ".join(_CALLED[group] for group in groups)
        raise Forbidden(f"Only {allowed} may {what}: ask one of them.")


def accounts_visible_to(user: User) -> "QuerySet[Account]":
    """The accounts that a user is a member of; all of them for operators and compliance officers."""
    if is_in(user, OPERATOR, COMPLIANCE):
        return Account.objects.all()
    if not user.is_active or user.pk is None:
        return Account.objects.none()
    return Account.objects.filter(memberships__user_id=user.pk)


#: The code of an account, and the primary key of the user who wants to trade it; None is the house itself.
Trading = tuple[str, int | None]


def tradable_accounts(wanted: Iterable[Trading]) -> Read[dict[Trading, Account | DomainError]]:
    """The read that locks, in id order, each account that its user may trade. Every pair stands or falls alone.

    The lock makes what is decided from an account's open orders and limits hold until the commit; the same
    statement sees whether the user is still active. A pair that fails locks nothing: its value is NotFound for
    an account that the user cannot see, Forbidden for one that the user may only view.
    """
    pairs = sorted(set(wanted), key=lambda pair: (pair[0], pair[1] or 0))
    columns, made = model_columns(Account)

    def parse(rows: list[tuple[Any, ...]]) -> dict[Trading, Account | DomainError]:
        found: dict[Trading, Account | DomainError] = {(code, user): _absent(code, user) for code, user in pairs}
        for code, user, is_seen, *row in rows:
            if row[0] is not None:
                found[code, user] = made(row)
            elif is_seen:
                found[code, user] = Forbidden(f"You may look at account {code} but not trade it.", code="view_only")
        return found

    parameters = {"codes": [code for code, _ in pairs], "users": [user for _, user in pairs]}
    groups = {"operator": OPERATOR, "compliance": COMPLIANCE}
    return Read(_TRADABLE.replace("t.*", columns), parameters | groups, parse)


def _absent(code: str, user_id: int | None) -> NotFound:
    return NotFound(
        f"There is no account {code}." if user_id is None else f"There is no account {code} that you can see."
    )


def lock_tradable_accounts(codes: Iterable[str], user: User | None) -> dict[str, Account]:
    """Lock the named accounts, provided that `user` may trade every one of them; by code.

    Raises NotFound for an account that the user cannot see, Forbidden for one that it may only view.
    """
    user_id = None if user is None else user.pk
    # The transaction's BEGIN goes along.
    _, found = read_all(PLANNED_ONCE, tradable_accounts((code, user_id) for code in codes))
    accounts: dict[str, Account] = {}
    for (code, _), account in found.items():
        if isinstance(account, DomainError):
            raise account
        accounts[code] = account
    return accounts


def lock_trading_account(account_id: int) -> Account:
    """Lock one account, which is not the house. Raises NotFound."""
    rows = Account.objects.select_for_update(no_key=True).exclude(kind=Account.Kind.HOUSE)
    account = rows.filter(pk=account_id).first()
    if account is None:
        raise NotFound("There is no such trading account.")
    return account


_TRADABLE = """WITH asked AS MATERIALIZED (
        SELECT w.code, w.user_id, a.id AS account_id,
            w.user_id IS NULL OR u.is_superuser OR g.is_operator OR m.role = 'TRADER' AS is_traded,
            u.is_superuser OR g.is_operator OR g.is_officer OR m.id IS NOT NULL AS is_seen
        FROM unnest(%(codes)s::text[], %(users)s::bigint[]) AS w(code, user_id)
        JOIN compliance_account AS a ON a.code = w.code
        LEFT JOIN auth_user AS u ON u.id = w.user_id AND u.is_active
        LEFT JOIN compliance_membership AS m ON m.account_id = a.id AND m.user_id = u.id
        LEFT JOIN LATERAL (
            SELECT coalesce(bool_or(name = %(operator)s), false) AS is_operator,
                   coalesce(bool_or(name = %(compliance)s), false) AS is_officer
            FROM auth_user_groups AS ug JOIN auth_group ON auth_group.id = ug.group_id WHERE ug.user_id = u.id) AS g
            ON true),
    locked AS MATERIALIZED (
        SELECT t.* FROM compliance_account AS t WHERE t.id IN (SELECT account_id FROM asked WHERE is_traded)
        ORDER BY t.id FOR NO KEY UPDATE OF t)
    SELECT asked.code, asked.user_id, asked.is_seen, t.*
    FROM asked LEFT JOIN locked AS t ON asked.is_traded AND t.id = asked.account_id"""


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
    return Controls(*read_all(*control_reads(account_ids, algo_ids)))


def control_reads(
    account_ids: Sequence[int], algo_ids: Iterable[str]
) -> tuple[Read[list[RiskLimit]], Read[list[KillSwitch]], Read[dict[tuple[int, str], AlgoRegistration]]]:
    """The current version of each limit, each switch that is not ACTIVE, and the named algorithms: see `Controls`."""
    scope = {"accounts": list(account_ids), "algos": sorted({name for name in algo_ids if name})}
    algos = model_read(AlgoRegistration, _NAMED, scope)
    if not scope["algos"]:
        algos = nothing_asked(algos)
    return (
        model_read(RiskLimit, _CURRENT_LIMITS, scope),
        model_read(KillSwitch, _THROWN_SWITCHES, scope),
        algos.then(lambda rows: {(algo.account_id, algo.algo_id): algo for algo in rows}),
    )


_NAMED = "WHERE t.account_id = ANY(%(accounts)s) AND t.algo_id = ANY(%(algos)s)"
_COVERS = f"""(t.scope = 'HOUSE' OR t.account_id = ANY(%(accounts)s)
    OR t.algo_id IN (SELECT t.id FROM compliance_algoregistration AS t {_NAMED}))"""  # noqa: S608
_THROWN_SWITCHES = f"WHERE {_COVERS} AND t.mode <> 'ACTIVE'"
_CURRENT_LIMITS = f"""WHERE {_COVERS} AND NOT EXISTS (
    SELECT 1 FROM compliance_risklimit AS later
    WHERE later.scope = t.scope AND later.account_id IS NOT DISTINCT FROM t.account_id
      AND later.algo_id IS NOT DISTINCT FROM t.algo_id AND later.version > t.version)"""  # noqa: S608  no value is in it


def order_events(order_id: UUID) -> "QuerySet[OrderEvent]":
    """The chain of one order, oldest first."""
    return OrderEvent.objects.filter(order_id=order_id).order_by("seq")


def account_events(account_id: int) -> "QuerySet[OrderEvent]":
    """The chain of control events of one account, oldest first."""
    return OrderEvent.objects.filter(order_id=None, account_id=account_id).order_by("seq")


def accounts_to_trade(user: User) -> "QuerySet[Account]":
    """The accounts for which the user may send and cancel orders; all of them for operators."""
    accounts = accounts_visible_to(user)
    if is_in(user, OPERATOR) or user.pk is None:
        return accounts
    return accounts.filter(memberships__user_id=user.pk, memberships__role="TRADER")


def remember_groups(user: User, names: Iterable[str]) -> None:
    """Spare `is_in` its query for a user whose groups were read together with it."""
    user._group_names = frozenset(names)  # type: ignore[union-attr]


def inactive_among(account_ids: Iterable[int]) -> set[int]:
    """Those of the accounts that are closed to trading."""
    return set(Account.objects.filter(pk__in=list(account_ids), is_active=False).values_list("pk", flat=True))


def raised_among(keys: Collection[str]) -> set[str]:
    """Those of the keys whose alert was ever raised, open still or closed. One query, none for no key."""
    return set(Alert.objects.filter(key__in=keys).values_list("key", flat=True)) if keys else set()
