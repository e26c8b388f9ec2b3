"""Reward models: as scorers, their data, their losses, small ones of our own."""
