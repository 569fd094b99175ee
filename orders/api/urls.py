"""The order endpoints under /api/v1/."""

from django.urls import path

from orders.api import cancel_all, events, one_order, order_reports, placing, statistics

urlpatterns = [
    path("orders", placing.OrdersView.as_view(), name="orders"),
    path("orders/cancel-all", cancel_all.CancelAllView.as_view(), name="orders-cancel-all"),
    path("orders/statistics", statistics.StatisticsView.as_view(), name="orders-statistics"),
    path("orders/daily-statistics", statistics.DailyStatisticsView.as_view(), name="orders-daily-statistics"),
    path("orders/<uuid:order_id>", one_order.OrderView.as_view(), name="order"),
    path("orders/<uuid:order_id>/cancel", one_order.CancelView.as_view(), name="order-cancel"),
    path("orders/<uuid:order_id>/status", order_reports.StatusView.as_view(), name="order-status"),
    path("orders/<uuid:order_id>/history", events.HistoryView.as_view(), name="order-history"),
    path("orders/<uuid:order_id>/executions", order_reports.ExecutionsView.as_view(), name="order-executions"),
    path(
        "orders/<uuid:order_id>/execution-report",
        order_reports.ExecutionReportView.as_view(),
        name="order-execution-report",
    ),
    path("order-events/audit-trail/<uuid:order_id>", events.AuditTrailView.as_view(), name="audit-trail"),
]
