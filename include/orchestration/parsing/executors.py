"""Refuse a model that names an executor which this Airflow does not have."""

from __future__ import annotations

from include.retraining.config.compute import AnyCompute
from include.retraining.config.model import ModelConfig
from include.retraining.config.step_compute import LocalCompute
from include.retraining.exceptions import ConfigError


def check_executors(config: ModelConfig) -> None:
    """Check that Airflow has the executors that a model's steps name.

    Airflow refuses such a task too, and then the model has no DAG at all.

    Raises:
        ConfigError: naming the field and the executors that there are.
    """
    compute = config.compute
    steps: dict[str, AnyCompute] = {
        "compute.validate_data": compute.validate_data,
        "compute.train_model": compute.train_model,
        "compute.evaluate_model": compute.evaluate_model,
    }
    if config.scoring is not None:
        steps["scoring.compute"] = config.scoring.compute
    for field, step in steps.items():
        if not isinstance(step, LocalCompute) or step.executor is None:
            continue
        known, shown = _configured()
        if step.executor not in known:
            raise ConfigError(
                f"{config.name}.yaml: {field}.executor: {step.executor!r} is none of this "
                f"Airflow's executors; there are: {', '.join(shown)} (AIRFLOW__CORE__EXECUTOR)"
            )


def _configured() -> tuple[set[str], list[str]]:
    """Return every name by which an executor may be called, and one name of each."""
    # Airflow has imported it by the time that it parses a DAG file: it checks the names with it.
    from airflow.executors.executor_loader import ExecutorLoader

    known, shown = set[str](), list[str]()
    for executor in ExecutorLoader.get_executor_names(validate_teams=False):
        class_name = executor.module_path.rpartition(".")[2]
        known |= {executor.module_path, class_name, executor.alias or class_name}
        shown.append(executor.alias or class_name)
    return known, shown
