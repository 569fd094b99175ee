"""Form fields made from a model's own columns, in the look of the site, so that a length or a choice is said once."""

from typing import Any

from django import forms
from django.db import models
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget


def column_field(model: type[models.Model], name: str, **options: Any) -> Any:
    """The form field of a column: a list of its choices, a number, or a line of text."""
    column = model._meta.get_field(name)
    widget: type[forms.Widget] = UnfoldAdminTextInputWidget
    if getattr(column, "choices", None):
        widget = UnfoldAdminSelectWidget
    elif isinstance(column, models.IntegerField):
        widget = UnfoldAdminIntegerFieldWidget
    return column.formfield(**({"widget": widget} | options))  # type: ignore[union-attr]
