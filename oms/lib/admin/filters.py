"""Filters that an index can answer: days in IST as instants, and exact text."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateFilter, TextFilter

from oms.lib.clock import start_of_day


class IndianDays(RangeDateFilter):
    """From one day to another, both included, by the calendar in India, on a column of instants."""

    def queryset(self, _request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any] | None":
        for suffix, lookup, shift in (("_from", "gte", 0), ("_to", "lt", 1)):
            text = self.used_parameters.get(f"{self.parameter_name}{suffix}")
            if not text:
                continue
            try:
                day = date.fromisoformat(text)
            except ValueError:
                return None
            edge = start_of_day(day + timedelta(days=shift))
            queryset = queryset.filter(**{f"{self.parameter_name}__{lookup}": edge})
        return queryset


def exact(parameter: str, label: str, *, upper: bool = False) -> type[SimpleListFilter]:
    """A text filter that matches one column exactly."""

    class Exact(TextFilter):
        title = label
        parameter_name = parameter

        def queryset(self, _request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
            value = (self.value() or "").strip()
            return queryset.filter(**{parameter: value.upper() if upper else value}) if value else queryset

    return Exact


class OpenOnly(SimpleListFilter):
    """Open, closed or all; open to begin with. Subclasses name the condition of what is open."""

    title = "status"
    parameter_name = "open"
    condition: dict[str, Any] = {}

    def lookups(self, _request: HttpRequest, _model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("closed", "Closed"), ("all", "All")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield {
            "selected": self.value() is None,
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": "Open",
        }
        for value, title in self.lookup_choices:
            yield {
                "selected": self.value() == value,
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }

    def queryset(self, _request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        if self.value() == "all":
            return queryset
        return queryset.exclude(**self.condition) if self.value() == "closed" else queryset.filter(**self.condition)
