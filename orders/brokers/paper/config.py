"""What the exchange is started with: command line options, each also an environment variable.

Belongs here: names, defaults and their check. `--rate-limits` is `PAPER_RATE_LIMITS=1`, and so on.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .clock import MODES
from .instruments import DEFAULT_FILE

TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class Config:
    """Options of one exchange. `tick_seconds` between two moves of the market."""

    home: Path
    host: str
    port: int
    seed: int
    clock: str
    demo: bool
    rate_limits: bool
    redirect_url: str
    postback_url: str
    control_key: str
    instruments: Path
    candles: Path | None
    tick_seconds: float
    latency_seconds: float


def read(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> Config:
    """Parse options; the environment gives defaults. Exits with a message when they do not fit."""
    parser = argparse.ArgumentParser(
        prog="python -m orders.brokers.paper",
        description="A Kite Connect v3 compatible simulated broker.",
        epilog="Every option is also read from the environment: --home from PAPER_HOME, ...",
    )

    def text(name: str, default: str, explained: str) -> None:
        value = environment.get(_variable(name), default)
        parser.add_argument(f"--{name}", default=value, help=f"{explained} (default: {default!r})")

    def switch(name: str, default: bool, explained: str) -> None:
        value = environment.get(_variable(name))
        parser.add_argument(
            f"--{name}",
            action=argparse.BooleanOptionalAction,
            help=explained,
            default=default if value is None else value.lower() in TRUE,
        )

    text("home", "", "directory of the exchange's state")
    text("host", "127.0.0.1", "address to listen on")
    text("port", "8100", "port to listen on; 0 takes a free one")
    text("seed", "1", "decides prices and faults")
    text("clock", "open", f"one of {', '.join(MODES)}")
    text("redirect-url", "", "where the demo app's login returns to")
    text("postback-url", "", "where the demo app's postbacks go")
    text("control-key", "paper-control", "what X-Paper-Control must say")
    text("instruments", str(DEFAULT_FILE.name), "instrument file in Kite's columns")
    text("candles", "", "CSV file of minute candles to replay")
    text("tick-seconds", "0.25", "time between two ticks")
    text("latency-seconds", "0.005", "time between two steps of an order")
    switch("rate-limits", True, "enforce Kite's rate limits")
    switch("demo", True, "log in at once instead of showing a page")
    return _checked(parser, parser.parse_args(arguments))


def _variable(option: str) -> str:
    return "PAPER_" + option.upper().replace("-", "_")


def _checked(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Config:
    if not given.home:
        parser.error("--home (or PAPER_HOME) is required")
    if given.clock not in MODES:
        parser.error(f"--clock must be one of {', '.join(MODES)}")
    numbers: dict[str, float] = {}
    for name, least in (("port", 0), ("seed", 0), ("tick_seconds", 0.01), ("latency_seconds", 0)):
        try:
            numbers[name] = float(getattr(given, name))
        except ValueError:
            parser.error(f"--{name.replace('_', '-')} must be a number")
        if not least <= numbers[name] <= 2**31:
            parser.error(f"--{name.replace('_', '-')} must be at least {least}")
    if numbers["port"] > 65535:
        parser.error("--port must be at most 65535")
    instruments = DEFAULT_FILE if given.instruments == DEFAULT_FILE.name else Path(given.instruments)
    for name, path in (("instruments", instruments), ("candles", given.candles)):
        if path and not Path(path).is_file():
            parser.error(f"--{name}: there is no file {path}")
    return Config(
        home=Path(given.home),
        host=given.host,
        port=int(numbers["port"]),
        seed=int(numbers["seed"]),
        clock=given.clock,
        demo=given.demo,
        rate_limits=given.rate_limits,
        redirect_url=given.redirect_url,
        postback_url=given.postback_url,
        control_key=given.control_key,
        instruments=instruments,
        candles=Path(given.candles) if given.candles else None,
        tick_seconds=numbers["tick_seconds"],
        latency_seconds=numbers["latency_seconds"],
    )
