"""Without Triton (other systems than Linux) there are no kernels to test."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("triton") else ["test_forms.py", "test_choice.py", "test_compiled.py"]
