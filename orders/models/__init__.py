"""Orders, their amendments and executions, and the broker accounts that they are sent through."""

from orders.models.amendments import Amendment
from orders.models.broker_accounts import BrokerAccount, Routing
from orders.models.executions import BrokerMessage, Execution
from orders.models.orders import Order

__all__ = ["Amendment", "BrokerAccount", "BrokerMessage", "Execution", "Order", "Routing"]
