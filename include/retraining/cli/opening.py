"""What several commands begin with: a model's promotion log, and who types."""

from __future__ import annotations

import getpass

from include.retraining.exceptions import ConfigError
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.marker import open_store


def open_log(store: str | None, name: str) -> PromotionLog:
    """Open a model's promotion log; a name of which nothing is known is a slip, not a new model.

    Raises:
        ConfigError: naming the nearest model.
    """
    log = PromotionLog(open_store(store), name)
    if name not in log.store.children("models")[0]:
        from include.retraining.config.model import load_model

        load_model(name)
    return log


def user() -> str:
    """Return the name of the user who types.

    Raises:
        ConfigError: when the system does not know it.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # Python 3.11 and 3.12 raise the first
        raise ConfigError("the actor is unknown: set USER to your name") from error
