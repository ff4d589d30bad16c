"""IS THIS MACHINE FIT: `bench.py doctor` looks (look.py) and judges (checks.py)."""
