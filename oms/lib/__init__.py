"""What every app may use and no business word appears in: time, money, ids, rows, errors, actors."""
