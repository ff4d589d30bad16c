"""Exit codes of bench.py: all well, words that mean nothing, cells missing, something failed, stopped by a signal."""

OK, USAGE, MISSING, FAILED, STOPPED = 0, 2, 3, 4, 130
