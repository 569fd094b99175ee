"""The database proves that every capital account's buckets are the sum of its entries.

By induction, so that the cost does not grow with the ledger: each entry must continue the one
before it (same account, seq - 1), and at commit the account must stand where its last entry says.
"""

from django.db import migrations

PROOF = """
CREATE FUNCTION ledger_entries_continue() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bad record;
BEGIN
    SELECT n.capital_account_id, n.seq, n.kind INTO bad
    FROM new_entries n
    LEFT JOIN ledger_capitalentry p ON p.capital_account_id = n.capital_account_id AND p.seq = n.seq - 1
    WHERE (n.seq > 1 AND p.id IS NULL) OR n.seq < 1
       OR n.free_after <> coalesce(p.free_after, 0)
            + n.amount * ((n.credit = 'FREE')::int - (n.debit = 'FREE')::int)
       OR n.reserved_after <> coalesce(p.reserved_after, 0)
            + n.amount * ((n.credit = 'RESERVED')::int - (n.debit = 'RESERVED')::int)
       OR n.allocated_after <> coalesce(p.allocated_after, 0)
            + n.amount * ((n.credit = 'ALLOCATED')::int - (n.debit = 'ALLOCATED')::int)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % (%) of capital account % does not continue the one before it',
            bad.seq, bad.kind, bad.capital_account_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER entries_continue AFTER INSERT ON ledger_capitalentry
    REFERENCING NEW TABLE AS new_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_continue();

CREATE FUNCTION ledger_account_proved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
BEGIN
    account := CASE TG_TABLE_NAME WHEN 'ledger_capitalentry' THEN (to_jsonb(NEW) ->> 'capital_account_id')::bigint
                                  ELSE (to_jsonb(NEW) ->> 'id')::bigint END;
    PERFORM 1
    FROM ledger_capitalaccount a
    LEFT JOIN ledger_capitalentry e ON e.capital_account_id = a.id AND e.seq = a.entry_seq
    WHERE a.id = account
      AND a.free = coalesce(e.free_after, 0)
      AND a.reserved = coalesce(e.reserved_after, 0)
      AND a.allocated = coalesce(e.allocated_after, 0)
      AND (a.entry_seq = 0 OR e.id IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM ledger_capitalentry later
                      WHERE later.capital_account_id = a.id AND later.seq = a.entry_seq + 1);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the buckets of capital account % are not the sum of its entries', account
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER account_proved AFTER INSERT ON ledger_capitalentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_account_proved();
CREATE CONSTRAINT TRIGGER account_proved AFTER INSERT OR UPDATE ON ledger_capitalaccount
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_account_proved();
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [
        migrations.RunSQL(
            PROOF,
            "DROP FUNCTION ledger_account_proved() CASCADE; DROP FUNCTION ledger_entries_continue() CASCADE",
        ),
    ]
