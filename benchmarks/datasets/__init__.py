"""The data sets: read from raw files, preprocessed, stored with checksums, and split by named rules.

raw files --prepare--> store (x.npy, meta.csv, manifest.json) --catalog.splits--> protocols.Splits
"""
