"""When a run starts: the section `trigger` of a model's YAML, and the addresses a YAML may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from include.retraining.config.base import Section, Text
from include.retraining.config.events import Events

PLACES = ("file", "s3", "gs", "az")
"""Schemes of the places that can be watched."""


def refuse_escaping(path: str) -> str:
    """Refuse a path that could leave the store or be read two ways."""
    if "://" in path:
        scheme, _, rest = path.partition("://")
        if scheme not in PLACES:
            raise ValueError(
                f"{scheme}:// is not a place that can be waited on; allowed: file://…, s3://…, "
                "gs://…, az://…, or relative to the store"
            )
    else:
        rest = path
        if path.startswith("/"):
            raise ValueError("a path without a scheme is relative to the store: no leading '/'")
    if "\x00" in rest or "\\" in rest or ".." in PurePosixPath(rest).parts:
        raise ValueError("'..', '\\' and NUL are not allowed in a path")
    if read_two_ways := [sign for sign in "#?%" if sign in rest]:
        raise ValueError(
            f"{read_two_ways[0]!r} is not allowed in a path: in an address it ends or escapes one"
        )
    unknown = set(re.findall(r"{(.*?)}", rest)) - {"date"}
    if unknown:
        raise ValueError(f"{{{sorted(unknown)[0]}}} is not known; allowed: {{date}}")
    return path


def refuse_other_than_cron(value: str | None) -> str | None:
    """Refuse a schedule that is no cron expression of five fields and no word for one."""
    presets = {"@hourly", "@daily", "@weekly", "@monthly", "@yearly"}
    field = r"(\*|[0-9A-Za-z,\-#L?]+)(/[0-9]+)?"
    if value is None or value in presets or re.fullmatch(rf"{field}( {field}){{4}}", value):
        return value
    raise ValueError(
        f"{value!r} is not a cron expression of five fields; allowed too: null or one of "
        + ", ".join(sorted(presets))
    )


class Trigger(Section):
    """When a run starts and which flag it waits for."""

    schedule: str | None
    """A cron expression of five fields in the model's time zone, or `@hourly`, `@daily`, `@weekly`,
    `@monthly`, `@yearly`; null: triggered manually only. Beside `on` it is the backstop: it finds
    what no event reported."""
    on: Events | None = None
    """What starts a run before its schedule; null: nothing does."""
    timezone: str = "UTC"
    """The IANA time zone of the schedule and of `{date}`: the day on which a run is due begins at
    midnight there."""
    flag: Text
    """The file that the producer writes last, relative to the store, or `file://…`, `s3://…`,
    `gs://…` or `az://…`. It may hold `{date}`, the day of the data as `2026-11-24`: the run's
    parameter `date`, else that of the flag that started the run, else the day on which the run was
    due (docs/deliveries.md). Without it, a flag starts one decision and must be written again for
    the next. A name that ends in `.json` is a manifest that lists the delivery's files."""
    poke_seconds: Annotated[float, Field(ge=0.2, le=3600)] = 5
    """Seconds between two checks of the flag. One on a disk that reports changes is noticed at
    once."""
    timeout_seconds: Annotated[float, Field(ge=1, le=7 * 86400)] = 600
    """Seconds to wait for the delivery in all."""

    _flag = field_validator("flag")(refuse_escaping)

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Paris") from error
        return value

    _cron = field_validator("schedule")(refuse_other_than_cron)

    @model_validator(mode="after")
    def _has_a_backstop(self) -> Trigger:
        if self.on is not None and self.schedule is None:
            raise ValueError(
                "`on` needs a `schedule` beside it: an event can get lost, and only the clock "
                "finds what it announced; give the time by which data must be there, such as "
                '"0 6 * * *"'
            )
        return self

    def own_assets(self, model: str) -> Iterator[str]:
        """Yield assets of a model that it would start itself by.

        Args:
            model: whose trigger this is.
        """
        assets = () if self.on is None else self.on.assets
        if f"{model}_champion" in assets:
            yield (
                f"trigger.on.assets: {model}_champion is what this model's own promotions "
                "update: each would start another run"
            )
        if f"{model}_delivery" in assets:
            yield f"trigger.on.assets: {model}_delivery: write `delivery: true` instead"
