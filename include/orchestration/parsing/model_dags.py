"""The DAGs of all models, from the function that makes one.

A model whose configuration is wrong gets a DAG that only says so: an exception while the file is
parsed would take the DAGs of all models away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from airflow.sdk import DAG, get_parsing_context

from include.orchestration.parsing.executors import check_executors
from include.orchestration.parsing.invalid_config import unreadable_model
from include.orchestration.runtime.run_reference import DAG_PREFIX, SCORING_PREFIX
from include.retraining.config.model import ModelConfig, load_model, model_names
from include.retraining.config.scoring import Scoring
from include.retraining.exceptions import RetrainingError

log = logging.getLogger(__name__)


def model_dags(make: Callable[[ModelConfig], DAG]) -> list[DAG]:
    """Return the DAG of each model; in a running task that of its own model only.

    So what a task pays for its parse does not grow with the number of models.
    """
    return [_model_dag(name, make) for name in _names(DAG_PREFIX)]


def scoring_dags(make: Callable[[ModelConfig, Scoring], DAG]) -> list[DAG]:
    """Return the DAG of each model that scores; in a running task that of its own model only.

    A model whose configuration is wrong has none: the DAG that should retrain it says so.
    """
    dags = []
    for name in _names(SCORING_PREFIX):
        try:
            config = load_model(name)
            if config.scoring is not None:
                check_executors(config)
                dags.append(make(config, config.scoring))
        except (RetrainingError, OSError, ValueError) as error:
            log.warning("there is no DAG that scores with %s: %s", name, error)
    return dags


def _names(prefix: str) -> list[str]:
    """Return the models whose DAGs of a prefix are to be built: for a running task one or none."""
    running = get_parsing_context().dag_id
    if running is None:
        return model_names()
    return [running.removeprefix(prefix)] if running.startswith(prefix) else []


def _model_dag(name: str, make: Callable[[ModelConfig], DAG]) -> DAG:
    try:
        config = load_model(name)
        check_executors(config)
        return make(config)
    except (RetrainingError, OSError, ValueError) as error:
        log.warning("%s%s only says what is wrong: %s", DAG_PREFIX, name, error)
        return unreadable_model(name, str(error))
