"""What starts a run before its schedule: the asset of a model's deliveries, and other assets."""

from __future__ import annotations

from airflow.sdk import Asset, AssetAny, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable
from airflow.sdk.definitions.asset import AssetUriRef, BaseAsset

from include.orchestration.parsing.schedule import timetable
from include.orchestration.runtime.events import delivery_asset_name
from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import ConfigError


def delivery_asset(config: ModelConfig) -> Asset:
    """Return the asset whose events say that a model's flag landed.

    Each model has it, so that the Assets view shows data, model and scores as one chain. It is
    watched where the model's YAML says that deliveries start a run.
    """
    name, on, flag = delivery_asset_name(config.name), config.trigger.on, config.trigger.flag
    watchers = []
    if on is not None and on.delivery:
        watchers = [flag_watcher(config, name, flag, field="trigger.on.delivery")]
    return Asset(name, watchers=watchers)


def event_inlets(config: ModelConfig) -> list[Asset]:
    """Return what a task must have as inlets to ask which events came; nothing where none do."""
    return [] if config.trigger.on is None else [delivery_asset(config)]


def run_schedule(config: ModelConfig) -> CronTriggerTimetable | AssetOrTimeSchedule | None:
    """Return when a model is retrained: by its events, and by the clock behind them.

    Any one event starts a run, never only all of them together: an event wakes, and the flag says
    whether there is something to do.

    Raises:
        ConfigError: for a schedule that never comes.
    """
    by_the_clock, on = timetable(config), config.trigger.on
    if on is None or by_the_clock is None:
        return by_the_clock
    assets: list[BaseAsset] = [AssetUriRef(uri) for uri in on.assets]
    if on.delivery:
        assets.append(delivery_asset(config))
    return AssetOrTimeSchedule(timetable=by_the_clock, assets=AssetAny(*assets))


def flag_watcher(config: ModelConfig, asset: str, flag: str, *, field: str) -> AssetWatcher:
    """Return what updates an asset when a flag of a model lands.

    Args:
        config: the model's.
        asset: the asset's name.
        flag: as in the model's YAML.
        field: of the YAML that asks for it, for the error.

    Raises:
        ConfigError: when this Airflow has no plugin that watches.
    """
    # It lies in `plugins/`, because it runs in the triggerer, which knows no bundle.
    try:
        from delivery_events import DeliveryTrigger  # type: ignore[import-not-found]
    except ImportError as error:
        raise ConfigError(
            f"include/models/{config.name}.yaml: {field}: this Airflow has no plugin "
            "that watches deliveries: its plugins folder must be this repository's `plugins/`"
        ) from error
    trigger = DeliveryTrigger(
        asset=asset,
        flag=flag,
        timezone=config.trigger.timezone,
        poke_seconds=config.trigger.poke_seconds,
    )
    return AssetWatcher(name=f"{asset}_flag", trigger=trigger)
