"""Buttons that change something: always a dialog with a mandatory reason, always a POST, always one service call.

The service opens its own durable transaction: an action has a URL of its own, outside the admin's.
A refusal by the rules is shown in the dialog, with what was typed still there.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from oms.lib.errors import DomainError
from oms.lib.validation import LONGEST_REASON

DIALOG = "unfold/helpers/dialog.html"


class ReasonForm(BaseDialogForm):
    """A dialog that asks why. Subclasses add what else the service needs, and the order of fields."""

    form_before_template = "admin/dialog_errors.html"
    field_order: tuple[str, ...] | None = None

    reason = forms.CharField(
        max_length=LONGEST_REASON,
        min_length=5,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept for ever with the change, beside your name.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.visible_fields()[0].field.widget.attrs["autofocus"] = True

    def get_before_template_context(self, _request: HttpRequest, _object_id: Any = None) -> dict[str, Any]:
        return {"errors": self.non_field_errors()}

    def values(self) -> dict[str, Any]:
        """What was typed, the reason with it, by field."""
        return {name: value for name, value in self.cleaned_data.items() if name != "_form_submitted"}


def go(request: HttpRequest, url: str = "") -> HttpResponse:
    """Close the dialog by going to `url`, or back to the page that it was opened on."""
    current = request.headers.get("HX-Current-URL", "") or request.headers.get("Referer", "")
    if not url and url_has_allowed_host_and_scheme(current, {request.get_host()}):
        url = current
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url or "/admin/"})
    return HttpResponseRedirect(url or "/admin/")


def go_to(request: HttpRequest, row: Model, message: str) -> HttpResponse:
    """Close the dialog by going to the page of a row that the service made."""
    messages.success(request, message)
    return go(request, reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk]))


def holders_of(permission: str) -> Callable[[Any, HttpRequest, Any], bool]:
    """A `has_…_permission` of an admin class: those who hold this Django permission."""

    def has_permission(_admin: Any, request: HttpRequest, _object_id: Any = None) -> bool:
        return request.user.has_perm(permission)

    return has_permission


def service_action(
    description: str,
    *,
    permission: str,
    form: type[ReasonForm] = ReasonForm,
    text: str = "",
    button: str = "",
    icon: str = "",
    danger: bool = False,
) -> Callable[[Callable[..., str | HttpResponse]], Any]:
    """Make a method an unfold action. It gets (request, form[, object_id]), calls one service, and returns
    what to tell the user, or a response of its own. `permission` names a `has_…_permission` of the admin class: a
    Django permission's own name would be looked up by unfold's checks before there is a database.
    """
    dialog = {"title": description, "description": text, "form_class": form, "form_submit_text": button or description}

    def decorator(method: Callable[..., str | HttpResponse]) -> Any:
        @wraps(method)
        def run(admin: Any, request: HttpRequest, form: ReasonForm, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                outcome = method(admin, request, form, *args, **kwargs)
            except DomainError as refusal:
                form.add_error(None, refusal.detail)
                for error in refusal.errors:
                    name = error.pointer.lstrip("/")
                    form.add_error(name if name in form.fields else None, error.message)
                context = {"dialog": dialog, "form": form, "form_submit_text": dialog["form_submit_text"]}
                return render(request, DIALOG, context, status=200)
            if isinstance(outcome, HttpResponse):
                return outcome
            messages.success(request, outcome)
            return go(request)

        variant = ActionVariant.DANGER if danger else ActionVariant.DEFAULT
        return action(
            run, description=description, permissions=[permission], icon=icon or None, variant=variant, dialog=dialog
        )

    return decorator
