"""The synthetic stand-ins: made-up skeletons with the names, splits and difficulties of the real sets."""
