"""The other side: what the made-up broker holds, in its own words, and the hand with which a test moves it."""

import hmac
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

CLIENT, KEY, SECRET = "MU7", "mu-key", "mu-secret"
DOOR_CLOSED, HANDS_FULL, NO = 19, 18, 17


class Grumble(Exception):
    """The broker's only kind of error: a number and words."""

    def __init__(self, number: int, words: str) -> None:
        super().__init__(words)
        self.number, self.words = number, words


@dataclass
class MadeUpHouse:
    """Orders, deals, shares in the cellar, and what is listed; a `pass` opens the door until it is closed."""

    listed: list[dict[str, Any]] = field(default_factory=list)
    cellar: list[dict[str, Any]] = field(default_factory=list)
    slips: dict[str, dict[str, Any]] = field(default_factory=dict)
    deals: list[dict[str, Any]] = field(default_factory=list)
    passes: set[str] = field(default_factory=set)
    busy_for: int = 0

    def enter(self, grant: str) -> dict[str, str]:
        if grant != "grant-1":
            raise Grumble(NO, "Nobody knows this grant")
        self.passes.add("pass-1")
        return {"pass": "pass-1", "who": CLIENT}

    def check(self, ticket: str) -> None:
        if ticket not in self.passes:
            raise Grumble(DOOR_CLOSED, "The door is closed")

    def take(self, ticket: str, slip: dict[str, Any]) -> str:
        self.check(ticket)
        if slip["tok"] not in {row["tok"] for row in self.listed}:
            raise Grumble(NO, f"Nobody here trades {slip['tok'] or 'nothing'}")
        number = f"MU-{len(self.slips) + 1}"
        name = next(row["ins"] for row in self.listed if row["tok"] == slip["tok"])
        self.slips[number] = {"no": number, "ins": name, "done": "0", "avg": "0", "st": "ON THE WALL", **slip}
        return number

    def alter(self, ticket: str, number: str, changes: dict[str, Any]) -> None:
        self.check(ticket)
        if self.busy_for:
            self.busy_for -= 1
            raise Grumble(HANDS_FULL, "Our hands are full with this one")
        self.slips[number] |= changes

    # --- what a test does to it

    def deal(self, number: str, units: int, price: str) -> None:
        """Execute so many units of an order."""
        slip = self.slips[number]
        done, value = Decimal(slip["done"]), Decimal(slip["done"]) * Decimal(slip["avg"])
        done, value = done + units, value + units * Decimal(price)
        slip |= {"done": str(done), "avg": str(value / done)}
        slip["st"] = "SETTLED" if done == Decimal(slip["qty"]) else "ON THE WALL"
        fields = {name: slip[name] for name in ("no", "ins", "mkt", "bs", "prd")}
        self.deals.append(fields | {"id": f"D{len(self.deals) + 1}", "qty": str(units), "px": price})

    def postback(self, number: str, secret: str = SECRET) -> tuple[str, dict[str, str]]:
        """Body and header of the word that it sends when an order changed."""
        body = urlencode({"no": number, "who": CLIENT})
        return body, {"X-Seal": hmac.new(secret.encode(), body.encode(), sha256).hexdigest()}
