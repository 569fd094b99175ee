"""The block that `manage.py up` prints once everything answers: where, as whom, and a first order."""

from oms.embedded import Home
from oms.roles import Addresses

ROLES = {"trader": "places orders", "operator": "runs the desk", "officer": "compliance"}
FIRST_ORDER = '{"accountId":"DEMO","symbol":"SBIN","side":"BUY","type":"LIMIT","quantity":10,"price":850}'


def text(home: Home, addresses: Addresses, *, demo: bool) -> str:
    """Some ten lines; the logins and the order only with the demo's data."""
    web = addresses.web
    lines = [
        "The OMS is up. Ctrl-C stops it.",
        "",
        f"  API        {web}/api/v1/docs",
        f"  Admin      {web}/admin/",
        f"  Health     {web}/health",
        f"  Streams    {addresses.stream}",
    ]
    if demo:
        lines.append(f"  Exchange   {addresses.exchange} (paper)")
    lines.append(f"  Data       {home.root}")
    if demo:
        lines += ["", "  Logins"]
        lines += [f"    {name:<10} {name}-demo{'':<6} {what}" for name, what in ROLES.items()]
        lines += [
            "",
            "  A first order",
            f"    TOKEN=$(curl -s {web}/api/v1/auth/token -H 'Content-Type: application/json' \\",
            """      -d '{"username":"trader","password":"trader-demo"}' | sed 's/.*"access":"\\([^"]*\\)".*/\\1/')""",
            f"    curl -s {web}/api/v1/orders -H 'Content-Type: application/json' \\",
            f"      -H \"Authorization: Bearer $TOKEN\" -d '{FIRST_ORDER}'",
        ]
    return "\n".join(lines)
