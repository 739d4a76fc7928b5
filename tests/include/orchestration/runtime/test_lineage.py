"""What tasks say to OpenLineage."""

from __future__ import annotations

import pytest

from include.orchestration.runtime.lineage import NamesLineage, data_set_name


@pytest.mark.parametrize(
    ("address", "namespace", "name"),
    [
        ("file:///landing/a%20b", "file", "/landing/a b"),
        ("s3://bucket/prefix/landing", "s3://bucket", "prefix/landing"),
        ("gs://bucket", "gs://bucket", "/"),
    ],
)
def test_names_are_those_of_the_standard(address: str, namespace: str, name: str) -> None:
    """A folder is named as OpenLineage's other integrations name it, so that graphs meet."""
    assert data_set_name(address) == (namespace, name)


def test_the_event_gets_what_was_named() -> None:
    """A task that ended before it named any data has none in its event."""
    task = NamesLineage()
    empty = task.get_openlineage_facets_on_complete(None)
    assert (empty.inputs, empty.outputs) == ([], [])
    task.name_lineage(taken=["file:///a"], made=["s3://b/c"])
    event = task.get_openlineage_facets_on_complete(None)
    assert [(item.namespace, item.name) for item in event.inputs] == [("file", "/a")]
    assert [(item.namespace, item.name) for item in event.outputs] == [("s3://b", "c")]
