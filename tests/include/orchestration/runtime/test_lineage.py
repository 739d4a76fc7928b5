"""What tasks report to OpenLineage."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.sdk import lineage as airflow_lineage
from airflow.sdk.lineage import HookLineageCollector

from include.orchestration.runtime import lineage
from include.orchestration.runtime.lineage import report_lineage
from tests.support.contexts import MakeContext
from tests.support.run_callbacks import run_in


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> HookLineageCollector:
    """The collector that the OpenLineage provider switches on."""
    collector = HookLineageCollector()
    for module in (lineage, airflow_lineage):
        monkeypatch.setattr(module, "get_hook_lineage_collector", lambda: collector)
    monkeypatch.setattr(lineage, "get_hook_lineage_readers_plugins", lambda: [object()])
    monkeypatch.setattr(
        "airflow.providers.common.compat.lineage.hook.get_hook_lineage_collector", lambda: collector
    )
    return collector


@pytest.mark.parametrize(
    ("address", "namespace", "name"),
    [
        ("file:///landing/a%20b", "file", "/landing/a b"),
        ("s3://bucket/prefix/landing", "s3://bucket", "prefix/landing"),
    ],
)
def test_the_event_names_a_folder_as_the_standard_does(
    collector: HookLineageCollector, context: MakeContext, address: str, namespace: str, name: str
) -> None:
    """OpenLineage's other integrations name it so too, and graphs meet."""
    run_in(context(), report_lineage, inputs=[address], outputs=["s3://b/c"])
    event: Any = ExtractorManager().get_hook_lineage()
    assert [(item.namespace, item.name) for item in event.inputs] == [(namespace, name)]
    assert [(item.namespace, item.name) for item in event.outputs] == [("s3://b", "c")]


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_other_stores_are_named_in_no_event(
    collector: HookLineageCollector, context: MakeContext, scheme: str
) -> None:
    """Airflow's provider has no name for them; the task goes on."""
    run_in(context(), report_lineage, inputs=[f"{scheme}://bucket/a"], outputs=[])
    assert ExtractorManager().get_hook_lineage() is None
