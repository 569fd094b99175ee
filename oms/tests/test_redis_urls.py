"""One Redis URL, spelled for each of its readers."""

import pytest

from oms.lib import redis_urls


@pytest.mark.parametrize(
    ("url", "number", "other", "broker"),
    [
        ("redis://h:6379", 0, "redis://h:6379/5", "redis://h:6379"),
        ("redis://:p%40ss@h:6379/3", 3, "redis://:p%40ss@h:6379/5", "redis://:p%40ss@h:6379/3"),
        ("rediss://h/2?ssl_cert_reqs=none", 2, "rediss://h/5?ssl_cert_reqs=none", "rediss://h/2?ssl_cert_reqs=none"),
        ("unix:///run/v.sock", 0, "unix:///run/v.sock?db=5", "redis+socket:///run/v.sock?virtual_host=0"),
        ("unix:///run/v.sock?db=2", 2, "unix:///run/v.sock?db=5", "redis+socket:///run/v.sock?virtual_host=2"),
    ],
)
def test_spellings(url: str, number: int, other: str, broker: str) -> None:
    assert redis_urls.database(url) == number
    assert redis_urls.with_database(url, 5) == other
    assert redis_urls.database(other) == 5
    assert redis_urls.celery_broker(url) == broker
