"""Shapes in the signatures of the three floors are checked while tests run, by jaxtyping and beartype.

An import hook decorates every function that names a shape. The first call of each in each test is checked: of some
480,000 calls in the tests of these floors 10,000, which takes 1 % of their time. All would take a third or more.
Processes that tests start have no hook.
"""

from __future__ import annotations

import ast
import functools
import inspect
import random
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

import torch
from beartype import beartype
from jaxtyping import jaxtyped

FLOORS = ("backbones", "methods", "protocols")
ARRAYS = ("Tensor", "np.ndarray")  # what has a shape
seen: set[Callable[..., Any]] = set()  # functions that were called in this test


def first_call(plain: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose arguments and result are checked when it is not yet among `seen`.

    Raises:
        jaxtyping.TypeCheckError: for a wrong shape or type.
    """
    strict: Callable[..., Any] | None = None

    @functools.wraps(plain)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal strict
        if torch.compiler.is_compiling() or call in seen:
            return plain(*args, **kwargs)
        seen.add(call)
        strict = strict or _strict(plain)
        return strict(*args, **kwargs)

    return call


def _strict(plain: Callable[..., Any]) -> Callable[..., Any]:
    """The function with every call checked, and Python's global random numbers, which beartype draws, as without."""

    @functools.wraps(plain)
    def inside(*args: Any, **kwargs: Any) -> Any:
        nonlocal state
        random.setstate(state)
        out = plain(*args, **kwargs)
        state = random.getstate()
        return out

    vars(inside)["__signature__"] = inspect.signature(plain, eval_str=True)  # jaxtyping passes over what it cannot read
    checked, state = jaxtyped(typechecker=beartype)(inside), random.getstate()

    def outside(*args: Any, **kwargs: Any) -> Any:
        nonlocal state
        state = random.getstate()
        try:
            return checked(*args, **kwargs)
        finally:
            random.setstate(state)

    return outside


def names_shape(node: ast.AST) -> bool:
    """Whether a part of an annotation is as Float[Tensor, "B C"]."""
    return any(
        isinstance(part, ast.Subscript)
        and isinstance(part.slice, ast.Tuple)
        and ast.unparse(part.slice.elts[0]) in ARRAYS
        and isinstance(part.slice.elts[1], ast.Constant)
        for part in ast.walk(node)
    )


class _Decorate(ast.NodeTransformer):
    """Puts `first_call` innermost, where the function still has its own annotations and globals."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        if names_shape(node.args) or (node.returns and names_shape(node.returns)):
            node.decorator_list.append(ast.copy_location(ast.Name("_first_call", ast.Load()), node))
        self.generic_visit(node)
        return node


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        """Always compiled anew: what lies in __pycache__ is not decorated, and must not be."""
        path = self.get_filename(fullname)
        tree = _Decorate().visit(ast.parse(self.get_data(path), path))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["_first_call"] = first_call
        super().exec_module(module)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] not in FLOORS:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path)
        return spec


def install() -> None:
    """Decorates all modules of the three floors that are imported from now on."""
    early = sorted(name for name in sys.modules if name.partition(".")[0] in FLOORS)
    assert not early, f"imported before their shapes can be checked: {early}"
    sys.meta_path.insert(0, _Finder)  # pyright: ignore[reportArgumentType]  a finder is what has find_spec
