"""Lists in numbered pages with totals, in the contract's form."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.db.models import QuerySet
from rest_framework import serializers

from oms.lib.api.shapes import Shape
from oms.lib.api.wire import Document

Row = TypeVar("Row")
MAX_SIZE = 200
MAX_PAGE = 100_000


class PageQuery(Shape):
    """`page` counts from 0."""

    page = serializers.IntegerField(min_value=0, max_value=MAX_PAGE, default=0, help_text="Counts from 0.")
    size = serializers.IntegerField(min_value=1, max_value=MAX_SIZE, default=20)


class Page(Shape):
    """Describes a numbered page; a subclass adds `content`."""

    page = serializers.IntegerField()
    size = serializers.IntegerField()
    total_elements = serializers.IntegerField()
    total_pages = serializers.IntegerField()


def page_of(
    rows: "QuerySet[Any, Row]", query: dict[str, Any], documents: Callable[[list[Row]], Iterable[Document]]
) -> Document:
    """One numbered page of an ordered queryset, in the contract's form (`content, page, size, totals`)."""
    page, size = query["page"], query["size"]
    total = rows.count()
    content = list(documents(list(rows[page * size : (page + 1) * size]))) if page * size < total else []
    return {
        "content": content,
        "page": page,
        "size": size,
        "totalElements": total,
        "totalPages": -(-total // size),
    }
