"""The sample policies of deploy/iam, held against what the code asks of S3.

moto enforces the policies of the roles: a run is planned, trained, judged, promoted and read, each
part with the keys of its role alone. moto knows no conditions, so the bucket's policy is held
against the requests that went through a proxy meanwhile.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from include.local_airflow.demo import samples
from include.retraining.__main__ import main
from include.retraining.config.model import load_model
from include.retraining.decisions.record import Outcome
from include.retraining.exceptions import StoreRefused
from include.retraining.monitoring.grade import read_grades
from include.retraining.notifications import outbox
from include.retraining.notifications.notice import Notice
from include.retraining.registry.promotion_log import PromotionLog, serving_of
from include.retraining.runs.journal import follow_jobs, open_runs, record_run_start
from include.retraining.runs.manifest import TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.scoring.partitions import Demand, partitions_to_score
from include.retraining.scoring.plan import plan_scoring, read_plan
from include.retraining.scoring.record import record_of_result
from include.retraining.scoring.result import read_score_result
from include.retraining.scoring.state import scoring_state
from include.retraining.serving.champion import load_champion
from include.retraining.steps.decide import check_quality, deploy
from include.retraining.steps.runner import run_steps
from include.retraining.store.layout import (
    OPEN_JOBS,
    OPEN_SCORING_JOBS,
    RunPaths,
    promotion_key,
    version_manifest_key,
)
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import OPTIONS_VARIABLE
from include.retraining.watch import heartbeat
from tests.support.apples import NAME, deliver, harvest, paths_of, plan
from tests.support.promoted_samples import promote_sample
from tests.support.s3_roles import FOLDER, PREFIX, Roles, policy, s3_roles

SAMPLE = "diabetes_progression"

pytest_plugins = ("tests.support.apples_fixtures",)


def statements(name: str, effect: str) -> Iterator[tuple[set[str], list[str]]]:
    """Yield the actions and the key patterns of a policy's statements with that effect."""
    for statement in policy(name)["Statement"]:
        if statement["Effect"] == effect:
            actions, resources = statement["Action"], statement["Resource"]
            actions = {actions} if isinstance(actions, str) else set(actions)
            resources = [resources] if isinstance(resources, str) else resources
            arn = f"arn:aws:s3:::BUCKET/{PREFIX}/"
            yield actions, [one.removeprefix(arn) for one in resources if one.startswith(arn)]


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roles]:
    """Each role with its policy and its keys, and `owner`, who may do everything."""
    with s3_roles(tmp_path_factory.mktemp("moto")) as found:
        yield found


def test_each_role_can_do_its_part(
    roles: Roles, apples_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole way from plan to reader, and what must be create-only asks for it itself."""

    def becomes(role: str) -> None:
        monkeypatch.setenv(OPTIONS_VARIABLE, json.dumps(roles.keys[role]))

    owner, promoter = roles.store("owner"), roles.store("promoter")
    initialise(roles.uri, roles.keys["owner"])
    deliver(owner)
    roles.proxy.requests.clear()
    roles.proxy.unconditional.clear()

    manifest = plan(promoter)
    paths = paths_of(manifest)
    assert promoter.create(paths.job(1), b"{}")
    becomes("trainer")
    assert roles.store("trainer").create(paths.job_started(1), b"{}")
    assert run_steps(["validate", "train", "evaluate"], paths.uri(roles.uri), "0-1") == 0
    run = RunRef(NAME, manifest.dag_id, manifest.run_id, manifest.run_after, 0, manifest.cause)
    assert check_quality(promoter, run).passed
    assert deploy(promoter, run, actor="dag").outcome is Outcome.PROMOTED
    assert run_steps(["card"], paths.uri(roles.uri), "0-1") == 0
    deliver(owner, harvest(seed=2, first_id=1_000))
    later = plan(promoter, "manual__2")
    assert run_steps(["grade"], paths_of(later).uri(roles.uri), "0-1") == 0
    (grade,) = read_grades(roles.store("pages"), NAME)
    assert grade.score is not None
    notice = Notice(key="k", event="e", model=NAME, text="hello", created_at=manifest.run_after)
    assert outbox.deliver(promoter, notice, lambda _: None)
    heartbeat.write_heartbeat(promoter, [])
    record_run_start(promoter, run, airflow="http://here")
    follow_jobs(promoter, run.paths, 0)
    for marker in (*open_runs(promoter), *open_runs(promoter, OPEN_JOBS)):
        roles.remove("promoter", marker.key)
    assert promoter.create("outbox/sent/k.json", b"{}")
    roles.remove("promoter", "outbox/k.json")

    becomes("reader")
    monkeypatch.setenv("RETRAINING_STORE", roles.uri)
    for command in ("champion", "history", "verify"):
        assert main([command, NAME]) == 0, command
    reader = roles.store("reader")
    serving = PromotionLog(reader, NAME).serving()
    assert serving is not None
    champion = load_champion(reader, NAME, trusted=())
    assert (champion.version, champion.generation) == (serving.version, 1)

    parts = ("/promotions/", "/decisions/", "/grades/", "/manifest.json", "/verdict-0.json")
    assert_create_only(roles, *parts)


def assert_create_only(roles: Roles, *parts: str) -> None:
    """Assert that what the bucket's policy guards was asked for as create-only, and these were."""
    guarded = [
        pattern
        for actions, patterns in statements("bucket-policy", "Deny")
        if actions == {"s3:PutObject"}
        for pattern in patterns
    ]
    assert guarded

    def is_guarded(key: str) -> bool:
        return any(fnmatch.fnmatchcase(key, pattern) for pattern in guarded)

    assert [key for key in roles.replacing() if is_guarded(key)] == []
    written = {key for key in roles.asked("PUT") if is_guarded(key)}
    for part in parts:
        assert any(part in key for key in written), (part, written)


def test_the_scorer_can_do_its_part(roles: Roles, monkeypatch: pytest.MonkeyPatch) -> None:
    """A promoter plans and records what a scorer scores, all of it create-only where it counts."""
    owner, promoter = roles.store("owner"), roles.store("promoter")
    initialise(roles.uri, roles.keys["owner"])
    entry = promote_sample(owner, SAMPLE)
    samples.land_input(owner, SAMPLE)
    config = load_model(SAMPLE)
    cause = TriggeredBy(run_type="manual")
    roles.proxy.requests.clear()
    roles.proxy.unconditional.clear()
    now = entry.created_at
    run = RunRef(SAMPLE, config.scoring_dag_id, "manual__1", now, 0, cause, "scoring")
    due = partitions_to_score(promoter, config, entry, Demand(today=now.date()))
    plan_scoring(promoter, config, run, due, serving_of(entry), now=now)
    follow_jobs(promoter, run.paths, 0)
    (marker,) = open_runs(promoter, OPEN_SCORING_JOBS)
    roles.remove("promoter", marker.key)
    assert promoter.create(run.paths.job(1), b"{}")

    monkeypatch.setenv(OPTIONS_VARIABLE, json.dumps(roles.keys["scorer"]))
    assert roles.store("scorer").create(run.paths.job_started(1), b"{}")
    assert run_steps(["score"], run.paths.uri(roles.uri), "0-1") == 0
    result = read_score_result(promoter, run.paths, read_plan(promoter, run.paths))
    record_of_result(promoter, run, result)
    assert_create_only(roles, "/scoring/", "/scored/", f"scores/{SAMPLE}/00000001.json")
    state = scoring_state(roles.store("pages"), SAMPLE)
    assert state is not None
    assert state.newest == result.partitions[0]


def is_refused(act: Callable[[], Any]) -> bool:
    """Return whether the store denies something."""
    try:
        act()
    except StoreRefused:
        return True
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "AccessDenied")
    return False


@pytest.mark.fault("M11")
def test_nobody_can_do_another_s_part(roles: Roles) -> None:
    """A trainer promotes nothing, a promoter makes no version, a reader writes nothing."""
    run, owner = RunPaths(NAME, "20261124T060000-x-0123abcd"), roles.store("owner")
    log = promotion_key(NAME, 7)
    version = version_manifest_key(NAME, "0123456789abcdef")
    there = (log, version, run.manifest, run.decision(0), "outbox/k.json", "landing/data.csv")
    for key in there:
        owner.write(key, b"{}")
    cannot_write = {
        "trainer": (
            log,
            run.manifest,
            run.begun,
            run.verdict(0),
            run.approval(0),
            run.job(2),
            run.decision(1),
            "outbox/other.json",
            "watch/last.json",
            "landing/data.csv",
            "store.json",
        ),
        "scorer": (log, version, run.manifest, run.decision(1), "landing/data.csv", "store.json"),
        "promoter": (version, "landing/data.csv", "store.json", "scores/x"),
        "pages": (log, version, run.decision(1), run.result("train"), "outbox/other.json"),
        "reader": (log, version, run.result("train"), "outbox/other.json"),
        "cleaner": (log, version, run.result("train")),
    }
    for role, keys in cannot_write.items():
        store = roles.store(role)
        for key in keys:
            assert is_refused(lambda store=store, key=key: store.write(key, b"x")), (role, key)
    cannot_remove = dict.fromkeys(("trainer", "scorer", "pages", "reader"), there)
    # A promoter moves messages that were sent.
    cannot_remove["promoter"] = tuple(key for key in there if not key.startswith("outbox/"))
    for role, keys in {**cannot_remove, "cleaner": (log, run.decision(0))}.items():
        for key in keys:
            assert is_refused(lambda role=role, key=key: roles.remove(role, key)), (role, key)
    for key in ("outbox/k.json", run.manifest, run.decision(0), "landing/data.csv"):
        assert is_refused(lambda key=key: roles.store("reader").read(key)), key
    for key in (version, run.predictions, "landing/data.csv"):
        owner.write(key, b"{}")
        assert is_refused(lambda key=key: roles.store("pages").read(key)), key
    assert all(owner.read(key) == b"{}" for key in there)


def test_the_cleaner_removes_what_nobody_needs(roles: Roles) -> None:
    """It may list and remove versions and sent messages."""
    owner = roles.store("owner")
    for key in (f"models/{NAME}/versions/old/0-1/model.skops", "outbox/old.json"):
        owner.write(key, b"x")
        roles.remove("cleaner", key)
        assert not owner.exists(key)


def test_the_bucket_keeps_the_log_whoever_asks() -> None:
    """Nobody removes or replaces an entry of the log or a record, whatever role they have."""
    log, record = f"models/{NAME}/promotions/00000001.json", f"models/{NAME}/decisions/x.000.json"
    for action in ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"):
        patterns = [
            pattern
            for actions, found in statements("bucket-policy", "Deny")
            if action in actions
            for pattern in found
        ]
        for key in (log, record):
            assert any(fnmatch.fnmatchcase(key, one) for one in patterns), (action, key)
    conditions = [
        statement["Condition"]
        for statement in policy("bucket-policy")["Statement"]
        if statement["Action"] == "s3:PutObject"
    ]
    # AWS: "Enforce conditional writes on Amazon S3 buckets"; parts of an upload carry no header.
    assert conditions == [
        {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
    ]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda file: file.stem)
def test_a_policy_is_what_aws_takes(file: Path) -> None:
    """Version, sids that are words, and nothing allowed on everything."""
    document = json.loads(file.read_text())
    assert document["Version"] == "2012-10-17"
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(sids)) == len(sids)
    assert all(re.fullmatch(r"[A-Za-z0-9]+", sid) for sid in sids)
    for statement in document["Statement"]:
        assert ("Principal" in statement) == (file.stem == "bucket-policy")
        if statement["Effect"] == "Allow":
            assert not any(action.endswith("*") for action in statement["Action"])
            if "*" in statement["Resource"]:  # AWS Batch knows no other for these
                assert statement["Sid"] == "WatchJobs"
    assert len(json.dumps(document, separators=(",", ":"))) < 2048, (
        "the least limit: an inline user"
    )
