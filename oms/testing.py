"""The pytest plugin that gives the tests their PostgreSQL and Valkey.

The embedded servers start once per run, without durability, in a temporary home; parallel test
processes share them, each with a database and two Valkey databases of its own. DATABASE_URL and
REDIS_URL in the environment are used instead when they are set. Fixtures of the domain live in the
apps' own tests.
"""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from oms.lib import redis_urls
from oms.up import embedded


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A home that another account can get to, as root's PostgreSQL must; gone afterwards, wherever its data was."""
    with tempfile.TemporaryDirectory(prefix="oms-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        home = Path(folder) / "home"
        yield home
        if home.exists():
            embedded.Home(home).wipe()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Start the servers before pytest-django reads the settings, in the process that leads the run."""
    os.environ.setdefault("OMS_DEMO", "1")
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        stack = ExitStack()
        early_config.add_cleanup(stack.close)
        home = stack.enter_context(temporary_home())
        os.environ["OMS_HOME"] = str(home)
        os.environ.update(stack.enter_context(embedded.servers(home, durable=False)).env())
    else:
        mine = 2 * (int(worker.removeprefix("gw")) + 1)
        os.environ["REDIS_URL"] = redis_urls.with_database(os.environ["REDIS_URL"], mine)
    yield


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Browser tests need Debian's Chromium; the CI, which installs it, may not skip them."""
    if item.get_closest_marker("browser") and shutil.which("chromium") is None:
        if os.environ.get("OMS_REQUIRE_BROWSER"):
            pytest.fail("chromium is gone, and OMS_REQUIRE_BROWSER says that it must be there")
        pytest.skip("no chromium on this machine")


@pytest.fixture(autouse=True)
def _empty_valkey() -> Iterator[None]:
    """No test sees the keys of another."""
    from django.conf import settings

    yield
    own = redis_urls.database(settings.REDIS_URL)
    for number in (own, own + 1):
        with redis.Redis.from_url(redis_urls.with_database(settings.REDIS_URL, number)) as client:
            client.flushdb()
