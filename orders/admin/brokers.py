"""Broker accounts: whether the door is open, what waits behind it, and logging in. Secrets are never shown."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from unfold.decorators import display

from compliance.acting import acting, actor_of, person
from compliance.admin.choosing import AccountForm
from oms.lib.admin.actions import ReasonForm, go, go_to, holders_of, service_action
from oms.lib.admin.formats import EMPTY, chip, chips, moment
from oms.lib.admin.records import RecordAdmin, is_among
from orders.admin.broker_forms import CredentialsForm, NewBrokerAccountForm
from orders.admin.tones import SESSION_TONES
from orders.broker_rules import simulated_kinds
from orders.brokers.base import BrokerError
from orders.brokers.limits import waiting
from orders.gateway import logins
from orders.models import BrokerAccount, Routing
from orders.services.broker_accounts import CHANGEABLE, add_broker_account, change_credentials
from orders.services.routing import change_routing


@admin.register(BrokerAccount)
class BrokerAccountAdmin(RecordAdmin):
    list_display = (
        "name", "kind_of_broker", chips("session_state", SESSION_TONES, "session"), "client_id",
        moment("session_expires_at", "expires"), moment("polled_at", "last poll"), "calls_waiting", "session_message",
    )  # fmt: skip
    ordering = ("name",)
    sections = (
        (
            "Session",
            (
                "session", "session_opened_at", "session_expires_at", "session_message", "polled_at", "poll_message",
                "calls_waiting",
            ),
        ),
        ("Connection", ("kind", "root_url", "route_prefix", "login_page_url", "egress_address", "trading_hours")),
        ("Identity", ("client_id", "api_key", "secret", "default_account", "routed")),
        (
            "Limits of the broker",
            (
                "orders_per_second", "orders_per_minute", "orders_per_day", "modifications_per_order",
                "other_calls_per_second",
            ),
        ),
    )  # fmt: skip
    actions_list = ("add_broker_account",)
    actions_detail = ("login", "logout", "route_account", "change_credentials")
    actions_row = ("login", "logout")

    @display(description="kind", ordering="kind")
    def kind_of_broker(self, account: BrokerAccount) -> Any:
        """Where money is real in another colour."""
        tone = "teal" if account.kind in simulated_kinds() else "amber"
        return chip(account.kind, tone, account.get_kind_display())

    @display(description="session")
    def session(self, account: BrokerAccount) -> Any:
        return chip(account.session_state, SESSION_TONES[account.session_state])

    @display(description="API secret")
    def secret(self, account: BrokerAccount) -> Any:
        return chip("set, never shown", "grey") if account.api_secret else chip("missing", "red")

    @display(description="calls waiting")
    def calls_waiting(self, account: BrokerAccount) -> Any:
        """How many calls wait for the broker's rate limit at this moment, by kind."""
        try:
            queued = {kind: count for kind, count in waiting(account).items() if count}
        except BrokerError as away:
            return chip("not known", "amber", away.message)
        return (
            format_html_join(" ", "{}", ((chip(f"{count} {kind}", "amber"),) for kind, count in queued.items()))
            or "none"
        )

    @display(description="accounts sent through it")
    def routed(self, account: BrokerAccount) -> Any:
        codes = (
            Routing.objects.filter(broker_account=account)
            .order_by("account__code")
            .values_list("account__code", flat=True)
        )
        return ", ".join(codes) or EMPTY

    has_add_broker_permission = holders_of("orders.add_brokeraccount")
    has_route_permission = holders_of("orders.change_routing")

    @service_action(
        "Add a broker account",
        permission="add_broker",
        form=NewBrokerAccountForm,
        button="Add",
        icon="add",
    )
    def add_broker_account(self, request: HttpRequest, form: ReasonForm) -> HttpResponse:
        fields = form.values()
        owner, reason = fields.pop("account"), fields.pop("reason")
        added = add_broker_account(owner.pk, fields=fields, reason=reason, **acting(request))
        return go_to(request, added, f"{added} is there. Next: route accounts to it, and log in.")

    @service_action(
        "Route an account",
        permission="route",
        form=AccountForm,
        text="New orders of the account go through this broker account. What it holds stays where it is.",
        button="Route",
        icon="route",
    )
    def route_account(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        account, reason = form.cleaned_data["account"], form.cleaned_data["reason"]
        route = change_routing(account.pk, broker_account_id=int(object_id), reason=reason, **acting(request))
        return f"Orders of {account} go through {route.broker_account} now."

    def has_session_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        return bool(request.user.has_perm("orders.change_brokeraccount"))

    def has_logout_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_session_permission(request) and (
            object_id is None
            or is_among(BrokerAccount.objects.filter(session_state=BrokerAccount.SessionState.OPEN), object_id)
        )

    @service_action(
        "Log in at the broker",
        permission="session",
        text="You go on to the broker's own login page and come back here.",
        button="Go to the broker",
        icon="login",
    )
    def login(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        url = logins.begin_login(
            int(object_id), user=person(request), actor=actor_of(request), reason=form.cleaned_data["reason"]
        )
        return go(request, url)

    @service_action(
        "Log out",
        permission="logout",
        text="Orders of this broker account wait until somebody logs in again. Working orders stay at the exchange.",
        icon="logout",
        danger=True,
    )
    def logout(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        account = logins.log_out(int(object_id), reason=form.cleaned_data["reason"], **acting(request))
        return f"{account.name}: the session is closed."

    @service_action(
        "Change credentials",
        permission="session",
        form=CredentialsForm,
        text="An open session ends, since its token belongs to the old credentials. The secret is stored encrypted.",
        button="Change",
        icon="key",
    )
    def change_credentials(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        changes = {name: form.cleaned_data[name] for name in CHANGEABLE if form.cleaned_data[name]}
        reason = form.cleaned_data["reason"]
        account = change_credentials(int(object_id), changes=changes, reason=reason, **acting(request))
        return f"{account.name}: changed. Log in again."
