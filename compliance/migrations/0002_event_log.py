"""The append-only event table, partitioned by month of the IST trade date.

Each partition has its own triggers, all ENABLE ALWAYS: a parent's row trigger is lost on DETACH,
its TRUNCATE trigger never fires for a partition, and an ordinary trigger is skipped under
`session_replication_role = replica`. There is no DEFAULT partition: a missing month is an error
that somebody notices, not a heap nobody can archive. No foreign key points here (it would block DETACH).
"""

from django.db import migrations

TABLE = """
CREATE TABLE compliance_orderevent (
    id bigint GENERATED ALWAYS AS IDENTITY,
    trade_date date NOT NULL,
    order_id uuid,
    account_id bigint NOT NULL,
    seq integer NOT NULL CHECK (seq > 0),
    event_type varchar(32) NOT NULL,
    actor_type varchar(10) NOT NULL,
    actor_id varchar(64) NOT NULL,
    session_id varchar(64) NOT NULL,
    api_key_id varchar(64) NOT NULL,
    source_ip varchar(45) NOT NULL,
    channel varchar(16) NOT NULL,
    recorded_at timestamptz NOT NULL,
    broker_time varchar(40) NOT NULL,
    c14n bytea NOT NULL,
    prev_hash bytea NOT NULL CHECK (octet_length(prev_hash) = 32),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    xid bigint NOT NULL,
    PRIMARY KEY (trade_date, id)
) PARTITION BY RANGE (trade_date);

-- The locked order (or account) row guards the sequence; these catch a writer that forgot to lock.
CREATE UNIQUE INDEX compliance_orderevent_order_seq
    ON compliance_orderevent (order_id, seq, trade_date) WHERE order_id IS NOT NULL;
CREATE UNIQUE INDEX compliance_orderevent_account_seq
    ON compliance_orderevent (account_id, seq, trade_date) WHERE order_id IS NULL;
CREATE INDEX compliance_orderevent_commit_order ON compliance_orderevent (xid, id);
"""

FUNCTIONS = """
CREATE FUNCTION compliance_orderevent_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.hash <> sha256('\\x00'::bytea || NEW.prev_hash || NEW.c14n) THEN
        RAISE EXCEPTION 'event %/%: hash does not match its content', NEW.order_id, NEW.seq
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.xid := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$;

CREATE FUNCTION compliance_orderevent_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% refused: recorded events are append-only (table %)', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON compliance_orderevent
    FOR EACH STATEMENT EXECUTE FUNCTION compliance_orderevent_refuse();
ALTER TABLE compliance_orderevent ENABLE ALWAYS TRIGGER refuse_truncate;

-- Creates the partition of a month if it is missing; returns its name.
CREATE FUNCTION compliance_create_event_partition(month date) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'compliance_orderevent_' || to_char(first, 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN name;
    END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF compliance_orderevent FOR VALUES FROM (%L) TO (%L)',
                   name, first, (first + interval '1 month')::date);
    EXECUTE format('CREATE TRIGGER check_insert BEFORE INSERT ON %I
                    FOR EACH ROW EXECUTE FUNCTION compliance_orderevent_check()', name);
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON %I
                    FOR EACH ROW EXECUTE FUNCTION compliance_orderevent_refuse()', name);
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION compliance_orderevent_refuse()', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER check_insert', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER refuse_change', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER refuse_truncate', name);
    RETURN name;
END $$;

SELECT compliance_create_event_partition(((now() AT TIME ZONE 'Asia/Kolkata')::date + make_interval(months => m))::date)
FROM generate_series(-1, 3) AS m;
"""


class Migration(migrations.Migration):
    dependencies = [("compliance", "0001_initial")]
    operations = [
        migrations.RunSQL(TABLE, "DROP TABLE compliance_orderevent"),
        migrations.RunSQL(
            FUNCTIONS,
            "DROP FUNCTION compliance_create_event_partition(date);"
            "DROP FUNCTION compliance_orderevent_check() CASCADE;"
            "DROP FUNCTION compliance_orderevent_refuse() CASCADE",
        ),
    ]
