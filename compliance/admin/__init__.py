"""Admin pages of accounts, controls, alerts and the event log. Loaded by Django's autodiscovery."""

from compliance.admin import accounts, alerts, events, kill_switches, limits

__all__ = ["accounts", "alerts", "events", "kill_switches", "limits"]
