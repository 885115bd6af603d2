"""Comparisons with a plain implementation: what the numbers in README.md come from."""
