"""Readers of raw recordings: one per family of data sets, each giving a Source."""
