"""Redis URLs as their three readers spell them: redis-py and Django's cache, Celery's transport.

`redis://…/N`, `rediss://…/N` and `unix:///path?db=N` go in. Connections belong to `oms/lib/redis.py`.
"""

from urllib.parse import parse_qsl, urlencode, urlsplit


def database(url: str) -> int:
    """The number of the database that `url` names; 0 when it names none."""
    parts = urlsplit(url)
    named = dict(parse_qsl(parts.query)).get("db") or parts.path.strip("/")
    return int(named) if named.isdigit() else 0


def with_database(url: str, number: int) -> str:
    """The same server, another database."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "db"]
    path = parts.path
    if parts.scheme == "unix":
        query.append(("db", str(number)))
    else:
        path = f"/{number}"
    # Not urlunsplit, which loses the empty host of unix:///path.
    return f"{parts.scheme}://{parts.netloc}{path}" + (f"?{urlencode(query)}" if query else "")


def celery_broker(url: str) -> str:
    """As Celery wants it: a socket is `redis+socket://` and its database a `virtual_host`."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    return f"redis+socket://{parts.path}?virtual_host={database(url)}"
