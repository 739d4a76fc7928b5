"""What starts a run before its schedule: the section `trigger.on` of a model's YAML."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from include.retraining.config.base import Section

AssetUri = Annotated[str, Field(min_length=1, max_length=1500)]


class Events(Section):
    """Events that start a run at once; the schedule finds what they missed.

    An event only wakes: whether there is something to train is decided by the flag, as ever.
    """

    delivery: bool = False
    """Whether a run starts when the flag lands: on a disk at once, in a bucket within
    `poke_seconds`, or within seconds by the bucket's own events, where the Airflow connection
    `delivery_events` names their queue (docs/events.md)."""
    assets: tuple[AssetUri, ...] = ()
    """URIs of assets that other DAGs of this Airflow update, for example the table that an extract
    fills: each update starts a run, and so does any one of several."""

    @field_validator("assets")
    @classmethod
    def _plain_uris(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for uri in value:
            if not (uri.isascii() and uri.isprintable()) or " " in uri:
                raise ValueError(
                    f"{uri!r} is not the URI of an asset: printable ASCII without blanks, exactly "
                    'as the other DAG declares it, for example "s3://warehouse/loans"'
                )
            if uri.startswith("airflow:"):
                raise ValueError(f"{uri!r}: Airflow keeps `airflow:` URIs for itself")
        if len(set(value)) != len(value):
            raise ValueError("an asset is named twice")
        return value

    @model_validator(mode="after")
    def _has_an_event(self) -> Events:
        if not self.delivery and not self.assets:
            raise ValueError(
                "names no event: give `delivery: true`, `assets: [URI, …]` or both, or leave `on` "
                "out to start by the schedule alone"
            )
        return self
