"""The whole stack, built and started once, with a model whose training takes a while."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compose.stack import Stack, copy_for_compose, running_stack
from tests.support.repository_copy import add_model

LIKE = "diabetes_progression"
FIT = "    return make_pipeline("
SLOW = f"    import time\n    time.sleep(15)\n{FIT}"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack of its own, removed at the end with its image and volumes."""
    root = copy_for_compose(tmp_path_factory.mktemp("compose") / "repository")
    for model in ("slow", "slow_too", "slow_as_well"):
        add_model(root, model, like=LIKE, code=lambda text: text.replace(FIT, SLOW))
    with running_stack(root) as running:
        yield running
