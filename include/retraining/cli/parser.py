"""The arguments of the commands that a person uses, and how their answers are printed."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from include.retraining.cli import commands
from include.retraining.cli.commands import Result
from include.retraining.store.redaction import redact


def run(words: list[str]) -> int:
    """Parse and run one command, print what it found, and return the exit code."""
    chosen = _parser().parse_args(words)
    result: Result = chosen.act(chosen)
    try:
        if chosen.json:
            text = json.dumps(_plain(result.value), indent=2, ensure_ascii=False)
            sys.stdout.write(f"{text}\n")
        else:
            for part in result.show():
                _print(part)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough: `history NAME | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return result.exit_code


def _parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m include.retraining",
        description="Ask about a model's versions and decisions, and change what serves.",
        epilog="A job's steps are validate, train, evaluate and card, with --run and --attempt.",
    )
    subparsers = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, act: Callable[[argparse.Namespace], Result], text: str, *, reads: str = "store"
    ) -> argparse.ArgumentParser:
        """Add a command; ``reads`` is what its first argument names, or what it reads."""
        added = subparsers.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.set_defaults(act=act)
        if reads in {"NAME", "RUN"}:
            added.add_argument(reads.lower(), metavar=reads)
        if reads == "RUN":
            added.add_argument("--model", help="needed when runs of several models have that id")
        if reads not in {"files", "environment"}:
            added.add_argument("--store", metavar="URI", help="default: $RETRAINING_STORE")
        added.add_argument("--json", action="store_true", help="print JSON")
        return added

    command("init", commands.init, "make a place a store")
    command("champion", commands.champion, "say what serves", reads="NAME")
    command("history", commands.history, "list every promotion and rollback", reads="NAME")
    added = command("decisions", commands.decided, "list what the last runs decided", reads="NAME")
    added.add_argument("--limit", type=_positive, default=20, help="how many (default: 20)")
    command("show", commands.show, "show one run: its decision, or its plan", reads="RUN")
    added = command("why", commands.say_why, "say why a model was or was not updated", reads="NAME")
    added.add_argument("--date", type=_day, metavar="YYYY-MM-DD", help="of the data or the run")
    command("verify", commands.verify, "check the promotion log and all that served", reads="NAME")
    _add_changes(command)
    text = "judge the last runs again by other rules, and say which decisions would flip"
    added = command("gate-replay", commands.gate_replay, text, reads="NAME")
    added.add_argument(
        "--policy", type=Path, required=True, help="a model's YAML, or only its `gates:`"
    )
    added.add_argument("--limit", type=_positive, default=20, help="how many (default: 20)")
    command("reproduce", commands.reproduce, "train a run again and compare", reads="RUN")
    added = command(
        "gc", commands.collect, "say what no one needs; --delete removes it, half a minute later"
    )
    added.add_argument("name", nargs="?", metavar="NAME", help="one model (default: all)")
    added.add_argument("--delete", action="store_true", help="remove it")
    added.add_argument(
        "--keep", type=_positive, default=10, help="the newest versions to keep (default: 10)"
    )
    _add_audit(command)
    text = "say what changed in the models since a revision, in Markdown, with gate-replay"
    added = command("config-diff", commands.config_diff, text)
    added.add_argument(
        "--base", required=True, metavar="REVISION", help="before, as git knows it: origin/main"
    )
    added.add_argument(
        "--limit", type=_positive, default=20, help="decisions to judge again (default: 20)"
    )
    text = (
        "look once whether Airflow, its watch and the store are well; for cron, outside of Airflow"
    )
    command("watch", commands.watch, text, reads="environment")
    text = "check models' YAML and Python files"
    added = command("validate-config", commands.validate_config, text, reads="files")
    added.add_argument(
        "files", nargs="*", type=Path, metavar="NAME|FILE", help="default: every model"
    )
    added.add_argument(
        "--write-schema", action="store_true", help="write include/models/schema.json too"
    )
    return main


def _add_changes(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands that change what serves, and `try`, which looks before."""
    added = command(
        "rollback", commands.rollback, "let an earlier version serve again", reads="NAME"
    )
    added.add_argument("--to", metavar="VERSION", help="default: the champion before")
    added.add_argument("--reason", required=True)
    text = "the one that serves, as you saw it: nothing else is taken back"
    added.add_argument("--generation", type=_positive, help=text)
    added.add_argument("--dry-run", action="store_true", help="say what it would change")
    text = "load a version that served and let it answer on the last holdout"
    added = command("try", commands.try_version, text, reads="NAME")
    added.add_argument("--version", required=True)
    added.add_argument(
        "--watch-parent", action="store_true", help="end when standard input is closed"
    )
    text = "let runs promote again after a rollback"
    added = command("release", commands.release, text, reads="NAME")
    added.add_argument("--reason", required=True)
    text = "let a version serve unjudged, because the champion can no longer be scored"
    added = command("promote", commands.promote, text, reads="NAME")
    added.add_argument("--version", required=True)
    added.add_argument("--unjudged-champion", action="store_true", required=True)
    added.add_argument("--reason", required=True)


def _add_audit(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command for whoever must show what was decided in a period."""
    text = "say who triggered and approved what, on which code and data, over all models"
    added = command("audit", commands.audit, text)
    times = "2026-11-01 (a day in UTC) or 2026-11-01T06:00+01:00"
    added.add_argument(
        "--from", dest="start", type=_start, required=True, metavar="TIME", help=times
    )
    added.add_argument(
        "--to", dest="end", type=_end, required=True, metavar="TIME", help="a day is included"
    )
    added.add_argument("--model", dest="name", metavar="NAME", help="default: all")
    added.add_argument("--format", choices=("csv", "json"), default="csv", help="default: csv")


def _start(text: str) -> datetime:
    """Read a moment; of a day, its first."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date or time") from error
    if _is_day(text):
        return moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} needs its offset from UTC, such as +01:00")
    return moment


def _end(text: str) -> datetime:
    """Read a moment; of a day, the first behind it."""
    moment = _start(text)
    try:
        return moment + timedelta(days=1) if _is_day(text) else moment
    except OverflowError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is too late") from error


def _is_day(text: str) -> bool:
    return re.fullmatch(r"[0-9-]+", text) is not None


def _positive(text: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, is {text!r}")
    return int(text)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a day such as 2026-01-31, is {text!r}") from None


def _print(part: Any) -> None:
    """Print a line or a table."""
    if isinstance(part, str):
        sys.stdout.write(f"{redact(part)}\n")
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    with console.capture() as printed:  # rich itself would end the process on a closed pipe
        console.print(part)
    sys.stdout.write(printed.get())


def _plain(value: Any) -> Any:
    """Return documents and data classes as what JSON knows."""
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(mode="json"))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))
