"""Find files and functions that are too long to be read at one sitting: `make lint` refuses them.

A function's docstring does not count: it is there so that the body need not be read. Where length
is the honest form, a comment on the first line says why: `def name(...):  # long: reason`, or for
a file `# long: reason` as its first line.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 40
REASON = "# long: "


def oversized(path: Path) -> Iterator[str]:
    """Yield a line `file:line: what is too long` for each finding in one Python file."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    if len(lines) > MAX_FILE_LINES and not lines[0].startswith(REASON):
        yield f"{path}:1: the file has {len(lines)} lines, at most {MAX_FILE_LINES} are allowed"
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        length = _lines(node) - _docstring_lines(node)
        if length > MAX_FUNCTION_LINES and REASON not in lines[node.lineno - 1]:
            yield (
                f"{path}:{node.lineno}: {node.name} has {length} lines without its docstring, "
                f"at most {MAX_FUNCTION_LINES} are allowed"
            )


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return _lines(node.body[0]) if ast.get_docstring(node) is not None else 0


def main(folders: list[str]) -> int:
    """Print what is too long in these folders and return the exit code: 1 when there is any."""
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.py"))
    if not files:
        print(f"check_sizes: no Python file in {folders}", file=sys.stderr)
        return 2
    findings = [finding for file in files for finding in oversized(file)]
    for finding in findings:
        print(finding)
    if findings:
        print(f"Split them, or give a reason on the first line: `{REASON}reason`")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
