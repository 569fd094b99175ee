"""All parts of a running exchange, and putting them together from a configuration.

Belongs here: construction, the demo client, loading and saving. What the parts do is in their own
modules; when they are driven is in `runtime`.
"""

import logging
from dataclasses import dataclass

from .account import Account, Holding
from .book import Book, Update
from .candles import read_paths
from .clock import Clock
from .config import Config
from .day import Day
from .exchange import Exchange, Schedule
from .faults import Faults
from .identifiers import Identifiers
from .instruments import Catalogue
from .limits import Limits
from .market import Market
from .postbacks import Postbacks
from .risk import Risk
from .session import App, Sessions
from .stale import StaleBook
from .store import Store
from .ticker import Ticker

logger = logging.getLogger(__name__)
DEMO_KEY, DEMO_SECRET, DEMO_APP_ID = "paper", "paper-secret", 1
DEMO_CLIENT, DEMO_NAME = "PX0001", "Paper Trader"
DEMO_CASH = 1_00_00_000_00  # Rs 1 crore in paise
DEMO_HOLDINGS = {"NSE:SBIN": 1000, "NSE:INFY": 500, "NSE:RELIANCE": 200, "NSE:TCS": 100}


@dataclass
class Services:
    """The parts. `ticks` counts the market's moves since the start, `ticked_at` is
    when it last moved by itself (monotonic seconds)."""

    store: Store
    market: Market
    book: Book
    accounts: dict[str, Account]
    exchange: Exchange
    day: Day
    sessions: Sessions
    limits: Limits
    faults: Faults
    stale: StaleBook
    postbacks: Postbacks
    ticker: Ticker
    demo: bool
    control_key: str
    start_mode: str
    tick_seconds: float
    ticks: int = 0
    ticked_at: float = 0.0

    def tick(self) -> None:
        """One move of the market: what time brings, then prices, then matching."""
        self.day.check()
        self.ticks += 1
        if self.exchange.clock.is_open():
            self.market.tick(self.exchange.clock.now())
            for token in list(self.book.resting):
                self.exchange.match(token)
            self.ticker.tick()

    def reset(self, keep_sessions: bool) -> None:
        """Forget orders, trades, prices, faults and a set clock; accounts are emptied, not closed."""
        if not keep_sessions:
            self.sessions.end_all()
        self.store.wipe_orders()
        self.book.clear()
        self.faults.clear()
        self.limits.clear()
        self.market.reset()
        self.exchange.clock.set(mode=self.start_mode, holidays=[])
        self.day.current = self.exchange.clock.today().isoformat()
        for account in self.accounts.values():
            account.clear()
        self.save_market()

    def save_market(self) -> None:
        """Keep prices and clock for a restart."""
        with self.store.unit():
            self.store.put("market", self.market.state())
            self.store.put("clock", self.exchange.clock.state())


def build(config: Config, schedule: Schedule) -> Services:
    """The exchange as configured, with what its home remembers. Raises HomeInUseError, ValueError."""
    store = Store(config.home)
    clock = Clock(config.clock)
    remembered = store.get("clock")
    if remembered and remembered["mode"] == config.clock:
        clock.restore(remembered)
    market = _market(config, store)
    faults, limits = Faults(config.seed), Limits(enabled=config.rate_limits)
    sessions = Sessions(store, clock)
    ticker, postbacks = Ticker(sessions, market, clock), Postbacks(sessions, faults)

    def publish(update: Update) -> None:
        ticker.publish(update)
        postbacks.publish(update)

    book = Book(store, publish)
    accounts = {state["user_id"]: Account.restore(state) for state in store.facts("client:")}
    exchange = Exchange(
        clock,
        market,
        book,
        faults,
        Risk(accounts, market),
        Identifiers(store.last_order_id()),
        schedule,
        config.latency_seconds,
    )
    day = Day(exchange, store, store.get("day") or clock.today().isoformat())
    services = Services(
        store,
        market,
        book,
        accounts,
        exchange,
        day,
        sessions,
        limits,
        faults,
        StaleBook(book, faults),
        postbacks,
        ticker,
        config.demo,
        config.control_key,
        config.clock,
        config.tick_seconds,
    )
    _seed(services, config)
    book.load([order for order in store.load_orders(day.current) if order.instrument_token in market.quotes])
    for user_id in accounts:
        limits.resume(user_id, day.current, store.count_orders(user_id, day.current))
    exchange.recover()
    if all(i.expiry is None or i.expiry < clock.today() for i in market.catalogue.by_token.values()):
        logger.warning("no futures or options contract of the instrument list is alive: see instrument_list")
    return services


def _market(config: Config, store: Store) -> Market:
    catalogue = Catalogue.read(config.instruments)
    paths = {}
    if config.candles:
        ticks = {key: instrument.tick_size for key, instrument in catalogue.by_key.items()}
        paths = read_paths(config.candles, ticks, round(60 / config.tick_seconds))
    market = Market(catalogue, config.seed, paths)
    market.restore(store.get("market") or {})
    return market


def _seed(services: Services, config: Config) -> None:
    """The demo app and client on first start; the app's addresses as given this time."""
    app = services.sessions.apps.get(DEMO_KEY)
    services.sessions.register(
        App(
            DEMO_KEY,
            DEMO_SECRET,
            DEMO_APP_ID,
            config.redirect_url or (app.redirect_url if app else ""),
            config.postback_url or (app.postback_url if app else ""),
        )
    )
    with services.store.unit():
        services.store.put("day", services.day.current)
    if DEMO_CLIENT not in services.accounts:
        open_account(services, demo_account(services))


def demo_account(services: Services) -> Account:
    """PX0001 with cash and holdings bought at 90 % of today's price."""
    account = Account(DEMO_CLIENT, DEMO_NAME, DEMO_CASH, DEMO_CASH)
    for key, quantity in DEMO_HOLDINGS.items():
        instrument = services.market.catalogue.by_key.get(key)
        if instrument:
            cost = instrument.last_price * 9 // 10 * quantity
            account.holdings[key] = Holding(key, quantity, cost=cost)
    return account


def open_account(services: Services, account: Account) -> None:
    """Add a client, or replace one."""
    with services.book.unit():
        services.book.touch(account)
    services.accounts[account.user_id] = account
