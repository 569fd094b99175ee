"""The proof of the buckets (0002) reads a handful of rows, whatever the planner believes of the tables.

plpgsql plans each query once per connection. Planned while the ledger was nearly empty, the old queries read all
entries of the account at each order. Now every look-up is by equality on a unique index, planned with
`enable_seqscan` off, and the index on the account alone, the one wrong choice left, is gone.

The deferred proof stands on the account's row only, so that a list of 500 entries is proved once and not 501 times.
An entry whose account has not been written yet touches that row, so that its proof falls due in the same transaction.
"""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

DROP = "DROP FUNCTION ledger_account_proved() CASCADE; DROP FUNCTION ledger_entries_continue() CASCADE;"
PROOF = """
CREATE FUNCTION ledger_entries_continue() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    entry record;
    found_before record;
BEGIN
    -- Only an entry that does not visibly continue its neighbour of the same statement is looked at further:
    -- the first one of each account, and a wrong one.
    FOR entry IN
        SELECT * FROM (
            SELECT capital_account_id AS account, seq, kind,
                   ROW(seq, free, reserved, allocated) AS before,
                   lag(ROW(seq + 1, free_after, reserved_after, allocated_after)) OVER one_by_one AS neighbour,
                   free, reserved, allocated,
                   max(seq) OVER (PARTITION BY capital_account_id) AS last_seq
            FROM (
                SELECT *,
                       free_after - amount * ((credit = 'FREE')::int - (debit = 'FREE')::int) AS free,
                       reserved_after - amount * ((credit = 'RESERVED')::int - (debit = 'RESERVED')::int) AS reserved,
                       allocated_after - amount * ((credit = 'ALLOCATED')::int - (debit = 'ALLOCATED')::int)
                           AS allocated
                FROM new_entries
            ) AS with_what_was_before
            WINDOW one_by_one AS (PARTITION BY capital_account_id ORDER BY seq)
        ) AS side_by_side
        WHERE before IS DISTINCT FROM neighbour
    LOOP
        IF entry.seq = 1 THEN
            SELECT 0.0 AS free_after, 0.0 AS reserved_after, 0.0 AS allocated_after INTO found_before;
        ELSE
            SELECT free_after, reserved_after, allocated_after INTO found_before FROM ledger_capitalentry
            WHERE capital_account_id = entry.account AND seq = entry.seq - 1;
        END IF;
        IF (found_before.free_after, found_before.reserved_after, found_before.allocated_after)
           IS DISTINCT FROM (entry.free, entry.reserved, entry.allocated) THEN
            RAISE EXCEPTION 'entry % (%) of capital account % does not continue the one before it',
                entry.seq, entry.kind, entry.account USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        UPDATE ledger_capitalaccount SET entry_seq = entry_seq
        WHERE id = entry.account AND entry_seq < entry.last_seq;
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER entries_continue AFTER INSERT ON ledger_capitalentry
    REFERENCING NEW TABLE AS new_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_continue();

CREATE FUNCTION ledger_account_proved() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    account ledger_capitalaccount;
    last record;
BEGIN
    SELECT * INTO account FROM ledger_capitalaccount WHERE id = NEW.id;
    IF NOT FOUND THEN
        RETURN NULL;  -- gone in the same transaction, which it can only be without entries
    END IF;
    IF account.entry_seq = 0 THEN
        SELECT 0.0 AS free_after, 0.0 AS reserved_after, 0.0 AS allocated_after INTO last;
    ELSE
        SELECT free_after, reserved_after, allocated_after INTO last FROM ledger_capitalentry
        WHERE capital_account_id = account.id AND seq = account.entry_seq;
    END IF;
    PERFORM FROM ledger_capitalentry WHERE capital_account_id = account.id AND seq = account.entry_seq + 1;
    IF FOUND OR (last.free_after, last.reserved_after, last.allocated_after)
                IS DISTINCT FROM (account.free, account.reserved, account.allocated) THEN
        RAISE EXCEPTION 'the buckets of capital account % are not the sum of its entries', account.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER account_proved AFTER INSERT OR UPDATE ON ledger_capitalaccount
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_account_proved();
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_alter_instrument_exchange")]
    operations = [
        migrations.RunSQL(DROP + PROOF, DROP + import_module("ledger.migrations.0002_bucket_proof").PROOF),
        migrations.AlterField(
            model_name="capitalentry",
            name="capital_account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="ledger.capitalaccount",
            ),
        ),
    ]
