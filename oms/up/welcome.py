"""The block that `manage.py up` prints once everything answers: where, as whom, and a first order."""

import json
import shlex
import sys
from decimal import ROUND_CEILING, Decimal
from typing import Any

import httpx

from oms.up.embedded import Home
from oms.up.system import Addresses

ROLES = {"trader": "places orders", "operator": "runs the desk", "officer": "compliance"}
TRADER = {"username": "trader", "password": "trader-demo"}
ACCOUNT, EXCHANGE, SYMBOL = "DEMO", "NSE", "SBIN"
QUANTITY = 10
MARGIN = Decimal("1.01")  # how far above the last price a buyer must go to be sure of a fill


class FirstOrder:
    """A limit order that fills at once, priced from what the API says of the instrument."""

    def __init__(self, web: str) -> None:
        self.web = web
        self.price = Decimal(0)
        self._access = ""

    def is_possible(self) -> bool:
        """True once the instrument is listed and has a price: the market of the demo is open for us."""
        try:
            self._access = self._access or self._ask("POST", "auth/token", json=TRADER)["access"]
            instrument = self._ask("GET", f"instruments/{EXCHANGE}/{SYMBOL}")
        except httpx.HTTPError:
            return False
        if not instrument.get("lastPrice"):
            return False
        tick = instrument["tickSize"]
        ticks = (instrument["lastPrice"] * MARGIN / tick).to_integral_value(ROUND_CEILING)
        self.price = min(ticks * tick, instrument.get("upperCircuit", ticks * tick))
        return True

    def body(self) -> str:
        order = {"accountId": ACCOUNT, "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": QUANTITY}
        return f'{json.dumps(order)[:-1]}, "price": {self.price}}}'

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._access}"} if self._access else {}
        answer = httpx.request(method, f"{self.web}/api/v1/{path}", headers=headers, timeout=5, **options)
        answer.raise_for_status()
        return json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)


def text(home: Home, addresses: Addresses, first: FirstOrder | None) -> str:
    """Where everything is; in the demo its logins and a first order, else how to make the first person."""
    web = addresses.web
    lines = [
        "The OMS is up. Ctrl-C stops it.",
        "",
        f"  API        {web}/api/v1/docs",
        f"  Admin      {web}/admin/",
        f"  Health     {web}/health",
        f"  Streams    {addresses.stream}",
        f"  Data       {home.root}",
    ]
    if first:
        lines += [f"  Exchange   {addresses.exchange} (paper)", "", "  Logins (name, password)"]
        lines += [f"    {name:<10} {f'{name}-demo':<16} {what}" for name, what in ROLES.items()]
        lines += [
            "",
            "  A first order",
            f"    TOKEN=$(curl -s {web}/api/v1/auth/token -H 'Content-Type: application/json' \\",
            f'      -d \'{json.dumps(TRADER)}\' | sed \'s/.*"access": *"\\([^"]*\\)".*/\\1/\')',
            f"    curl -s {web}/api/v1/orders -H 'Content-Type: application/json' \\",
            '      -H "Authorization: Bearer $TOKEN" \\',
            f"      -d '{first.body()}'",
        ]
    else:
        lines += [
            "",
            "  The first person (a superuser), where OMS_SECRET_KEY and OMS_FERNET_KEYS are set as here",
            f"    OMS_HOME={shlex.quote(str(home.root))} {shlex.quote(sys.executable)} manage.py createsuperuser",
            "  who then logs in at the admin, enrols a second factor, and follows the checklist there.",
        ]
    return "\n".join(lines)
