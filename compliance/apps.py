"""Compliance as a Django app: its name and nothing else."""

from django.apps import AppConfig


class ComplianceConfig(AppConfig):
    name = "compliance"
