"""Where a champion is published besides the store: the section `publish` of a model's YAML."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from include.retraining.config.base import Name, Section, Text

POINTERS = "published"
"""The folder of the store below which pointers lie that are given by a relative address."""
SCHEMES = ("s3", "gs", "az", "file")
# What MLflow accepts in an address of its API and in `models:/NAME@ALIAS`.
_MLFLOW_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}$"
_MLFLOW_ALIAS = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"


class MlflowTarget(Section):
    """The registry of an MLflow tracking server, which must serve its artifacts itself."""

    connection: Name = "mlflow"
    """The Airflow connection, of type `http`: the server's address, and where it asks for one a
    login with its password, or a token as the password without a login."""
    registered_model: Annotated[str, Field(pattern=_MLFLOW_NAME)] | None = None
    """The registered model's name in MLflow; by default the model's own name."""
    alias: Annotated[str, Field(pattern=_MLFLOW_ALIAS)] = "champion"
    """The alias that names the champion's version in MLflow."""
    set_back: bool = False
    """Whether an alias that someone else moved is set back; it is notified in any case."""

    @field_validator("alias")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value.lower() == "latest" or re.fullmatch(r"[vV]\d+", value):
            raise ValueError(f"MLflow reserves {value!r}; take another word, such as champion")
        return value


class PointerTarget(Section):
    """A JSON file that names the champion, replaced with each new one."""

    address: Text
    """Where it lies: `published/…` in the store, or an address such as `s3://bucket/NAME.json`
    (`gs://`, `az://` and `file://` too)."""
    connection: Name | None = None
    """The Airflow connection whose settings open that place, written as those of `store`; by
    default `store` itself."""
    set_back: bool = False
    """Whether a file that someone else changed is set back; it is notified in any case."""

    @field_validator("address")
    @classmethod
    def _a_place_for_a_file(cls, value: str) -> str:
        parts = urlsplit(value)
        scheme, has_scheme = parts.scheme, "://" in value
        if has_scheme and scheme not in SCHEMES:
            allowed = ", ".join(f"{known}://" for known in SCHEMES)
            raise ValueError(f"{scheme}:// is no place for a pointer; allowed: {allowed}")
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("an address has no login, '?' or '#': settings are in the connection")
        path = parts.path if has_scheme else value
        pieces = path.strip("/").split("/")
        if re.search(r"[\x00\\{}]", path) or not {"", ".", ".."}.isdisjoint(pieces):
            raise ValueError("no part of an address is empty, '.' or '..', or has '\\', '{' or NUL")
        if not value.endswith(".json"):
            raise ValueError("must name a file that ends in .json")
        if has_scheme and (scheme == "file") != (not parts.netloc):
            raise ValueError("must be file:///folder/NAME.json, or a bucket: s3://bucket/NAME.json")
        if not has_scheme and (PurePosixPath(value).parts[0] != POINTERS or len(pieces) < 2):
            raise ValueError(f"in the store, pointers lie below {POINTERS}/: {POINTERS}/NAME.json")
        return value

    @model_validator(mode="after")
    def _one_way_in(self) -> PointerTarget:
        if self.connection is not None and "://" not in self.address:
            raise ValueError("connection: a pointer in the store is put by the connection `store`")
        return self


class WebhookTarget(Section):
    """An address that is sent a signed message about each new champion."""

    connection: Name = "webhook"
    """The Airflow connection, of type `http`: the address, and as the password the secret that
    signs (`whsec_…`)."""


class Publish(Section):
    """The systems that are kept in step with the promotion log."""

    mlflow: MlflowTarget | None = None
    """A registered model in MLflow: files, metrics, model card and an alias."""
    pointer: PointerTarget | None = None
    """A JSON file that names the champion."""
    webhook: WebhookTarget | None = None
    """A signed message to an address."""

    def places(self, model: str) -> dict[str, str]:
        """Return where a model is published, in words, by the kind of target and in their order.

        Another address, name or connection is another place, which has nothing yet.
        """
        places = {}
        if self.pointer is not None:
            by = f" by {self.pointer.connection}" if self.pointer.connection else ""
            places["pointer"] = f"{self.pointer.address}{by}"
        if self.mlflow is not None:
            name = self.mlflow.registered_model or model
            places["mlflow"] = f"models:/{name}@{self.mlflow.alias} by {self.mlflow.connection}"
        if self.webhook is not None:
            places["webhook"] = f"the address of {self.webhook.connection}"
        return places

    @model_validator(mode="after")
    def _somewhere(self) -> Publish:
        if not any((self.mlflow, self.pointer, self.webhook)):
            raise ValueError(
                "names no target; allowed: mlflow, pointer and webhook, for example `mlflow: {}`"
            )
        return self
