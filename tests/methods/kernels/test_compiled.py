"""The Triton kernels compile for an H100 and fit it, which a machine without a GPU can find out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SHARED = 232_448  # bytes that one block may have on an H100
PRODUCTS = ("bfloat16", "tf32", "float32")
KERNELS = {
    "attend_and_pool_kernel", "token_gradients_kernel", "weight_gradients_kernel", "query_gradients_kernel",
    "key_gradients_kernel", "forward_kernel",
}  # fmt: skip


def test_every_kernel_compiles_for_an_h100_and_nothing_spills(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    program = Path(__file__).with_name("compile_all.py")
    done = subprocess.run(
        [sys.executable, program, *PRODUCTS], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert {(products, kernel) for products, kernel, *_ in lines} == {(p, k) for p in PRODUCTS for k in KERNELS}
    for products, kernel, shared, _, stack in lines:
        assert int(shared) <= SHARED, (products, kernel)
        assert stack in ("0", "?"), (products, kernel, f"{stack} bytes of registers spilled")
