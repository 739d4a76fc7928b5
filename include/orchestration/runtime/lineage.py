"""What a task decided on and what came of it, for OpenLineage's events.

Airflow's provider asks an operator for this when its task has ended, and puts it into its event.
Nothing is looked up then: a listener must not keep a task waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit


class NamesLineage:
    """An operator that names, while it executes, which data it took and which it made."""

    _taken: Sequence[str] = ()
    _made: Sequence[str] = ()

    def name_lineage(self, *, taken: Sequence[str], made: Sequence[str]) -> None:
        """Keep the addresses of folders in a store or where deliveries lie.

        Args:
            taken: what was read, judged or promoted.
            made: what came of it.
        """
        self._taken, self._made = taken, made

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 its name
        """Return the data sets for the event; none when the task ended before it named any."""
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.event_v2 import Dataset

        taken, made = (
            [Dataset(*data_set_name(address)) for address in addresses]
            for addresses in (self._taken, self._made)
        )
        return OperatorLineage(inputs=taken, outputs=made)


def data_set_name(address: str) -> tuple[str, str]:
    """Return the namespace and the name of an address, as OpenLineage writes them.

    https://openlineage.io/docs/spec/naming
    """
    parts = urlsplit(address)
    if parts.scheme == "file":
        return "file", unquote(parts.path)
    return f"{parts.scheme}://{parts.netloc}", unquote(parts.path).strip("/") or "/"
