"""Gathering what is wrong with the fields of a request, so that one answer names them all. Knows no rule itself."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from oms.lib.errors import Conflict, FieldError, Invalid

#: Characters of a reason, as the columns and the dialogs have them.
LONGEST_REASON = 300


class Faults:
    """The wrong fields of one request."""

    def __init__(self) -> None:
        self.found: list[FieldError] = []

    def note(self, pointer: str, code: str, message: str) -> None:
        """The field is wrong."""
        self.found.append(FieldError(pointer, code, message))

    def unless(self, holds: bool, pointer: str, code: str, message: str) -> None:
        """Note the field as wrong where the rule does not hold."""
        if not holds:
            self.note(pointer, code, message)

    def reason(self, text: str) -> str:
        """The reason without the space around it; noted when there is none, or more of it than is kept."""
        why = text.strip()
        self.unless(bool(why), "/reason", "required", "Say why: it is kept with the change.")
        message = f"At most {LONGEST_REASON} characters, these are {len(why)}: say it shorter."
        self.unless(len(why) <= LONGEST_REASON, "/reason", "max_length", message)
        return why

    def columns(self, row: models.Model, *names: str) -> None:
        """Note what the columns' own types, lengths and choices refuse of the named ones."""
        others = {field.name for field in row._meta.fields} - set(names)
        try:
            row.clean_fields(exclude=others)
        except ValidationError as refusal:
            for name, errors in refusal.error_dict.items():
                self.found += [FieldError(f"/{name}", str(e.code), message) for e in errors for message in e.messages]

    def refuse(self, detail: str) -> None:
        """Raise Invalid when anything was noted."""
        if self.found:
            raise Invalid(detail, errors=tuple(self.found))


def insert_once(row: models.Model, pointer: str, message: str) -> None:
    """Insert a row whose name nobody else may have; Conflict at `pointer` when somebody does."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise Conflict(message, code="taken", errors=(FieldError(pointer, "taken", message),)) from None


def changed(row: models.Model, changes: dict[str, Any]) -> dict[str, Any]:
    """Those of `changes` that are not so already. Raises Invalid when nothing would change."""
    different = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if not different:
        raise Invalid("Nothing would change.", code="nothing_changed")
    return different
