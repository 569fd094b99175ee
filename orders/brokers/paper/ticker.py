"""The WebSocket at the root: quotes by subscription and news of the client's orders.

Belongs here: connections, subscriptions and what each is sent. A connection that does not read is
closed rather than waited for.
"""

import asyncio
from dataclasses import dataclass, field

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from .book import Update
from .clock import Clock
from .errors import KiteError
from .market import Market, Quote
from .packets import HEARTBEAT, MODES, frame, packet
from .postbacks import payload
from .session import Sessions

CONNECTIONS_PER_KEY = 3
SUBSCRIPTIONS = 3000
BACKLOG = 1_000
HEARTBEAT_SECONDS = 1.0
Seen = tuple[int, int, int, int]


@dataclass(eq=False)
class Connection:
    """One socket. `modes` by token; `sent` is what each token's last packet showed."""

    api_key: str
    user_id: str
    outbox: asyncio.Queue[str | bytes | None] = field(default_factory=lambda: asyncio.Queue(BACKLOG))
    modes: dict[int, str] = field(default_factory=dict)
    sent: dict[int, Seen] = field(default_factory=dict)

    def send(self, message: str | bytes) -> None:
        """Queue a message; give the connection up when it lags behind by a thousand."""
        if self.outbox.full():
            while not self.outbox.empty():
                self.outbox.get_nowait()
            self.outbox.put_nowait(None)
        else:
            self.outbox.put_nowait(message)


class Ticker:
    """All connections."""

    def __init__(self, sessions: Sessions, market: Market, clock: Clock) -> None:
        self._sessions, self._market, self._clock = sessions, market, clock
        self.connections: set[Connection] = set()

    def publish(self, update: Update) -> None:
        """Tell the client's connections of an order, whichever app placed it."""
        listeners = [c for c in self.connections if c.user_id == update.user_id]
        app = self._sessions.apps.get(update.api_key)
        if listeners and app:
            text = orjson.dumps({"type": "order", "data": payload(update, app)}).decode()
            for connection in listeners:
                connection.send(text)

    def tick(self) -> None:
        """Send every connection the quotes that changed since it last heard of them."""
        now = self._clock.now()
        for connection in self.connections:
            packets = []
            for token, mode in connection.modes.items():
                quote = self._market.quotes[token]
                seen = _seen(quote)
                if connection.sent.get(token) != seen:
                    connection.sent[token] = seen
                    packets.append(packet(quote, mode, now))
            if packets:
                connection.send(frame(packets))

    async def serve(self, socket: WebSocket) -> None:
        """One connection from handshake to close. A bad session is refused with 403."""
        query = socket.query_params
        try:
            session = self._sessions.check(query.get("api_key", ""), query.get("access_token", ""))
        except KiteError:
            await socket.close()
            return
        held = sum(1 for c in self.connections if c.api_key == session.api_key)
        if held >= CONNECTIONS_PER_KEY:
            await socket.close()
            return
        await socket.accept()
        connection = Connection(session.api_key, session.user_id)
        self.connections.add(connection)
        writer = asyncio.create_task(self._write(socket, connection))
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                self._obey(connection, message.get("text") or "")
        finally:
            self.connections.discard(connection)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _write(self, socket: WebSocket, connection: Connection) -> None:
        while True:
            try:
                message = await asyncio.wait_for(connection.outbox.get(), HEARTBEAT_SECONDS)
            except TimeoutError:
                message = HEARTBEAT
            try:
                if message is None:
                    await socket.close(1008)
                    return
                if isinstance(message, str):
                    await socket.send_text(message)
                else:
                    await socket.send_bytes(message)
            except (WebSocketDisconnect, RuntimeError):
                return  # gone while we wrote: the reader notices too and tidies up

    def _obey(self, connection: Connection, text: str) -> None:
        try:
            command = orjson.loads(text)
            action, value = command["a"], command["v"]
            mode, tokens = value if action == "mode" else ("quote", value)
            problem = self._change(connection, str(action), str(mode), list(map(int, tokens)))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            problem = "Invalid message"
        if problem:
            connection.send(orjson.dumps({"type": "error", "data": problem}).decode())

    def _change(self, connection: Connection, action: str, mode: str, tokens: list[int]) -> str | None:
        known = [token for token in tokens if token in self._market.quotes]
        if action == "unsubscribe":
            for token in known:
                connection.modes.pop(token, None)
                connection.sent.pop(token, None)
            return None
        if action not in ("subscribe", "mode") or mode not in MODES:
            return "Invalid action or mode"
        if len(connection.modes.keys() | set(known)) > SUBSCRIPTIONS:
            return f"More than {SUBSCRIPTIONS} instruments"
        for token in known:
            if action == "mode" or token not in connection.modes:
                connection.modes[token] = mode
                connection.sent.pop(token, None)
        return None


def _seen(quote: Quote) -> Seen:
    return (quote.last, quote.volume, quote.buyable, quote.sellable)
