"""Ledger as a Django app: its name and nothing else."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
