"""Postbacks: Kite's notices of an order's end or change, sent to the app's postback URL.

Belongs here: payload, checksum, delivery and the faults of delivery. A notice that is not answered
with 2xx is tried three times in all, after 1 and 5 seconds more, then given up and logged. Notices
of one order are sent in turn. They are not kept over a restart: nobody is promised one.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from .book import Update
from .faults import POSTBACK_KINDS, Faults
from .session import App, Sessions

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)
PAUSES = (0.0, 1.0, 5.0)
LANES = 8
LANE_LENGTH = 5_000
TIMEOUT_SECONDS = 5.0


def payload(update: Update, app: App) -> dict[str, Any]:
    """The order row, without `modified` and `tags`, with client, app and checksum.

    checksum = sha256(order_id + order_timestamp + api_secret), hexadecimal.
    """
    row = {name: value for name, value in update.row.items() if name not in ("modified", "tags")}
    signed = f"{update.order_id}{row['order_timestamp']}{app.api_secret}"
    status = "UPDATE" if update.event == "UPDATE" else row["status"]
    return {
        **row,
        "status": status,
        "user_id": update.user_id,
        "app_id": app.app_id,
        "unfilled_quantity": row["quantity"] - row["filled_quantity"],
        "checksum": sha256(signed.encode()).hexdigest(),
    }


@dataclass(frozen=True, slots=True)
class Notice:
    """One postback on its way."""

    order_id: str
    status: str
    url: str
    body: bytes


class Postbacks:
    """Delivers in the background, one lane per group of orders."""

    def __init__(self, sessions: Sessions, faults: Faults) -> None:
        self._sessions, self._faults = sessions, faults
        self._lanes: list[asyncio.Queue[Notice]] = [asyncio.Queue(LANE_LENGTH) for _ in range(LANES)]
        self._held: Notice | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._client: httpx.AsyncClient | None = None
        self.log: deque[dict[str, Any]] = deque(maxlen=1_000)

    def publish(self, update: Update) -> None:
        """Send a notice of an update, if the app has a postback URL and the event calls for one."""
        app = self._sessions.apps.get(update.api_key)
        if app is None or not app.postback_url or update.event == "OPEN":
            return
        content = payload(update, app)
        notice = Notice(update.order_id, content["status"], app.postback_url, orjson.dumps(content))
        struck = {fault.kind: fault for fault in self._faults.draw(POSTBACK_KINDS)}
        if "postback_off" in struck:
            return
        if "postback_reorder" in struck and self._held is None:
            self._held = notice
            asyncio.get_running_loop().call_later(struck["postback_reorder"].seconds, self._let_go)
            return
        copies = 2 if "postback_duplicate" in struck else 1
        for _ in range(copies):
            if "postback_late" in struck:
                asyncio.get_running_loop().call_later(struck["postback_late"].seconds, self._enqueue, notice)
            else:
                self._enqueue(notice)
        self._let_go()

    def start(self) -> None:
        """Start delivering."""
        self._tasks = [asyncio.create_task(self._deliver(lane)) for lane in self._lanes]

    async def stop(self) -> None:
        """Stop at once; what is not sent is lost, as it may be at Kite."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client:
            await self._client.aclose()

    def _let_go(self) -> None:
        """Send the notice that was held back, now that a later one has overtaken it."""
        if self._held:
            held, self._held = self._held, None
            self._enqueue(held)

    def _enqueue(self, notice: Notice) -> None:
        lane = self._lanes[int(notice.order_id) % LANES]
        if lane.full():
            lost = lane.get_nowait()
            self._note(lost, "dropped", 0)
        lane.put_nowait(notice)

    async def _deliver(self, lane: asyncio.Queue[Notice]) -> None:
        while True:
            notice = await lane.get()
            outcomes: list[str] = []
            for pause in PAUSES:
                await asyncio.sleep(pause)
                outcomes.append(await self._post(notice))
                if outcomes[-1].startswith("2"):
                    break
            else:
                logger.warning("postback of order %s given up: %s", notice.order_id, outcomes[-1])
            self._note(notice, outcomes[-1], len(outcomes))

    async def _post(self, notice: Notice) -> str:
        import httpx  # costs a fifth of the start; most exchanges never send a postback

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)
        try:
            answer = await self._client.post(
                notice.url, content=notice.body, headers={"Content-Type": "application/json"}
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        return str(answer.status_code)

    def _note(self, notice: Notice, outcome: str, attempts: int) -> None:
        self.log.append(
            {"order_id": notice.order_id, "status": notice.status, "outcome": outcome, "attempts": attempts}
        )
