"""What a check found. Nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not be: its name, and each place where it is."""

    rule: str
    wrong: tuple[str, ...]


def finding(rule: str, wrong: Iterable[object]) -> Finding:
    """A finding of whatever is wrong, as text."""
    return Finding(rule, tuple(str(one) for one in wrong))
