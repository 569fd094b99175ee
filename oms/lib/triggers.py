"""Database triggers that several tables share: facts that may be added but never taken back."""

import pgtrigger


def undeletable() -> list[pgtrigger.Trigger]:
    """Refuse DELETE and TRUNCATE."""
    return [
        pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete),
        pgtrigger.Trigger(
            name="no_truncate",
            when=pgtrigger.Before,
            operation=pgtrigger.Truncate,
            level=pgtrigger.Statement,
            func="RAISE EXCEPTION 'pgtrigger: Cannot truncate rows from % table', TG_TABLE_NAME;",
        ),
    ]


def append_only() -> list[pgtrigger.Trigger]:
    """Refuse UPDATE as well."""
    return [pgtrigger.Protect(name="no_update", operation=pgtrigger.Update), *undeletable()]
