"""How long planning once holds, where no transaction is open: it must not outlive the round trip it was asked for."""

from oms.lib.db import PLANNED_ONCE, Read, read, read_all


def test_outside_a_transaction_it_holds_for_its_round_trip_and_no_longer(empty_db: None) -> None:
    mode = Read("SELECT current_setting('plan_cache_mode')", {}, lambda rows: rows[0][0])
    assert read_all(PLANNED_ONCE, mode)[1] == "force_generic_plan"
    assert read(mode) == "auto"
