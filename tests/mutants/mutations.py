"""Finds the small changes that can be made to a module: one operator, constant, condition or sign each.

Excluded: docstrings, annotations, decorators, messages (f-strings and what stands in a `raise`), assertions, the
switches of checks (`strict=`, `check_finite=`), and every string but the two sides of `searchsorted`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"),
    ast.Pow: ("**", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "|"),
}
SIGNS: dict[type[ast.unaryop], str] = {ast.USub: "-", ast.Not: "not ", ast.Invert: "~"}
WORDS = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any",
    "floor": "ceil", "ceil": "floor", "argmin": "argmax", "argmax": "argmin", "fmin": "fmax", "fmax": "fmin",
}  # fmt: skip
SWITCHES = ("strict", "check_finite")
RETURNS = {"bool": "not ", "int": "-", "float": "-", "Floats": "-", "Float64": "-", "Int64": "-"}


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change: the bytes [start, end) of a file are replaced.

    Attributes:
        path: the file, relative to the checkout.
        line: of the change.
        lines: first and last line of the statement (of a compound statement: its header).
        start: byte offset.
        end: byte offset.
        after: what stands there instead.
    """

    path: Path
    line: int
    lines: tuple[int, int]
    start: int
    end: int
    after: str

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]

    def shown(self, source: bytes) -> str:
        """The changed line, before → after."""
        number = self.line - 1
        before, after = (text.decode().splitlines()[number].strip() for text in (source, self.applied(source)))
        return f"{before}  →  {after}"


class _Finder:
    def __init__(self, path: Path, source: bytes) -> None:
        self.path, self.source = path, source
        lines = source.splitlines(keepends=True)
        self.offsets = [sum(map(len, lines[:i])) for i in range(len(lines))] if lines else []
        self.found: list[Mutation] = []

    def visit(self, node: ast.AST, statement: ast.stmt | None = None) -> None:
        statement = node if isinstance(node, ast.stmt) else statement
        if statement is not None:
            for start, end, after in self.changes(node):
                self.add(statement, start, end, after)
        for child in _mutable(node):
            self.visit(child, statement)

    def add(self, statement: ast.stmt, start: int, end: int, after: str) -> None:
        line = self.source[:start].count(b"\n") + 1
        body = getattr(statement, "body", None)
        last = max(body[0].lineno - 1, statement.lineno) if body else statement.end_lineno
        self.found.append(Mutation(self.path, line, (statement.lineno, last or line), start, end, after))

    def begin(self, node: ast.expr) -> int:
        return self.offsets[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr) -> int:
        return self.offsets[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)

    def between(self, left: ast.expr, right: ast.expr, before: str, after: str) -> Iterator[tuple[int, int, str]]:
        start, text = self.end(left), self.source[self.end(left) : self.begin(right)].decode()
        if "#" not in text and before in text:
            at = start + len(text[: text.index(before)].encode())
            yield at, at + len(before), after

    def changes(self, node: ast.AST) -> Iterator[tuple[int, int, str]]:  # noqa: PLR0912  # a line or two a kind of node
        match node:
            case ast.Compare():
                for left, operator, right in zip(
                    [node.left, *node.comparators], node.ops, node.comparators, strict=False
                ):
                    yield from self.between(left, right, *COMPARISONS[type(operator)])
            case ast.BinOp() if type(node.op) in ARITHMETIC and not _text(node.left) and not _text(node.right):
                yield from self.between(node.left, node.right, *ARITHMETIC[type(node.op)])
            case ast.AugAssign() if type(node.op) in ARITHMETIC and not _text(node.value):
                yield from self.between(node.target, node.value, *ARITHMETIC[type(node.op)])
            case ast.BoolOp():
                words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
                for left, right in zip(node.values, node.values[1:], strict=False):
                    yield from self.between(left, right, *words)
            case ast.UnaryOp() if type(node.op) in SIGNS:
                yield self.begin(node), self.begin(node) + len(SIGNS[type(node.op)]), ""
            case ast.Constant(value=bool() | int() | float() | "left" | "right"):
                yield self.begin(node), self.end(node), _other(node.value)
            case ast.Name(id=word) if word in WORDS:
                yield self.begin(node), self.end(node), WORDS[word]
            case ast.Attribute(attr=word) if word in WORDS:
                yield self.end(node) - len(word), self.end(node), WORDS[word]
            case ast.If(test=test) | ast.IfExp(test=test) if isinstance(test, ast.Name | ast.Attribute | ast.Call):
                yield self.begin(test), self.begin(test), "not "
            case ast.FunctionDef(returns=ast.Name(id=kind)) if kind in RETURNS:
                for one in ast.walk(node):
                    if isinstance(one, ast.Return) and one.value and not isinstance(one.value, ast.Constant):
                        text = self.source[self.begin(one.value) : self.end(one.value)].decode()
                        yield self.begin(one.value), self.end(one.value), f"{RETURNS[kind]}({text})"


def _other(value: object) -> str:
    if isinstance(value, float):
        return repr(2 * value or 1.0)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value + 1)
    return {"left": '"right"', "right": '"left"'}.get(str(value)) or str(not value)


def _text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def _mutable(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.Import | ast.ImportFrom):
        return
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not (isinstance(child, ast.keyword) and child.arg in SWITCHES):
                    yield child


def mutations(root: Path, path: Path) -> list[Mutation]:
    """All changes of one file, in its order."""
    source = (root / path).read_bytes()
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    return sorted(finder.found, key=lambda one: (one.start, one.end, one.after))
