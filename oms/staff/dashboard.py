"""The live page: what an operator must see at a glance. Some dozen queries, whatever there is to show."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from compliance.monitoring import open_alerts, thrown_switches
from ledger.admin.capital import bucket_shares
from ledger.market.calendar import Market
from ledger.market.hours import HOURS
from ledger.market.next_events import MarketEvent, next_events
from ledger.monitoring import busiest_portfolios, capital_in_all
from oms.lib.clock import IST, ist_date, now, start_of_day
from oms.staff.setup_checklist import checklist
from orders.admin.tones import STATE_TONES
from orders.reading.monitoring import broker_accounts, orders_per_minute, states_since, stuck_amendments, stuck_orders
from orders.states import WORKING, State

ROWS = 8
PACE_OVER = timedelta(minutes=60)


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the page shows; unfold calls this for the admin's index."""
    at = now()
    states = states_since(request.user, start_of_day(ist_date(at)))
    total = sum(states.values())
    stuck = stuck_orders(request.user, at, limit=ROWS)
    amending = stuck_amendments(request.user, at, limit=ROWS)
    alerts = open_alerts(request.user, limit=ROWS)
    buckets = capital_in_all(request.user)
    capital = buckets.free + buckets.reserved + buckets.allocated
    brokers = broker_accounts()
    portfolios = busiest_portfolios(request.user, limit=ROWS)
    context |= {
        "at": at,
        "title": "Live",
        "figures": _figures(states, total, len(stuck) + len(amending), len(alerts)),
        "states": _shares(states, total),
        "total": total,
        "pace": _pace(orders_per_minute(request.user, at - PACE_OVER, at)),
        "stuck": stuck,
        "amending": amending,
        "alerts": alerts,
        "switches": thrown_switches(),
        "opening": checklist(request.user, brokers=brokers, portfolios=portfolios, capital=capital),
        "brokers": brokers,
        "coming": _coming(at),
        "may_login": request.user.has_perm("orders.change_brokeraccount"),
        "buckets": bucket_shares(buckets.free, buckets.reserved, buckets.allocated),
        "capital": capital,
        "portfolios": portfolios,
    }
    return context


def _coming(at: datetime) -> list[tuple[MarketEvent, str]]:
    """What each exchange does next, with the exchanges that do the same, the soonest first."""
    together: dict[MarketEvent, list[str]] = {}
    for exchange in HOURS:
        together.setdefault(next_events(Market(exchange), at)[0], []).append(exchange)
    return [(event, ", ".join(together[event])) for event in sorted(together, key=lambda event: event.at)]


def _figures(states: dict[State, int], total: int, stuck: int, alerts: int) -> list[dict[str, Any]]:
    orders = reverse("admin:orders_order_changelist")
    working = sum(states[state] for state in WORKING)

    def figure(label: str, value: int, url: str, icon: str, tone: str = "") -> dict[str, Any]:
        return {"label": label, "value": value, "url": url, "icon": icon, "tone": tone if value else ""}

    return [
        figure("Orders today", total, orders, "receipt_long"),
        figure("Working", working, _filtered(*sorted(WORKING)), "bolt", "blue"),
        figure("Filled", states[State.FILLED], _filtered(State.FILLED), "task_alt", "green"),
        figure("Rejected", states[State.REJECTED], _filtered(State.REJECTED), "block", "rose"),
        figure("Stuck", stuck, "#stuck", "hourglass_top", "red"),
        figure("Open alerts", alerts, reverse("admin:compliance_alert_changelist"), "notifications_active", "amber"),
    ]


def _filtered(*states: str) -> str:
    query = "&".join(f"state__exact={state}" for state in states)
    return f"{reverse('admin:orders_order_changelist')}?{query}"


def _shares(states: dict[State, int], total: int) -> list[dict[str, Any]]:
    return [
        {
            "state": state, "count": count, "tone": STATE_TONES[state], "url": _filtered(state),
            "percent": 100 * count / total if total else 0,
        }
        for state, count in states.items()
    ]  # fmt: skip


def _pace(minutes: Sequence[tuple[datetime, int]]) -> dict[str, Any]:
    """The chart's data as Chart.js takes it, and the peak."""
    data = {
        "labels": [f"{minute.astimezone(IST):%H:%M}" for minute, _ in minutes],
        "datasets": [
            {
                "label": "orders a minute", "data": [count for _, count in minutes],
                "backgroundColor": "var(--color-primary-600)", "borderRadius": 3, "maxTicksXLimit": 7,
            }
        ],
    }  # fmt: skip
    return {"data": json.dumps(data), "peak": max((count for _, count in minutes), default=0)}
