"""DOING it on this machine: one function that executes a run, worker processes, and what a person sees meanwhile."""
