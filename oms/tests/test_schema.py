"""The API's description of itself: valid OpenAPI 3.1, true to the contract, and true to what the API does."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from compliance.api.logins import log_in
from oms.tests.api_cast import Cast, as_trader, cast, fill, placed

__all__ = ["as_trader", "cast", "placed"]

#: The contract's own names, from the product's requirements.
CREATE_REQUIRED = {"accountId", "symbol", "side", "type", "quantity"}
CREATE_OPTIONAL = {"price", "stopPrice", "timeInForce", "strategyId", "notes"}
UPDATE = {"action", "price", "quantity", "stopPrice", "notes"}
ORDER = {
    "id", "accountId", "symbol", "side", "type", "status", "quantity", "filledQuantity", "price", "stopPrice",
    "averageExecutionPrice", "timeInForce", "strategyId", "brokerOrderId", "rejectionReason", "notes", "createdAt",
    "updatedAt", "executionReports",
}  # fmt: skip
EXECUTION = {"id", "executionId", "quantity", "price", "timestamp", "fees", "venue"}
LIST_PARAMETERS = {"status", "accountId", "symbol", "fromDate", "toDate", "page", "size"}
PAGE = {"content", "page", "size", "totalElements", "totalPages"}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    answer = Client().get("/api/v1/schema", HTTP_ACCEPT="application/vnd.oai.openapi+json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def test_it_is_valid_openapi_3_1(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    validate_schema(schema)


def test_every_operation_has_a_name_a_summary_a_success_and_the_problem_document(schema: dict[str, Any]) -> None:
    names = []
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            names.append(operation["operationId"])
            assert operation.get("description"), (method, path)
            assert any(code.startswith("2") for code in operation["responses"]), (method, path)
            assert "application/problem+json" in operation["responses"]["default"]["content"], (method, path)
    assert len(names) == len(set(names)) > 20
    assert {"createOrder", "listOrders", "getOrder", "updateOrder"} <= set(names)


def test_the_contracts_shapes_are_kept(schema: dict[str, Any]) -> None:
    shapes = schema["components"]["schemas"]
    create = shapes["PlaceOrderRequest"]
    assert set(create["required"]) == CREATE_REQUIRED
    assert create["properties"].keys() >= CREATE_REQUIRED | CREATE_OPTIONAL
    assert shapes["UpdateOrderRequest"]["properties"].keys() >= UPDATE
    assert shapes["OrderDocument"]["properties"].keys() >= ORDER
    assert shapes["ExecutionDocument"]["properties"].keys() >= EXECUTION
    assert shapes["OrderPage"]["properties"].keys() == PAGE
    listing = schema["paths"]["/api/v1/orders"]["get"]["parameters"]
    assert {parameter["name"] for parameter in listing} >= LIST_PARAMETERS


def test_numbers_are_numbers(schema: dict[str, Any]) -> None:
    shapes = schema["components"]["schemas"]
    assert shapes["OrderDocument"]["properties"]["price"]["type"] == "number"
    kinds = [one["type"] for one in shapes["PlaceOrderRequest"]["properties"]["price"]["oneOf"]]
    assert kinds == ["number", "string"]


def test_the_docs_page_loads_nothing_from_elsewhere() -> None:
    page = Client().get("/api/v1/docs").content.decode()
    assert "swagger-ui" in page
    assert "//cdn" not in page
    assert 'src="http' not in page
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js"):
        answer = Client().get(f"/static/drf_spectacular_sidecar/swagger-ui-dist/{asset}")
        assert answer.status_code == 200
        assert len(b"".join(answer)) > 10_000


def _operations() -> list[Any]:
    loaded = schemathesis.openapi.from_wsgi("/api/v1/schema", get_wsgi_application())
    return [operation.ok() for operation in loaded.get_all_operations()]


OPERATIONS = _operations()


@pytest.fixture
def connection_kept() -> Iterator[None]:
    """A WSGI application closes a connection that is inside a transaction, as this test's is; the test client's does not."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_whatever_is_sent_the_answer_is_as_described(
    cast: Cast, placed: dict[str, Any], connection_kept: None, operation: Any, mode: schemathesis.GenerationMode
) -> None:
    """Generated requests, good and bad, by somebody who may do everything to an order that exists."""
    fill(placed["id"], (4, "999.90"))
    token = log_in(cast.operator).access
    real = {"order_id": placed["id"], "portfolio_id": cast.portfolio.code, "exchange": "NSE", "symbol": "SBIN"}

    @settings(
        max_examples=10, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        for name in case.path_parameters or {}:
            case.path_parameters[name] = real[name]
        case.call_and_validate(
            headers={"Authorization": f"Bearer {token}"},
            checks=[
                not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
            ],
        )  # fmt: skip

    ask()
