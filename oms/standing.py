"""How the whole system stands right now, in numbers: for the metrics and for the health report."""

#: name → (help, label name or "", label value → number)
Gauges = dict[str, tuple[str, str, dict[str, float]]]


def gauges() -> Gauges:
    """Every gauge that Prometheus is shown. Raises DatabaseError or RedisError."""
    return {}
