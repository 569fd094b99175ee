"""The chain of an account cannot fork: the event itself moves the head, and nothing else does.

An event of no order is one compare-and-set of its account's head: who recorded from a head that is no longer
the last is refused, on whatever day the event falls (the unique index holds the trade date, so it alone saw only
twins of one day). The head follows recorded events step by step and can neither be set nor saved back.

Events of orders do not pass here: their heads travel with the order's row, which `every_change_recorded` guards.
Both functions look rows up by an indexed key, and connections of the product read by index (ADR 16).
"""

from django.db import migrations

MOVE_HEAD = """
CREATE FUNCTION compliance_orderevent_move_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE compliance_account SET event_seq = NEW.seq, event_hash = NEW.hash
    WHERE id = NEW.account_id AND event_seq = NEW.seq - 1 AND event_hash = NEW.prev_hash;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'event % of account % does not follow the head of its chain', NEW.seq, NEW.account_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

-- Each partition has the trigger as its own, like the other guards: a parent's is lost on DETACH.
CREATE FUNCTION compliance_move_heads_from(partition regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER move_head AFTER INSERT ON %s FOR EACH ROW WHEN (NEW.order_id IS NULL)
                    EXECUTE FUNCTION compliance_orderevent_move_head()', partition);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER move_head', partition);
END $$;

SELECT compliance_move_heads_from(inhrelid) FROM pg_inherits WHERE inhparent = 'compliance_orderevent'::regclass;

-- The maker of partitions does as before, and adds the new trigger to what it made.
ALTER FUNCTION compliance_create_event_partition(date) RENAME TO compliance_create_bare_event_partition;
CREATE FUNCTION compliance_create_event_partition(month date) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name text := 'compliance_orderevent_' || to_char(month, 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NULL THEN
        name := compliance_create_bare_event_partition(month);
        PERFORM compliance_move_heads_from(name::regclass);
    END IF;
    RETURN name;
END $$;
"""

GUARD_HEAD = """
CREATE FUNCTION compliance_account_guard_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id AND NEW.event_seq = OLD.event_seq + 1 AND EXISTS (
        SELECT 1 FROM compliance_orderevent
        WHERE order_id IS NULL AND account_id = NEW.id AND seq = NEW.event_seq
          AND prev_hash = OLD.event_hash AND hash = NEW.event_hash
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'account %: % refused, the head of its chain moves with its events alone',
        coalesce(OLD.code, NEW.code), TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER head_begins BEFORE INSERT ON compliance_account FOR EACH ROW
    WHEN (NEW.event_seq <> 0 OR NEW.event_hash <> decode(repeat('00', 32), 'hex'))
    EXECUTE FUNCTION compliance_account_guard_head();
CREATE TRIGGER head_follows BEFORE UPDATE ON compliance_account FOR EACH ROW
    WHEN ((OLD.id, OLD.event_seq, OLD.event_hash) IS DISTINCT FROM (NEW.id, NEW.event_seq, NEW.event_hash))
    EXECUTE FUNCTION compliance_account_guard_head();
-- Else an account of the same id could begin a second chain.
CREATE TRIGGER head_stays BEFORE DELETE ON compliance_account FOR EACH ROW WHEN (OLD.event_seq > 0)
    EXECUTE FUNCTION compliance_account_guard_head();
ALTER TABLE compliance_account ENABLE ALWAYS TRIGGER head_begins;
ALTER TABLE compliance_account ENABLE ALWAYS TRIGGER head_follows;
ALTER TABLE compliance_account ENABLE ALWAYS TRIGGER head_stays;
"""


class Migration(migrations.Migration):
    dependencies = [("compliance", "0003_house")]
    operations = [
        migrations.RunSQL(
            MOVE_HEAD,
            "DROP FUNCTION compliance_create_event_partition(date);"
            "ALTER FUNCTION compliance_create_bare_event_partition(date) RENAME TO compliance_create_event_partition;"
            "DROP FUNCTION compliance_move_heads_from(regclass);"
            "DROP FUNCTION compliance_orderevent_move_head() CASCADE",
        ),
        migrations.RunSQL(GUARD_HEAD, "DROP FUNCTION compliance_account_guard_head() CASCADE"),
    ]
