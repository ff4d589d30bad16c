"""Compiles the Triton kernels for an H100 (sm_90) on a machine without one, and prints what each would use of it.

Run as a program, without TRITON_INTERPRET: `python tests/methods/kernels/compile_all.py float16 float32 tf32`.
A line per kernel: products, kernel, bytes of shared memory, registers per thread, bytes of stack (spilled registers).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from benchmarks.throughput.kernel_cases import CASES, Inputs, computing, forward_and_backward, make
from methods.kernels import attention_gradients, joined, pooling

POINTERS = {torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.float32: "*fp32"}
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


class Compiled:
    """Stands where a kernel does: a launch compiles, as Triton would before it launches, and does not launch."""

    products = ""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        return self.compile

    def compile(self, *arguments: Any, **options: Any) -> None:
        """Signature and specialisation (1 is a constant, multiples of 16 are known) from the arguments of a launch."""
        own = {name: options.pop(name) for name in ("num_warps", "num_stages")}
        signature: dict[str, str] = {}
        constants: dict[tuple[int, ...], Any] = {}
        known: dict[tuple[int, ...], Any] = {}
        given = dict(zip(self.kernel.arg_names, arguments, strict=False)) | options
        for at, name in enumerate(self.kernel.arg_names):
            value = given[name]
            if isinstance(value, torch.Tensor):
                signature[name], divisible = POINTERS[value.dtype], True
            elif self.kernel.params[at].is_constexpr or value == 1:
                signature[name], constants[(at,)], divisible = "constexpr", value, False
            else:
                signature[name], divisible = "i32", value % 16 == 0
            if divisible:
                known[(at,)] = [["tt.divisibility", 16]]
        source = ASTSource(self.kernel, signature, constants, known)
        result = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=own)
        registers, stack = usage(result.asm["cubin"])
        print(self.products, self.kernel.__name__, result.metadata.shared, registers, stack, flush=True)


def usage(cubin: bytes) -> tuple[str, str]:
    """Registers and bytes of stack, or "?" where the tool that tells is not there."""
    if not CUOBJDUMP.exists():
        return "?", "?"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True)
    found = re.search(r"REG:(\d+) STACK:(\d+)", text.stdout + text.stderr)
    return (found[1], found[2]) if found else ("?", "?")


def main() -> None:
    """Every kernel of the paper's first shape, once per kind of products."""
    for module in (pooling, joined, attention_gradients):
        for name in [name for name in vars(module) if name.endswith("_kernel")]:
            setattr(module, name, Compiled(getattr(module, name)))
    small: Inputs = make(CASES[0].reduced(1), torch.float32)
    for products in sys.argv[1:]:
        Compiled.products = products
        torch.set_float32_matmul_precision("high" if products == "tf32" else "highest")
        dtype = torch.float32 if products == "tf32" else getattr(torch, products)
        forward_and_backward(computing("joined"), small.map(lambda t, to=dtype: t.to(to)))
        with torch.no_grad():
            computing("sdpa + pool")(small.map(lambda t, to=dtype: t.to(to)))


if __name__ == "__main__":
    main()
