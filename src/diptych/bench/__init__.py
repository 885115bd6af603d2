"""Trains and scores many methods alike, and prints the papers' tables."""
