"""Attention mask and mask pooling, the part that SkeAttnCLR adds to every step: one function, several forms of it.

reference.py is the specification, forms.py calls the form that is asked for, choice.py says which one runs where.
"""

from methods.kernels.choice import FORMS, KERNELS, Form, Kernel, Unsupported, choose, unsupported
from methods.kernels.forms import attention_pool
from methods.kernels.reference import Pooled, split_heads

__all__ = [
    "FORMS", "KERNELS", "Form", "Kernel", "Pooled", "Unsupported", "attention_pool", "choose", "split_heads",
    "unsupported",
]  # fmt: skip
