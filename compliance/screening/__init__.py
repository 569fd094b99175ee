"""Pre-trade screening: pure rules over gathered facts. What is gathered, and how, is the caller's affair."""
