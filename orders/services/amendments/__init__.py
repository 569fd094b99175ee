"""Changing and cancelling orders: asking, judging the new terms, sending, and what came of it."""
