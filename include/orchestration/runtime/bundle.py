"""The bundle that a task belongs to, and proof that its code was imported from there."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import Context

import include
from include.retraining.exceptions import CodeChanged

GIT_SHA_VARIABLE = "GIT_SHA"
IMAGE_VARIABLE = "IMAGE"


def bundle_root(context: Context) -> Path:
    """Return the folder that holds this task's `dags/` and `include/`."""
    bundle = getattr(context["ti"], "bundle_instance", None)
    if bundle is not None:
        return Path(bundle.path).resolve()
    return Path(context["dag"].fileloc).resolve().parents[1]


def assert_own_bundle(context: Context) -> Path:
    """Make sure that `include` is the one of this task's own bundle, and return the bundle's root.

    Airflow appends a bundle to the import path, so another `include` found earlier would win and
    the run would be recorded under a commit that it did not use.

    Raises:
        CodeChanged: naming the two folders.
    """
    root = bundle_root(context)
    imported = Path(str(include.__file__)).resolve().parents[1]
    if imported != root:
        raise CodeChanged(
            f"`include` was imported from {imported}, this task's bundle is {root}: remove the "
            "other copy; it is found first on PYTHONPATH, in site-packages or in the plugins folder"
        )
    return root


def git_sha(context: Context) -> str | None:
    """Return the commit that this task runs, where the bundle or the image knows it."""
    bundle = getattr(context["ti"], "bundle_instance", None)
    return getattr(bundle, "version", None) or os.environ.get(GIT_SHA_VARIABLE)
