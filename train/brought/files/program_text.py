"""A check, word by word, of the program in a `.pt2` file, which is text that torch turns into Python and runs.

Torch's reader passes the expressions of symbolic sizes to sympy, which evaluates them as Python; writes guards, names
of nodes and of arguments into source that it executes; looks up operators as attributes of the `torch` module, down to
`torch.os.system`; and imports the modules that a tree of inputs names. So each of these texts must be of one of the few
kinds that `torch.export.save` writes.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from assay.errors import ArtifactError
from assay.files.mistakes import mistake_in
from assay.files.texts import parse_json

NAMESPACES = ("aten", "prims", "higher_order", "quantized_decomposed", "quantized", "torchvision", "mkldnn", "onednn")
OPERATOR = re.compile(rf"torch\.ops\.({'|'.join(NAMESPACES)})\.[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")
ON_FILES = {"from_file", "save", "load", "load_tensor", "read_file", "write_file"}
"""Operators, by their name without namespace and overload, that read or write files."""
HIGHER_ORDER = {
    "cond", "while_loop", "scan", "associative_scan", "map_impl", "wrap_with_set_grad_enabled", "wrap_with_autocast",
    "flex_attention", "out_dtype", "invoke_subgraph", "strict_mode", "wrap", "tag_activation_checkpoint",
}  # fmt: skip
ARITHMETIC_NAMES = "eq ne le ge lt gt neg pos mul add sub floordiv mod pow truediv and_ or_ lshift rshift getitem"
PLAIN = {f"_operator.{name}" for name in ARITHMETIC_NAMES.split()}
PLAIN |= {"math.trunc", "math.ceil", "math.floor"}
PLAIN |= {f"torch.sym_{name}" for name in ("not", "int", "float", "ite", "max", "min", "sqrt")}

NAME = re.compile(r"[^\W\d]\w*", re.ASCII)
PATH = re.compile(r"[\w.\-/]*", re.ASCII)
"""The path of a parameter, buffer or module: its names joined by dots."""
SYMBOL = re.compile(r"[a-z_]{1,12}\d{1,6}")
NODE_NAMES = {"name", "as_name"}
PATH_NAMES = {
    "parameter_name", "buffer_name", "tensor_constant_name", "custom_obj_name", "user_input_name", "fqn", "class_fqn",
}  # fmt: skip
IMPORTING_TREES = {"collections.defaultdict"}
"""Types in trees of inputs and outputs that import something."""

FUNCTIONS = {
    "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min", "Mod", "Abs", "Eq", "Ne", "Lt", "Le",
    "Gt", "Ge", "And", "Or", "Not", "Piecewise", "FloorDiv", "ModularIndexing", "Where", "PythonMod", "CleanDiv",
    "CeilToInt", "FloorToInt", "CeilDiv", "LShift", "RShift", "PowByNatural", "FloatPow", "FloatTrueDiv", "IntTrueDiv",
    "TruncToFloat", "TruncToInt", "RoundToInt", "RoundDecimal", "ToFloat", "Identity", "floor", "ceiling", "sqrt",
    "IsNonOverlappingAndDenseIndicator", "Relational", "Equality", "Unequality", "StrictLessThan", "LessThan",
    "StrictGreaterThan", "GreaterThan",
}  # fmt: skip
"""Functions of sympy and torch that may appear in expressions of sizes."""
GUARD_FUNCTIONS = FUNCTIONS | {"max", "min", "abs", "int", "float", "bool"}
MATHEMATICS = {f"math.{name}" for name in ("floor", "ceil", "trunc", "sqrt", "pow")}
GUARD_METHODS = {"size", "stride", "storage_offset", "dim"}
GUARD_FIELDS = {"shape", "dtype", "ndim", "device"}
CONSTANTS = {"oo", "int_oo", "true", "false", "True", "False"}
LARGEST_POWER = 64
ARITHMETIC = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
    ast.expr_context, ast.keyword, ast.Tuple,
)  # fmt: skip
LONGEST_EXPRESSION = 10_000


def check_program(member: str, content: bytes) -> None:
    """
    Args:
        member: its name in the file, for messages.
        content: JSON written by `torch.export.save`.

    Raises:
        ArtifactError: a text in it could run code, or it is not a program.
    """
    try:
        program = parse_json(content)
    except ValueError as error:
        raise ArtifactError(f"{member} is not a program", expected="JSON", found=mistake_in(error)) from error
    for key, value in _entries(program):
        _check_entry(member, key, value)


def _entries(value: object) -> Iterator[tuple[str, Any]]:
    """Iterate over every key with its value, at any depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one.items()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _check_entry(member: str, key: str, value: Any) -> None:
    if key in NODE_NAMES and isinstance(value, str):
        _demand(member, "a name", value, not value or NAME.fullmatch(value))
    elif key in PATH_NAMES and isinstance(value, str):
        _demand(member, "a name", value, PATH.fullmatch(value))
    elif key in {"in_spec", "out_spec"}:
        _check_tree(member, key, value)
    elif key in CHECKS:
        several = key in SEVERAL
        for one in (value or ()) if several else (value,):
            CHECKS[key](member, one)


def _check_symbol(member: str, value: Any) -> None:
    _demand(member, "a symbol", value, isinstance(value, str) and SYMBOL.fullmatch(value))


def _check_argument(member: str, value: Any) -> None:
    _demand(member, "an argument", value, isinstance(value, str) and NAME.fullmatch(value))


def _check_target(member: str, value: Any) -> None:
    text = value if isinstance(value, str) else ""
    good = text in PLAIN
    if OPERATOR.fullmatch(text):
        space, name = text.split(".")[2:4]
        good = name not in ON_FILES and (space != "higher_order" or name in HIGHER_ORDER)
    _demand(member, "an operator", value, good)


def _check_expression(member: str, value: Any) -> None:
    """Refuse an expression of sizes that is more than arithmetic of symbols; same errors as `check_program`."""
    _demand(member, "a size", value, isinstance(value, str) and all(map(_in_expression, _nodes(value))))


def _check_guard(member: str, value: Any) -> None:
    """Refuse a condition on inputs that is more than arithmetic of their sizes; same errors as `check_program`."""
    _demand(member, "a guard", value, isinstance(value, str) and all(map(_in_guard, _nodes(value))))


def _nodes(text: str) -> Iterable[ast.AST]:
    """Return the syntax tree of an expression; a node that nobody accepts where it is not one."""
    if len(text) > LONGEST_EXPRESSION or not text.isascii():
        return [ast.Pass()]
    try:
        return list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [ast.Pass()]


def _in_expression(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool | int | float) or _is_symbol(node.value)
    if isinstance(node, ast.Name):
        return bool(SYMBOL.fullmatch(node.id)) or node.id in FUNCTIONS | CONSTANTS
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and _is_small(node)
    return isinstance(node, ARITHMETIC) and _is_small(node)


def _is_symbol(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z_]\w{0,60}(\.\d+)?|\d+(\.\d+)?", value, re.ASCII))


def _is_small(node: ast.AST) -> bool:
    """Return whether a power in it is small enough to be computed."""
    exponents: list[ast.expr] = []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow | ast.LShift):
        exponents = [node.right]
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"Pow", "PowByNatural", "LShift", "FloatPow"}:
        exponents = node.args[1:]
    return all(_number(one) <= LARGEST_POWER for one in exponents)


def _number(node: ast.expr) -> float:
    """Return the number that is written there; a symbol counts as 0, and anything else as too large."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _number(node.operand)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "Integer" and len(node.args) == 1:
        return _number(node.args[0])
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return abs(node.value)
    symbol = isinstance(node, ast.Name) or (isinstance(node, ast.Call) and ast.unparse(node.func) == "Symbol")
    return 0 if symbol else math.inf


def _in_guard(node: ast.AST) -> bool:
    """Return whether a node is allowed in a guard: like an expression, with inputs as L['x'], and sizes as
    L['x'].size()[0] or L['x'].shape[0].
    """
    if isinstance(node, ast.Name):
        return node.id in {"L", "math"} or bool(SYMBOL.fullmatch(node.id)) or node.id in GUARD_FUNCTIONS | CONSTANTS
    if isinstance(node, ast.Attribute):
        return node.attr in GUARD_METHODS | GUARD_FIELDS or ast.unparse(node) in MATHEMATICS
    if isinstance(node, ast.Subscript):
        return True
    if isinstance(node, ast.Call):
        method = isinstance(node.func, ast.Attribute) and node.func.attr in GUARD_METHODS
        return (method or ast.unparse(node.func) in GUARD_FUNCTIONS | MATHEMATICS) and _is_small(node)
    return _in_expression(node)


def _check_tree(member: str, key: str, value: Any) -> None:
    """Check a tree of inputs or outputs: it may name no module to import, and arguments only by names."""
    text = value if isinstance(value, str) else "null"
    try:
        tree = parse_json(text)
    except ValueError as error:
        raise ArtifactError(f"{member} has an unreadable tree", expected="JSON", found=mistake_in(error)) from error
    for inner, found in _entries(tree):
        if inner == "type":
            known = found is None or (isinstance(found, str) and PATH.fullmatch(found) and found not in IMPORTING_TREES)
            _demand(member, "a tree of inputs or outputs", found, known)
        elif inner == "context" and isinstance(found, str):
            _demand(member, "a tree of inputs or outputs", found, "__enum__" not in found and "factory" not in found)
    if key == "in_spec":
        for name in _keywords(tree):
            _check_argument(member, name)


def _keywords(tree: Any) -> list[object]:
    """Return the names of the keyword arguments, the second part of a tree of inputs; torch writes them into source."""
    try:
        words = tree[1]["children_spec"][1]["context"]
        return list(parse_json(words) or []) if isinstance(words, str) else []
    except (KeyError, IndexError, TypeError, ValueError):
        return []


def _demand(member: str, what: str, value: object, good: object) -> None:
    if not good:
        raise ArtifactError(
            f"{member} has {what} that could run code",
            expected="only what torch.export.save writes for a model of standard operators",
            found=repr(value)[:120],
            remedy="It was not loaded. If the model needs custom operators, give FILE.py:FUNCTION",
        )


CHECKS: dict[str, Callable[[str, Any], None]] = {
    "expr_str": _check_expression,
    "guards_code": _check_guard,
    "target": _check_target,
    "as_operator": _check_target,
    "range_constraints": _check_symbol,
    "forward_arg_names": _check_argument,
}
SEVERAL = {"guards_code", "range_constraints", "forward_arg_names"}
