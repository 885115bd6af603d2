"""Plain implementations, written from the papers alone, to compare with."""
