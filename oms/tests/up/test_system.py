"""Which processes make up a running system, and what each is told."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from oms.up.embedded import Home
from oms.up.system import Addresses, child_environment, manage, services

ADDRESSES = Addresses(port=8000, exchange_port=8100, stream_port=8200)
ENVIRON = {"REDIS_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def described(home: Home, *, demo: bool = True, **environ: str) -> dict[str, list[str]]:
    """name → arguments, in the order of starting."""
    made: list[Any] = services(home, ADDRESSES, ENVIRON | environ, demo=demo)
    return {one.name: list(one._program().argv) for one in made}


def after(arguments: list[str], option: str) -> str:
    return arguments[arguments.index(option) + 1]


def test_the_exchange_is_part_of_the_demo_alone_and_started_first(home: Home) -> None:
    demo, real = described(home), described(home, demo=False)
    assert list(demo) == ["exchange", *real]
    assert "exchange" not in real


def test_every_queue_has_a_worker_and_orders_one_that_does_nothing_else(home: Home) -> None:
    queues = {name: after(argv, "--queues").split(",") for name, argv in described(home).items() if "worker" in argv}
    assert queues["worker-orders"] == ["orders"]
    assert sorted(queue for read in queues.values() for queue in read) == sorted(settings.QUEUES)


def test_all_listen_on_this_machine_only(home: Home) -> None:
    for name, port in (("web", 8000), ("stream", 8200)):
        argv = described(home)[name]
        assert (after(argv, "--host"), after(argv, "--port")) == ("127.0.0.1", str(port))
    assert {ADDRESSES.web, ADDRESSES.exchange, ADDRESSES.stream} == {
        f"http://127.0.0.1:{port}" for port in (8000, 8100, 8200)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "name", "option", "usual"),
    [
        ("OMS_WEB_WORKERS", "web", "--workers", "2"), ("OMS_WEB_THREADS", "web", "--blocking-threads", "4"),
        ("OMS_WORKER_CONCURRENCY", "worker-orders", "--concurrency", "2"),
    ],
)  # fmt: skip
def test_how_many_is_the_environments_to_say(home: Home, variable: str, name: str, option: str, usual: str) -> None:
    assert after(described(home)[name], option) == usual
    assert after(described(home, **{variable: "7"})[name], option) == "7"


def test_the_exchange_takes_options_as_a_shell_would_read_them(home: Home) -> None:
    argv = described(home, OMS_PAPER_OPTIONS='--seed 3 --candles "a file.csv"')["exchange"]
    assert (after(argv, "--seed"), after(argv, "--candles")) == ("3", "a file.csv")
    assert after(argv, "--postback-url").startswith(ADDRESSES.web)


def test_there_is_one_beat(home: Home) -> None:
    beats = [name for name, argv in described(home).items() if "beat" in argv]
    assert beats == ["beat"]


def test_what_is_shared_goes_before_what_is_ours(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://from/outside")
    monkeypatch.setenv("OMS_LOG_FORMAT", "json")
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    made = child_environment({"DATABASE_URL": "postgresql://the/home"}, home)
    assert made["DATABASE_URL"] == "postgresql://the/home"
    assert made["OMS_LOG_FORMAT"] == "json", "a person's wish goes before our usual"
    assert made["PROMETHEUS_MULTIPROC_DIR"].startswith(str(home.run))
    assert "superuser" in made["PYTHONWARNINGS"]


def test_nothing_that_listens_on_no_port_is_taken_for_ready(home: Home) -> None:
    made = {one.name: one for one in services(home, Addresses(1, 1, 1), ENVIRON, demo=True)}
    assert [name for name in ("exchange", "web", "stream", "worker-orders") if made[name].is_ready()] == []


def test_a_command_of_the_project_is_run_by_the_same_python(home: Home) -> None:
    program = manage("migrate", "--check", environ={"A": "b"})
    assert list(program.argv)[1:] == ["manage.py", "migrate", "--check"]
    assert program.env == {"A": "b"}
