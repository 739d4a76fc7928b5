"""The arguments and options that several commands take, and how their values are read."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from typer import Argument, BadParameter, Option


def read_start(text: str) -> datetime:
    """Read a moment; of a day, its first."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadParameter(f"{text!r} is no date or time") from error
    if _is_day(text):
        return moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise BadParameter(f"{text!r} needs its offset from UTC, such as +01:00")
    return moment


def read_end(text: str) -> datetime:
    """Read a moment; of a day, the first after it."""
    moment = read_start(text)
    try:
        return moment + timedelta(days=1) if _is_day(text) else moment
    except OverflowError as error:
        raise BadParameter(f"{text!r} is too late") from error


def read_count(text: str | int) -> int:
    """Read a whole number of 1 or more; a default is read too."""
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", str(text)):
        raise BadParameter(f"must be a whole number, 1 or more, is {text!r}")
    return int(text)


def read_day(text: str) -> date:
    """Read a day of the calendar."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadParameter(f"must be a day such as 2026-01-31, is {text!r}") from None


def _is_day(text: str) -> bool:
    return re.fullmatch(r"[0-9-]+", text) is not None


Name = Annotated[str, Argument(metavar="NAME", help="the model")]
Run = Annotated[str, Argument(metavar="RUN", help="the run's id in Airflow, or its folder")]
RunsModel = Annotated[
    str | None,
    Option("--model", metavar="NAME", help="needed when runs of several models have that id"),
]
StoreUri = Annotated[
    str | None, Option("--store", metavar="URI", help="default: $RETRAINING_STORE")
]
AsJson = Annotated[bool, Option("--json", help="print JSON")]
Limit = Annotated[int, Option(parser=read_count, metavar="N", help="how many, the newest")]
Reason = Annotated[str, Option(metavar="TEXT", help="kept in the promotion log for ever")]
Version = Annotated[str, Option(metavar="VERSION")]
