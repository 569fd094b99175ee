"""Pages of recorded facts: lists and a detail page that show and never edit.

A detail page is `sections`: titles with the names of fields, or of methods of the admin class.
What may be done about a fact stands in `actions_detail`, as dialogs that call a service.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import ForeignKey, Model, Q, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from oms.lib.admin.formats import EMPTY, value_html
from oms.lib.admin.keyset import KeysetChangeList

Sections = tuple[tuple[str, tuple[str, ...]], ...]


def link_to(row: Model | None, text: str = "") -> Any:
    """A link to a row's own page in the admin, or its text when it has none."""
    if row is None:
        return EMPTY
    try:
        url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return text or str(row)
    return format_html('<a class="oms-link" href="{}">{}</a>', url, text or row)


def find_uuid(queryset: "QuerySet[Any]", term: str, uuid_columns: tuple[str, ...], **otherwise: str) -> "QuerySet[Any]":
    """Rows that a UUID names in one of several indexed columns; for other terms, an exact match elsewhere."""
    try:
        wanted = UUID(term)
    except ValueError:
        return queryset.filter(**otherwise) if otherwise else queryset.none()
    condition = Q()
    for column in uuid_columns:
        condition |= Q(**{column: wanted})
    return queryset.filter(condition)


def is_among(queryset: "QuerySet[Any]", pk: Any) -> bool:
    """Whether the row that an address names is one of these; an address that could name no row at all is not."""
    try:
        return bool(queryset.filter(pk=pk).exists())
    except (ValueError, ValidationError):
        return False


class RecordAdmin(ModelAdmin):
    """Rows that nobody adds, edits or deletes here. `sections` lays out the page of one."""

    actions = None
    list_per_page = 50
    list_filter_submit = True
    list_fullwidth = True
    sortable_by = ()
    sections: Sections = ()
    change_form_template = "admin/record.html"
    show_facets = "NEVER"

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> list[Any]:
        """As declared, where a column made by `formats` is named by its function's name."""
        wanted = super().get_list_display_links(request, list_display)
        return [c for c in list_display if c in wanted or getattr(c, "__name__", "") in wanted]

    def get_fields(self, _request: HttpRequest, _obj: Any = None) -> Iterable[str]:
        """Nothing through Django's form: the page is laid out by `sections`."""
        return ()

    def sections_of(self, row: Any) -> list[dict[str, Any]]:
        """The titles, labels and formatted values of one row's page."""
        return [
            {"title": title, "values": [(self._label(name), self._value(row, name)) for name in names]}
            for title, names in self.sections
        ]

    def _label(self, name: str) -> str:
        method = getattr(self, name, None)
        if method is not None:
            return str(getattr(method, "short_description", name.replace("_", " ")))
        return str(getattr(self.model._meta.get_field(name), "verbose_name", name))

    def _value(self, row: Any, name: str) -> Any:
        method = getattr(self, name, None)
        if method is not None:
            return method(row)
        try:
            field = self.model._meta.get_field(name)
        except FieldDoesNotExist:
            return value_html(getattr(row, name))
        if isinstance(field, ForeignKey):
            return link_to(getattr(row, name))
        return value_html(getattr(row, name), field)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> TemplateResponse:
        row = kwargs.get("obj")
        context["sections"] = self.sections_of(row) if row is not None else []
        context["title"] = str(row)
        answer: TemplateResponse = super().render_change_form(request, context, *args, **kwargs)
        return answer


class LogAdmin(RecordAdmin):
    """Rows without number: pages by key, never counted. `keyset` is the one order, and ends in a unique column."""

    keyset: tuple[str, ...] = ("-id",)
    show_full_result_count = False

    def get_changelist(self, _request: HttpRequest, **_kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def get_ordering(self, _request: HttpRequest) -> tuple[str, ...]:
        return self.keyset

    def find(self, _request: HttpRequest, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        """Rows that a search term names exactly. Overridden per model: only what an index can answer."""
        return queryset.none() if term else queryset

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        term = search_term.strip()
        return (self.find(request, queryset, term) if term else queryset), False
