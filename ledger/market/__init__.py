"""The market as far as an account needs it: which days and hours an exchange trades, what comes next, and prices."""
