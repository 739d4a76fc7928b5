"""What cannot be scored stops no other partition, and is remembered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from include.retraining.exceptions import ConfigError
from include.retraining.scoring.partitions import Demand, Due, partitions_to_score
from include.retraining.scoring.record import (
    ScoreOutcome,
    find_record,
    record_of_refusals,
    write_record,
)
from include.retraining.scoring.refusals import keep_refusals
from tests.support.scored_toys import TODAY, ScoringToy, day, make_scoring_toy, rows_to_score
from tests.support.toy_models import Toy

MakeToy = Callable[..., Toy]


def due(toy: ScoringToy) -> Due:
    """What is due today."""
    champion = toy.log.champion()
    assert champion is not None
    return partitions_to_score(toy.store, toy.toy.config, champion, Demand(today=TODAY))


def lay_parquet_beside(toy: ScoringToy, back: int) -> None:
    """Make a day's input one that cannot be accepted: its CSV has a Parquet file beside it."""
    toy.land(back, rows_to_score(), as_csv=True)
    folder = f"landing/new/{day(back)}"
    toy.store.write(f"{folder}/more.parquet", b"x")
    toy.store.write(f"{folder}/_SUCCESS", b"again")


@pytest.mark.fault("S09")
def test_an_input_that_changed_behind_its_flag_stops_no_other(make_toy: MakeToy):
    """The others are scored and in the result and the record, and the next run pins it anew."""
    toy = make_scoring_toy(make_toy)
    version = toy.promote(1)
    toy.land(1, rows_to_score(1))
    toy.land(0, rows_to_score(2))
    job = toy.plan()
    assert job is not None
    other = rows_to_score(3).to_parquet(index=False)
    toy.store.write(f"landing/new/{day(0)}/rows.parquet", other)
    toy.store.write(f"landing/new/{day(1)}/other.txt", b"not of the delivery")
    result = toy.finish(job)
    assert [one.name for one in result.partitions] == [str(day(1))]
    assert [(one.name, one.kind) for one in result.failed] == [(str(day(0)), "data_changed")]
    record = find_record(toy.store, toy.run_ref())
    assert record is not None
    assert (record.outcome, record.partitions) == (ScoreOutcome.FAILED, result.partitions)
    assert f"{day(0)} could not be scored" in record.reason
    toy.land(0, rows_to_score(3))
    toy.run()
    assert toy.versions(0, 1) == [version, version]


@pytest.mark.fault("S09")
def test_an_input_that_cannot_be_accepted_stops_no_other(make_toy: MakeToy):
    """A bad newest day is refused by file, once, and the day before is scored."""
    toy = make_scoring_toy(make_toy)
    version = toy.promote(1)
    toy.land(1, rows_to_score(1))
    lay_parquet_beside(toy, 0)
    result = toy.run()
    assert result is not None
    assert [one.name for one in result.partitions] == [str(day(1))]
    (refused,) = result.refused
    assert (refused.name, refused.version) == (str(day(0)), version)
    assert "mixed" in refused.why
    assert due(toy) == Due(())
    toy.store.write(f"landing/new/{day(0)}/_SUCCESS", b"still mixed")
    assert [one.name for one in due(toy).refused] == [str(day(0))]
    toy.land(0, rows_to_score(2))
    toy.run()
    assert toy.versions(0) == [version]


def test_a_day_that_is_scored_is_not_refused_for_what_was_laid_beside_it_since(make_toy: MakeToy):
    """Under the same flag only a day that is to be scored can be refused."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    toy.run()
    toy.store.write(f"landing/new/{day(0)}/more.csv", b"x")
    assert due(toy) == Due(())


def test_only_inputs_that_cannot_be_accepted_make_a_record(make_toy: MakeToy):
    """Its reason names the first, and how many more there are."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    lay_parquet_beside(toy, 0)
    lay_parquet_beside(toy, 1)
    toy.runs = 1
    refused = due(toy).refused
    record = record_of_refusals(toy.store, toy.run_ref(), refused, failed_task="plan_scoring")
    assert record.reason.startswith(f"{day(0)} is refused, and 1 more: ")
    assert (record.outcome, record.refused) == (ScoreOutcome.REFUSED, refused)
    keep_refusals(toy.store, toy.toy.name, refused)
    assert due(toy) == Due(())


@pytest.mark.fault("S04")
def test_a_refusal_is_remembered_however_many_runs_follow(make_toy: MakeToy):
    """An input that was refused is not tried again as it is after any number of records."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    bad = rows_to_score()
    bad.loc[3, "a"] = np.inf
    toy.land(0, bad)
    assert toy.run() is not None
    for _ in range(25):
        toy.runs += 1
        write_record(toy.store, toy.run_ref(), ScoreOutcome.FAILED, "the disk was full")
    assert toy.run() is None
    assert toy.run(only=day(0)) is not None


def test_scores_are_not_laid_among_the_records_of_the_store(make_toy: MakeToy):
    """An output that is given as an address into the store is refused as a relative one is."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    scoring = toy.toy.config.scoring
    assert scoring is not None
    inside = scoring.model_copy(update={"output": f"{toy.store.uri}/models/x/{{date}}"})
    champion = toy.log.champion()
    assert champion is not None
    config = toy.toy.config.model_copy(update={"scoring": inside})
    with pytest.raises(ConfigError, match=r"scoring\.output: 'models/x/.date.' lies"):
        partitions_to_score(toy.store, config, champion, Demand(today=TODAY))
