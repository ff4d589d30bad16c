"""WHAT is to do, and how long it will take: tables become runs, runs have costs, costs become times."""
