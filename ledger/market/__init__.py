"""The market as far as an account needs it: prices, hours and the calendar."""
