"""Judges: of pairs, of single answers, of single constraints; and how far they agree with people."""
