"""WHERE it runs: what this machine is, how much of it may be used, how worker processes behave on it."""
