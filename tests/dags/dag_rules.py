"""What no file that Airflow runs may do: rules on the source, each of them a way to be hurt.

Where a rule does not fit, its line says why: `# allow past_a_failure: it fails itself`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from itertools import chain

Rule = Callable[[ast.Module], Iterator[ast.AST]]

SHELLS = {"BashOperator", "BashSensor", "SSHOperator", "system", "popen", "bash"}
PICKLES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
SENSORS = {"FileSensor", "S3KeySensor"}
PAST_FAILURE = {
    "all_done",
    "all_done_min_one_success",
    "all_failed",
    "always",
    "none_skipped",
    "one_done",
    "one_failed",
}
LOOKS_UP = {"Variable", "Connection"}


def _name(node: ast.AST) -> str:
    """Return the last part of a dotted name: `task.bash` is `bash`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _keywords(call: ast.Call) -> dict[str | None, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords}


def _decorators(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from node.decorator_list


def shell(tree: ast.Module) -> Iterator[ast.AST]:
    """No shell: whatever a parameter holds, nothing interprets it."""
    for call in _calls(tree):
        is_shell = getattr(_keywords(call).get("shell"), "value", False) is True
        if is_shell or _name(call.func) in SHELLS:
            yield call
    for decorator in _decorators(tree):
        if _name(decorator) in SHELLS:
            yield decorator


def template_of_parameters(tree: ast.Module) -> Iterator[ast.AST]:
    """No parameter in a template: a task reads it, validated, from `read_params`."""
    for node in ast.walk(tree):
        text = str(node.value) if isinstance(node, ast.Constant) else ""
        if "{{" in text and any(word in text for word in ("params", ".conf", "conf[")):
            yield node


def pickle(tree: ast.Module) -> Iterator[ast.AST]:
    """No pickle: loading one runs what is in it."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call) and _name(node.func) in {"read_pickle", "to_pickle"}:
            names = ["pickle"]
        if any(name.split(".")[0] in PICKLES for name in names):
            yield node


def bare_sensor(tree: ast.Module) -> Iterator[ast.AST]:
    """No sensor but ours: a provider's takes an empty file, or a folder, for a delivery."""
    return (call for call in _calls(tree) if _name(call.func) in SENSORS)


def check_that_is_ignored(tree: ast.Module) -> Iterator[ast.AST]:
    """No `use_regex` beside `check_fn`: the provider's sensor then never calls the check."""
    return (call for call in _calls(tree) if {"use_regex", "check_fn"} <= set(_keywords(call)))


def past_a_failure(tree: ast.Module) -> Iterator[ast.AST]:
    """No task that runs past a failure: as the last one it makes a broken run green."""
    for call in _calls(tree):
        rule = _keywords(call).get("trigger_rule")
        for part in ast.walk(rule) if rule is not None else ():
            value = part.value if isinstance(part, ast.Constant) else _name(part).lower()
            if value in PAST_FAILURE:
                yield part


def image_without_digest(tree: ast.Module) -> Iterator[ast.AST]:
    """No image by its tag: next week it is another one."""
    for call in _calls(tree):
        image = _keywords(call).get("image")
        if isinstance(image, ast.Constant) and "@sha256:" not in str(image.value):
            yield image


def looked_up_at_parse(tree: ast.Module) -> Iterator[ast.AST]:
    """No variable or connection outside a function: every parse would ask for it, and log it."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    for call in _calls(tree):
        function = call.func
        if not (isinstance(function, ast.Attribute) and _name(function.value) in LOOKS_UP):
            continue
        at: ast.AST | None = call
        while at is not None and not isinstance(
            at, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        ):
            at = getattr(at, "parent", None)
        if at is None:
            yield call


def alert_of_tasks_only(tree: ast.Module) -> Iterator[ast.AST]:
    """No DAG without `on_failure_callback`: when a process is killed no task's callback runs."""
    decorators = [node for node in _decorators(tree) if _name(node) == "dag"]  # without arguments
    for call in chain(_calls(tree), decorators):
        function = call.func if isinstance(call, ast.Call) else call
        if _name(function) not in {"DAG", "dag"}:
            continue
        if not isinstance(call, ast.Call) or "on_failure_callback" not in _keywords(call):
            yield call


def deadline_by_average(tree: ast.Module) -> Iterator[ast.AST]:
    """No deadline by average run time alone: a model that gets slower each day is never late."""
    references = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and _name(node.value) == "DeadlineReference"
    ]
    if {node.attr for node in references} == {"AVERAGE_RUNTIME"}:
        yield from references


RULES: tuple[Rule, ...] = (
    shell,
    template_of_parameters,
    pickle,
    bare_sensor,
    check_that_is_ignored,
    past_a_failure,
    image_without_digest,
    looked_up_at_parse,
    alert_of_tasks_only,
    deadline_by_average,
)


def broken_rules(source: str) -> list[str]:
    """Return what a file does that it may not, as `LINE: RULE: why`."""
    tree, lines = ast.parse(source), source.splitlines()
    found = [(rule, node.lineno) for rule in RULES for node in rule(tree)]  # type: ignore[attr-defined]
    return [
        f"line {line}: {rule.__name__}: {rule.__doc__}"
        for rule, line in found
        if not re.search(rf"# allow {rule.__name__}: \w", lines[line - 1])
    ]
