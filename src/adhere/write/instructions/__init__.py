"""Instruction search: write many, score each on pairs, keep the best (APE, INSTINCT)."""
