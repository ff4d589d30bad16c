"""The gate before `profile kernels`: every form, shape and kind of products against the specification in float64.

As a program, `python -m benchmarks.throughput.kernel_check`, it checks one small shape and exits with 1 if that fails:
what compute-sanitizer watches, when it is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks.records.provenance import REPO
from benchmarks.throughput.ceilings import kinds_of, rounding
from benchmarks.throughput.kernel_cases import Case, Compute, Inputs, computing, exact, forms_of, make, wrong
from methods.kernels import Form

Faults = dict[tuple[Case, str, Form], str | None]  # by case, kind of products and form; None: it is right

SMALL = Case("small", 2, 40, 64, 4)
SANITIZER = "compute-sanitizer"
SANITIZER_SECONDS = 90


def fault(compute: Compute, inputs: Inputs, want: dict[str, Tensor]) -> str | None:
    """What is wrong with a form, in words, or None. An exception is a fault too: out of memory, no compiler, ..."""
    try:
        return wrong(compute, inputs, want)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"


def gate(cases: Sequence[Case], device: str, say: Callable[[str], None]) -> Faults:
    """What is wrong with every form, by case and kind of products."""
    found: Faults = {}
    for case in cases:
        for kind, dtype in kinds_of(device).items():
            with rounding(kind):
                inputs = make(case, dtype, device)
                want = exact(inputs)
                for form in forms_of(case, device):
                    reason = found[case, kind, form] = fault(computing(form), inputs, want)
                    if reason:
                        say(f"WRONG: {case.name}, {kind}, {form}: {reason}")
        say(f"checked: {case.name}")
    return found


def sanitizer(device: str) -> str:
    """What compute-sanitizer's memcheck says about the small shape, in a sentence."""
    tool = shutil.which(SANITIZER)
    if not device.startswith("cuda") or tool is None:
        return f"{SANITIZER}: not run ({'not installed' if device.startswith('cuda') else 'no GPU'})."
    words = [
        tool,
        "--tool",
        "memcheck",
        "--error-exitcode",
        "9",
        sys.executable,
        "-m",
        "benchmarks.throughput.kernel_check",
    ]
    try:
        done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, timeout=SANITIZER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"{SANITIZER}: not finished within {SANITIZER_SECONDS} s."
    if done.returncode == 0:
        return f"{SANITIZER} memcheck: no error in {SMALL.rows} rows of {SMALL.tokens} tokens of width {SMALL.width}."
    return f"{SANITIZER}: FAILED with exit code {done.returncode}: {(done.stdout + done.stderr)[-300:]!r}."


def main() -> int:
    """Checks the small shape on a GPU if there is one; returns the exit code."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return 1 if any(gate((SMALL,), device, print).values()) else 0


if __name__ == "__main__":
    sys.exit(main())
