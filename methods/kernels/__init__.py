"""Attention mask and mask pooling, the part that SkeAttnCLR adds to every step. reference.py is the specification."""
