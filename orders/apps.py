"""Orders as a Django app. Whoever places an order must know whom to hint at: the tasks are loaded here."""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"

    def ready(self) -> None:
        from orders import tasks  # noqa: F401  registers what listens to hints
