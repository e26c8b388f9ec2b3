"""Preferences of many: simulated annotators, win rates, plain and at equal lengths."""
