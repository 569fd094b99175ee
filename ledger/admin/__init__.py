"""Admin pages of capital, positions, instruments and rates. Loaded by Django's autodiscovery."""

from ledger.admin import capital, instruments, positions, rates

__all__ = ["capital", "instruments", "positions", "rates"]
