"""Orders as a Django app: its name and nothing else."""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"
