"""Nothing outside an adapter's folder knows its broker, and the page says every file that a new one touches."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from orders.brokers.kite import failures, wire
from orders.brokers.registry import KINDS
from orders.models import BrokerAccount

ROOT: Path = settings.BASE_DIR
PAGE = ROOT / "docs" / "adding-a-broker.md"
CODE = ("*.py", "*.html", "*.js", "*.css", "*.toml")
#: An adapter's own folder, and the exchange that speaks its language.
OWN = ("orders/brokers/kite/", "orders/brokers/paper/")
#: What Kite calls things, in any spelling; its order statuses and error types are read from the adapter.
WORDS = [
    "kite", "zerodha", "tradingsymbol", "TokenException", "being processed", "instrument_token", "request_token",
    "t1_quantity", "SL-M", "enctoken", "06:00", "07:30", "time(6", "time(7, 30",
    *(status for status in wire.STATUSES if " " in status), *failures.REFUSALS,
]  # fmt: skip


def sources() -> Iterator[tuple[str, str]]:
    """Every file of the product with its text: no tests, no migrations (which tell how things were)."""
    folders = ("oms", "compliance", "ledger", "orders", "templates")
    files = [path for folder in folders for kind in CODE for path in (ROOT / folder).rglob(kind)]
    for path in sorted({*files, ROOT / "manage.py", ROOT / "pyproject.toml"}):
        if not {"tests", "migrations"} & set(path.parts):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def that_say(words: list[str]) -> dict[str, list[str]]:
    """The files outside OWN in which one of the words stands, with those that do."""
    found = {
        name: [word for word in words if re.search(rf"(?<![a-z]){re.escape(word)}", text, re.IGNORECASE)]
        for name, text in sources()
        if not name.startswith(OWN)
    }
    return {name: said for name, said in found.items() if said}


def checklist(broker: str) -> list[str]:
    """The places that the page lists, for a broker of this name."""
    return [
        place.replace("<broker>", broker) for place in re.findall(r"^- \[ \] `([^`]+)`", PAGE.read_text(), re.MULTILINE)
    ]


def code_places(broker: str) -> set[str]:
    """Those of the list that are code and no folder of the broker's own."""
    return {place for place in checklist(broker) if not place.endswith(("/", ".md"))}


def test_the_list_is_what_kite_took() -> None:
    assert checklist("kite")
    for place in checklist("kite"):
        assert (ROOT / place.replace("tests/brokers/kite/", "tests/brokers/")).exists(), place
    assert that_say(["kite", "zerodha"]).keys() == code_places("kite")


def test_the_made_up_broker_took_no_more() -> None:
    """It registers itself in the tests only, so that the product says nothing of it and trades through it all the same."""
    assert that_say(["made.up", "madeup"]) == {}
    patched = re.findall(r"monkeypatch\.\w+\((\S+),", (ROOT / "orders/tests/brokers/made_up/conftest.py").read_text())
    assert patched == ["registry.KINDS", "broker_rules.RULES"], "what `register` in the registry fills"


@pytest.mark.parametrize("word", WORDS)
def test_no_neutral_room_speaks_kite(word: str) -> None:
    assert {name: said for name, said in that_say([word]).items() if name not in code_places("kite")} == {}


def test_the_search_finds_what_it_looks_for() -> None:
    """In the adapter every word is there, so that none of the searches above is one that cannot fail."""
    adapter = "".join(text for name, text in sources() if name.startswith(OWN))
    assert [word for word in WORDS if word.lower() not in adapter.lower()] == []


def test_every_registered_kind_can_be_chosen_and_fits_its_column() -> None:
    column = BrokerAccount._meta.get_field("kind")
    assert {kind for kind, _ in column.choices or ()} == KINDS.keys()
    for kind in KINDS:
        assert re.fullmatch("[A-Z]+", kind), "the addresses say it in small letters"
        assert len(kind) <= column.max_length
