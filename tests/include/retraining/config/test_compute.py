"""Where a step may run: what a model's YAML may say, and what comes of it for a delivery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from include.retraining.config.batch_compute import BatchCompute
from include.retraining.config.compute import ComputeBySteps, resolve
from include.retraining.config.fargate import FARGATE_SIZES, fargate_size
from include.retraining.config.kubernetes_compute import KubernetesCompute
from include.retraining.config.lambda_compute import LambdaCompute
from include.retraining.config.model import MODELS_FOLDER, parse_model
from include.retraining.config.step_compute import LocalCompute
from include.retraining.exceptions import ConfigError

DIGEST = f"registry.example/train@sha256:{'a' * 64}"
GIB = 2**30


def batch(**changes: Any) -> dict[str, Any]:
    """A step on AWS Batch."""
    values = {"backend": "batch", "image": DIGEST, "queue": "train", "job_definition": "train:3"}
    return {**values, "cpu": 2, "memory": "4GiB", **changes}


def kubernetes(**changes: Any) -> dict[str, Any]:
    """A step on Kubernetes."""
    values = {"backend": "kubernetes", "image": DIGEST, "namespace": "ml"}
    return {**values, "cpu": 2, "memory": "4GiB", **changes}


def on_lambda(**changes: Any) -> dict[str, Any]:
    """A step on AWS Lambda."""
    values = {"backend": "lambda", "image": DIGEST, "function": "train:3", "memory": "4GiB"}
    return {**values, **changes}


def parsed(compute: Any) -> ComputeBySteps:
    """The section as a model's YAML leads to it."""
    text = (MODELS_FOLDER / "diabetes_progression.yaml").read_text()
    values = {**yaml.safe_load(text), "compute": compute}
    return parse_model(yaml.safe_dump(values), where="toy.yaml").compute


def without(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The values but for one."""
    return {field: value for field, value in values.items() if field != name}


REFUSED = [
    ({"backend": "bach"}, ".backend: 'bach' is not a backend (did you mean 'batch'?); allowed: lo"),
    (
        {"backend": ["batch"]},
        ".backend: \"['batch']\" is not a backend",
    ),
    ("local", ": must be a mapping of fields"),
    ({"image": "x"}, ".image: is not a field; allowed: cpu, memory, timeout_seconds, backend, que"),
    ({"queue": "a,b"}, ".queue: String should match pattern"),
    ({"executor": "Local Executor"}, ".executor: String should match pattern"),
    ({"cpu": 1.5}, ".cpu: 1.5 CPUs: allowed are whole numbers"),
    ({"cpu": True}, ".cpu: True is no number of CPUs; allowed: for example 2, or a mapping of per"),
    ({"cpu": 1e9}, ".cpu: 1e+09 CPUs are more than any machine has; at most 2048"),
    ({"cpu": {"per_gib_of_data": 1, "min": 1, "max": 1e9}}, ".cpu.max: Input should be less than"),
    ({"memory": "40000GiB"}, ".memory: '40000GiB' is more than any machine has; at most 32768GiB"),
    ({"memory": "4 GB"}, ".memory: '4 GB' is no amount of memory; allowed: for example 512MiB or"),
    ({"memory": "4G"}, ".memory: '4G' is no amount of memory"),
    ({"memory": "4gib"}, ".memory: '4gib' is no amount of memory"),
    ({"memory": "0GiB"}, ".memory: '0GiB' is no amount of memory"),
    ({"memory": "4GiB\n"}, ".memory: '4GiB\\n' is no amount of memory"),
    (
        {"memory": {"per_gib": 4}},
        ".memory.per_gib: is not a field (did you mean 'per_gib_of_data'?",
    ),
    (
        {"memory": {"per_gib_of_data": 4, "min_gib": 9, "max_gib": 2}},
        ".memory: min_gib 9 is above max_gib 2",
    ),
    ({"cpu": {"per_gib_of_data": 1, "min": 4, "max": 2}}, ".cpu: min 4 is above max 2"),
    ({"timeout_seconds": 15 * 86_400}, ".timeout_seconds: Input should be less than or equal to 1"),
    (without(batch(), "queue"), ".queue: is missing"),
    (without(batch(), "cpu"), ".cpu: is missing"),
    (without(batch(), "memory"), ".memory: is missing"),
    (batch(queue="a queue"), ".queue: String should match pattern"),
    (
        batch(quue="train"),
        ".quue: is not a field (did you mean 'queue'?); allowed: cpu, memory, ti",
    ),
    (batch(job_definition="train"), ".job_definition: 'train' names no revision, so it may be ano"),
    (batch(job_definition="train:0"), ".job_definition: 'train:0' names no revision"),
    (batch(image="train:latest"), ": image: 'train:latest' names no digest, so it may be another "),
    (batch(image=f"train@sha256:{'a' * 63}"), ": image: 'train@sha256:"),
    (batch(image="my train", allow_tag=True), ": image: 'my train' is not the name of an image"),
    (batch(cpu=0.5), ": cpu: 0.5 CPUs: allowed are whole numbers, 1 and more"),
    (batch(memory="3MiB"), ": memory: AWS Batch takes 4MiB and more"),
    (batch(timeout_seconds=59), ": timeout_seconds: 59 is less than AWS Batch takes; allowed: 60 "),
    (batch(spot_retries=10), ".spot_retries: Input should be less than or equal to 9"),
    (batch(tags={"aws:x": "y"}), ": tags: 'aws:x': 'aws:' and 'retraining-' are taken"),
    (batch(platform="fargate", gpu=1), ": gpu: Fargate has none; allowed: platform: ec2"),
    (
        batch(platform="fargate", cpu=3),
        ": cpu and memory: Fargate has no size of 3 CPUs with 4096MiB; allowed CPUs: 0.25, 0.5, 1,",
    ),
    (
        batch(platform="fargate", memory="40GiB"),
        ": cpu and memory: Fargate has no size of 2 CPUs with 40960MiB; allowed with 2 CPUs: 4096M",
    ),
    (without(kubernetes(), "namespace"), ".namespace: is missing"),
    (kubernetes(namespace="My_Space"), ".namespace: String should match pattern"),
    (kubernetes(memory_limit="1GiB"), ": memory_limit: 1GiB is below the 4096MiB asked for"),
    (kubernetes(cpu_limit=1), ": cpu_limit: 1 is below the 2 CPUs asked for"),
    (kubernetes(host_path="/"), ".host_path: is not a field; allowed: cpu, memory"),
    (
        kubernetes(tolerations=[{"key": "gpu", "operator": "Exists", "value": "x"}]),
        ".tolerations.0: value: `Exists` takes none",
    ),
    (
        kubernetes(secrets=[{"env": "A", "secret": "s", "key": "k"}] * 2),
        ": secrets: an environment variable is named twice",
    ),
    (without(on_lambda(), "function"), ".function: is missing"),
    (without(on_lambda(), "memory"), ".memory: is missing"),
    (on_lambda(function="train"), ".function: 'train' names no published version, so it may run"),
    (on_lambda(function="train:$LATEST"), ".function: 'train:$LATEST' names no published version"),
    (on_lambda(function="train:0"), ".function: 'train:0' names no published version"),
    (on_lambda(image="train:latest"), ": image: 'train:latest' names no digest, so it may be an"),
    (on_lambda(memory="127MiB"), ".memory: '127MiB' is no size of a function on AWS Lambda; all"),
    (on_lambda(memory="10241MiB"), ".memory: '10241MiB' is no size of a function on AWS Lambda;"),
    (
        on_lambda(memory={"per_gib_of_data": 4, "min_gib": 2, "max_gib": 8}),
        ".memory: {'max_gib': 8, 'min_gib': 2, 'per_gib_of_data': 4} is no amount of memory; allo",
    ),
    (on_lambda(cpu=2), ": cpu: on AWS Lambda it follows the memory, 4GiB come with 2.32 CPUs: lea"),
    (on_lambda(gpu=1), ".gpu: is not a field"),
    (on_lambda(timeout_seconds=901), ".timeout_seconds: Input should be less than or equal to 900"),
    (
        on_lambda(startup_timeout_seconds=21_601),
        ".startup_timeout_seconds: Input should be less than or equal to 21600",
    ),
]


@pytest.mark.fault("K12")
@pytest.mark.parametrize(("compute", "says"), REFUSED, ids=lambda item: str(item)[:50])
def test_what_a_platform_refuses_is_refused_when_the_yaml_is_read(compute: Any, says: str) -> None:
    """One line names the file, the field and what is allowed."""
    with pytest.raises(ConfigError) as refused:
        parsed({"train_model": compute})
    assert f"toy.yaml: compute.train_model{says}" in str(refused.value)


def test_a_step_that_says_nothing_runs_in_the_worker() -> None:
    """Local is the default, with no limit but the time."""
    found = parsed({}).train_model
    assert found == LocalCompute()
    assert (found.backend, found.threads, found.memory_mib) == ("local", None, None)
    assert (found.queue, found.executor) == ("training", None)


def test_a_tag_is_for_development() -> None:
    """An image may be named by a tag only where the model says so."""
    assert parsed({"train_model": batch(image="train:dev", allow_tag=True)})


def test_memory_grows_with_the_data_between_floor_and_ceiling() -> None:
    """4 GiB per GiB of data, at least 2, at most 64; a fraction is rounded up to a MiB."""
    rule = {"per_gib_of_data": 4, "min_gib": 2, "max_gib": 64}
    compute = parsed({"train_model": batch(memory=rule)}).train_model
    sizes = {0: 2048, GIB // 4: 2048, GIB: 4096, 10 * GIB: 40_960, 100 * GIB: 65_536, GIB + 1: 4097}
    assert {size: resolve(compute, size).memory_mib for size in sizes} == sizes


def test_cpus_grow_with_the_data_too() -> None:
    """Batch on EC2 takes whole CPUs, Kubernetes thousandths, the floor and ceiling are kept."""
    rule = {"per_gib_of_data": 0.5, "min": 1, "max": 8}
    on_batch = parsed({"train_model": batch(cpu=rule)}).train_model
    in_pod = parsed({"train_model": kubernetes(cpu=rule)}).train_model
    sizes = (0, 3 * GIB, 5 * GIB, 100 * GIB)
    assert [resolve(on_batch, size).cpu for size in sizes] == [1, 2, 3, 8]
    assert [resolve(in_pod, size).cpu for size in sizes] == [1, 1.5, 2.5, 8]
    assert resolve(in_pod, 5 * GIB).threads == 2


def test_fargate_gets_the_next_size_that_exists() -> None:
    """CPU and memory are rounded up to a pair that Fargate has."""
    rule = {"per_gib_of_data": 4, "min_gib": 8, "max_gib": 30}
    compute = parsed({"train_model": batch(platform="fargate", cpu=4, memory=rule)}).train_model
    resolved = resolve(compute, 3 * GIB + GIB // 10)
    assert (resolved.cpu, resolved.memory) == (4, "13312MiB")


def test_every_size_of_fargate_is_its_own_answer() -> None:
    """What exists is taken as it is, and one MiB more leads to the next."""
    for cpu, sizes in FARGATE_SIZES.items():
        for mib in sizes:
            assert fargate_size(cpu, mib) == (cpu, mib)
            if mib != sizes[-1]:
                assert fargate_size(cpu, mib + 1) == (cpu, sizes[sizes.index(mib) + 1])
    with pytest.raises(ValueError, match="no size of 16 CPUs with 122881MiB"):
        fargate_size(16, 122_881)


@pytest.mark.parametrize(("memory", "cpu"), [("128MiB", 0.07), ("1769MiB", 1), ("10GiB", 5.79)])
def test_the_cpus_of_a_function_follow_its_memory(memory: str, cpu: float) -> None:
    """They are part of what a plan pins and a record says, and the resolved values are valid."""
    resolved = resolve(parsed({"train_model": on_lambda(memory=memory)}).train_model, GIB)
    assert resolved.cpu == cpu
    assert LambdaCompute.model_validate(resolved.model_dump(mode="json")) == resolved


def test_a_function_is_a_name_and_a_version() -> None:
    """By its name or its ARN; the version is what an invocation is qualified with."""
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:train"
    for name in ("train", arn):
        compute = parsed({"train_model": on_lambda(function=f"{name}:12")}).train_model
        assert isinstance(compute, LambdaCompute)
        assert (compute.function_name, compute.version) == (name, "12")


def test_one_job_fits_into_the_time_of_a_function() -> None:
    """Steps of one invocation share its 900 s; more is refused when the YAML is read."""
    steps = ("validate_data", "train_model", "evaluate_model")
    fits = {step: on_lambda(timeout_seconds=300) for step in steps}
    compute = parsed({**fits, "one_job": True})
    assert compute.timeout_seconds(compute.together("validate")) == 900
    says = "validate and train and evaluate together may take 901 s .*at most 900 s"
    with pytest.raises(ConfigError, match=says):
        parsed({**fits, "train_model": on_lambda(timeout_seconds=301), "one_job": True})


def test_steps_with_the_same_compute_can_be_one_job() -> None:
    """Steps that follow each other share a start; a task starts only its own step and the next."""
    compute = parsed({
        "validate_data": batch(timeout_seconds=60),
        "train_model": batch(timeout_seconds=600),
        "evaluate_model": batch(timeout_seconds=120),
        "one_job": True,
    })
    assert compute.together("validate") == ("validate", "train", "evaluate")
    assert compute.together("train") == ("train", "evaluate")
    assert compute.together("evaluate") == ("evaluate",)
    assert compute.together("card") == ("card",)
    assert compute.timeout_seconds(compute.together("validate")) == 780


@pytest.mark.parametrize("other", [batch(memory="8GiB"), kubernetes(), {}], ids=str)
def test_one_job_ends_where_the_compute_differs(other: dict[str, Any]) -> None:
    """A step with other resources, or on another backend, has a job of its own."""
    compute = parsed({
        "validate_data": batch(),
        "train_model": batch(),
        "evaluate_model": other,
        "one_job": True,
    })
    assert compute.together("validate") == ("validate", "train")
    assert compute.together("evaluate") == ("evaluate",)


def test_one_job_that_cannot_be_is_refused() -> None:
    """Local steps, and steps that all differ, have nothing to share."""
    with pytest.raises(ConfigError, match="compute: one_job: no two steps that follow each other"):
        parsed({"one_job": True})
    with pytest.raises(ConfigError, match="one_job"):
        parsed({"validate_data": batch(), "evaluate_model": batch(), "one_job": True})


def test_without_one_job_each_step_has_its_own() -> None:
    """Sharing a start is asked for, never assumed."""
    compute = parsed({"validate_data": batch(), "train_model": batch()})
    assert compute.together("validate") == ("validate",)


def test_how_long_a_step_may_take_counts_the_wait_for_a_machine() -> None:
    """A queue, a pod's start and lost hosts are part of a run's time limit."""
    compute = parsed({
        "train_model": batch(timeout_seconds=600, runnable_timeout_seconds=300, spot_retries=2),
        "evaluate_model": kubernetes(timeout_seconds=600, startup_timeout_seconds=100),
        "validate_data": on_lambda(timeout_seconds=600, startup_timeout_seconds=50),
    })
    assert compute.validate_data.max_seconds == 650
    assert compute.train_model.max_seconds == 2700
    assert compute.evaluate_model.max_seconds == 700
    assert isinstance(compute.train_model, BatchCompute)
    assert isinstance(compute.evaluate_model, KubernetesCompute)


def test_a_plan_says_in_words_what_a_step_gets() -> None:
    """The backend, the CPUs, the GPUs and the memory."""
    compute = parsed({"train_model": batch(gpu=1)})
    assert resolve(compute.train_model, 0).summary == "batch, 2 CPUs, 1 GPUs, 4096MiB"
    assert resolve(compute.validate_data, 0).summary == "local, all CPUs, memory of the worker"


def test_the_default_python_is_that_of_the_training_image() -> None:
    """What names a version is the Python that trains: the Dockerfile and the default agree."""
    dockerfile = (Path(__file__).parents[4] / "Dockerfile").read_text()
    python = BatchCompute.model_fields["python"].default
    assert f"FROM python:{python}-slim-bookworm AS training" in dockerfile
