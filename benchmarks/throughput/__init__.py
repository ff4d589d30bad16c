"""HOW FAST: measurements of one part against a plain implementation of it, in one run on one machine."""
