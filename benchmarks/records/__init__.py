"""WHAT is known: records, run folders and locks on disk, and why each of them is believed."""
