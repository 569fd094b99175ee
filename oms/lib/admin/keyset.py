"""Lists of millions of rows: no COUNT, and every page reached through the index from the row before it.

A page is named by the row that it follows or precedes (`?p=after:…`), so page 40,000 costs what
page 1 costs. The parameter is Django's own `p`, which every filter and search link already drops.
"""

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

AFTER, BEFORE = "after", "before"
SEPARATOR = "~"


class KeysetPaginator(Paginator[Any]):
    """Stands where Django's templates expect a paginator; counts nothing."""

    template_name = "admin/keyset_pagination.html"
    count = 0


class KeysetChangeList(ChangeList):
    """A change list in the order of `model_admin.keyset`, e.g. ("-created_at", "-id"); no other order."""

    result_list: list[Model]
    newer_url = older_url = ""

    def get_ordering(self, _request: HttpRequest, _queryset: QuerySet[Any]) -> list[str]:
        return list(self.model_admin.keyset)

    def get_results(self, request: HttpRequest) -> None:
        direction, _, cursor = request.GET.get(PAGE_VAR, "").partition(":")
        rows, more = self._page(direction, cursor)
        before = bool(cursor) if direction == AFTER else more and direction == BEFORE
        after = more if direction != BEFORE else True
        if rows and before:
            self.newer_url = self.get_query_string({PAGE_VAR: f"{BEFORE}:{self._cursor(rows[0])}"})
        if rows and after:
            self.older_url = self.get_query_string({PAGE_VAR: f"{AFTER}:{self._cursor(rows[-1])}"})
        self.first_url = self.get_query_string(remove=[PAGE_VAR]) if cursor else ""
        self.result_list = rows
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(rows)
        self.paginator = KeysetPaginator(rows, self.list_per_page)

    def _page(self, direction: str, cursor: str) -> tuple[list[Model], bool]:
        """One page in list order, and whether more rows follow in the direction of reading."""
        queryset, ordering = self.queryset, list(self.model_admin.keyset)
        backwards = direction == BEFORE
        if cursor:
            queryset = queryset.filter(self._beyond(cursor, backwards=backwards))
        if backwards:
            ordering = [name[1:] if name.startswith("-") else f"-{name}" for name in ordering]
        rows = list(queryset.order_by(*ordering)[: self.list_per_page + 1])
        more = len(rows) > self.list_per_page
        rows = rows[: self.list_per_page]
        return (rows[::-1] if backwards else rows), more

    def _cursor(self, row: Model) -> str:
        values = (getattr(row, name.lstrip("-")) for name in self.model_admin.keyset)
        return SEPARATOR.join(v.isoformat() if hasattr(v, "isoformat") else str(v) for v in values)

    def _beyond(self, cursor: str, *, backwards: bool) -> Q:
        """Rows past the cursor. The first column is bounded on its own, which is what the index reads by."""
        keyset = self.model_admin.keyset
        texts = cursor.split(SEPARATOR)
        if len(texts) != len(keyset):
            raise IncorrectLookupParameters("not a position in this list")
        condition, equal = Q(), Q()
        for position, (name, text) in enumerate(zip(keyset, texts, strict=True)):
            field = self.opts.get_field(name.lstrip("-"))
            try:
                value = field.to_python(text)
            except ValidationError as wrong:
                raise IncorrectLookupParameters(str(wrong)) from wrong
            step = "lt" if name.startswith("-") != backwards else "gt"
            condition |= equal & Q(**{f"{field.name}__{step}": value})
            equal &= Q(**{field.name: value})
            if position == 0:
                bound = Q(**{f"{field.name}__{step}e": value})
        return bound & condition
