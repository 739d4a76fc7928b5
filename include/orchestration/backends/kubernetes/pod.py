"""The pod of a claimed job: the provider's operator with this repository's defaults.

The one file that imports the Kubernetes provider at module level. It is imported when a task
executes and never by a DAG file: the provider's operator alone doubles the time of a parse.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import pendulum
from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import generic_api_retry
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.providers.cncf.kubernetes.utils.pod_manager import detect_pod_terminate_early_issues
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import Context
from kubernetes.client import models as k8s  # type: ignore[import-untyped]
from kubernetes.client.exceptions import ApiException  # type: ignore[import-untyped]
from urllib3.exceptions import HTTPError

from include.orchestration.backends.kubernetes.failure import phase_of
from include.retraining.config.kubernetes_compute import KubernetesCompute
from include.retraining.exceptions import JobKilled

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

    from include.retraining.runs.claims import JobClaim

CONTAINER = "job"
LOG_SECONDS = 10
"""How often the triggerer takes over what the pod has logged."""
LOG_OVERLAP = timedelta(seconds=2)
"""What the watch may have missed of the log: a second, and the time of a request."""
GRACE_SECONDS = 5
PROVIDER_ERRORS = (AirflowException, ApiException, HTTPError)
"""What the provider raises when a pod failed, and when the cluster refuses or does not answer."""


class JobPodOperator(KubernetesPodOperator):
    """Makes the pod of a claim, or adopts it, and waits for its end in the triggerer.

    The provider finds a task's pod again by the task's labels or by what it put into the task's
    state. Both outlive a clear, so it would take an old pod for the new one, and neither is there
    yet when a worker dies between the request and the answer. Here the claim, written before any
    request, is what lasts: its name is the pod's, and the cluster makes one pod of a name.
    """

    def __init__(
        self,
        *,
        claim: JobClaim,
        arguments: Sequence[str],
        environment: dict[str, str],
        is_new: bool,
        result_uri: str | None,
        **kwargs: Any,
    ) -> None:
        """Describe the pod.

        Args:
            claim: the job's.
            arguments: of the image's entry point.
            environment: plain variables; no secret among them.
            is_new: whether the pod was not requested before.
            result_uri: address of the result that ends the wait, when the pod runs on after it.
            kwargs: of any operator.
        """
        compute = KubernetesCompute.model_validate(claim.compute)
        super().__init__(
            name=claim.name,
            labels={
                "retraining-job": claim.name,
                "retraining-attempt": claim.attempt_id,
                "retraining-steps": make_safe_label_value(".".join(claim.steps)),
            },
            arguments=list(arguments),
            env_vars=_environment(compute, environment),
            **_from_compute(compute),
            **_same_for_every_pod(),
            **kwargs,
        )
        self.is_new = is_new
        self.result_uri = result_uri
        self._reference = k8s.V1Pod(
            metadata=k8s.V1ObjectMeta(name=claim.name, namespace=compute.namespace)
        )

    def get_or_create_pod(self, pod_request_obj: k8s.V1Pod, context: Context) -> k8s.V1Pod:  # noqa: ARG002 the provider's signature
        """Make the pod once, and adopt it ever after."""
        self.pod = pod_request_obj  # from here on, a kill deletes it
        if self.is_new:
            return self._create_or_adopt(pod_request_obj)
        return self.pod_manager.read_pod(self._reference)

    def defer(
        self,
        *,
        trigger: BaseTrigger,
        method_name: str,
        kwargs: dict[str, Any] | None = None,
        timeout: timedelta | float | None = None,
    ) -> NoReturn:
        """Wait for the pod's end, or for the step's result where the pod runs on after it.

        Raises:
            JobKilled: when the task was killed meanwhile, so that a kill never ends as a wait.
        """
        from pod_triggers import JobPodTrigger  # type: ignore[import-not-found]

        if self._killed:
            raise JobKilled("the task was killed")
        if isinstance(trigger, KubernetesPodTrigger):
            # The provider hands over the connection's extra, with the kubeconfig and its token, and
            # Airflow stores what a trigger holds in clear. The triggerer looks it up by its name.
            trigger.connection_extras = None
        if self.result_uri is not None:
            trigger = JobPodTrigger(
                pod=trigger.serialize()[1],
                result_uri=self.result_uri,
                poll_seconds=self.poll_interval,
            )
        super().defer(trigger=trigger, method_name=method_name, kwargs=kwargs, timeout=timeout)

    def read(self) -> k8s.V1Pod | None:
        """Return the pod as the cluster shows it, None when there is none.

        Raises:
            ApiException: when the cluster refuses.
            HTTPError: when it does not answer.
        """
        try:
            return self.pod_manager.read_pod(self._reference)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def is_hopeless(self, pod: k8s.V1Pod) -> bool:
        """Return whether the provider gives a Pending pod up before its time."""
        return detect_pod_terminate_early_issues(pod) is not None

    def warnings(self) -> list[k8s.CoreV1Event]:
        """Return the cluster's warnings about the pod, oldest first."""
        events = self.pod_manager.read_pod_events(self._reference).items
        return [event for event in events if event.type == "Warning"]

    def show_log(self, since: Any) -> None:
        """Write what the pod has logged until now; that it cannot be read is no failure."""
        try:
            pod = self.read()
            if pod is not None:
                self._write_logs(pod, since_time=since)
        except PROVIDER_ERRORS as error:
            self.log.warning("the pod's log cannot be read: %s", error)

    def delete(self) -> None:
        """Delete the pod, if it is there."""
        self.pod_manager.delete_pod(self._reference)

    @generic_api_retry  # type: ignore[untyped-decorator]
    def _create_or_adopt(self, request: k8s.V1Pod) -> k8s.V1Pod:
        """Ask for the pod; when an answer was lost, the repeated request meets the first's pod."""
        metadata = self._reference.metadata
        try:
            return self.client.create_namespaced_pod(namespace=metadata.namespace, body=request)
        except ApiException as error:
            if error.status != 409:
                raise
        self.log.info("the pod %s is there already: adopted", metadata.name)
        return self.pod_manager.read_pod(self._reference)

    def _write_logs(  # type: ignore[override]
        self, pod: k8s.V1Pod, follow: bool = False, since_time: Any = None
    ) -> None:
        """Write the log, of which a pod that never started has none."""
        if pod.status.phase == "Pending":
            return
        if since_time is not None:
            # The provider's watch leaves out the second that it looks in, and names the moment of
            # its look as what to go on from: lines before it in that second would be in no log.
            since_time = pendulum.parse(str(since_time)) - LOG_OVERLAP
        super()._write_logs(pod, follow=follow, since_time=since_time)


def _from_compute(compute: KubernetesCompute) -> dict[str, Any]:
    """Return the provider's arguments that the model's YAML sets."""
    return {
        "kubernetes_conn_id": compute.connection,
        "namespace": compute.namespace,
        "image": compute.image,
        # A digest is the same image for ever, a tag is not.
        "image_pull_policy": "IfNotPresent" if "@sha256:" in compute.image else "Always",
        "container_resources": _resources(compute),
        "node_selector": dict(compute.node_selector),
        "tolerations": [k8s.V1Toleration(**one.model_dump()) for one in compute.tolerations],
        "priority_class_name": compute.priority_class,
        "service_account_name": compute.service_account,
        # The cluster ends a job that takes too long, whether Airflow lives or not.
        "active_deadline_seconds": round(compute.timeout_seconds),
        "startup_timeout_seconds": round(compute.startup_timeout_seconds),
        # Also the timeout of the provider's watch of events, which takes whole seconds.
        "startup_check_interval_seconds": max(1, round(compute.poll_seconds)),
        "poll_interval": compute.poll_seconds,
    }


def _same_for_every_pod() -> dict[str, Any]:
    """Return the provider's arguments that no model sets: how a pod is run, watched and kept."""
    return {
        # The claim's own name, so that a request that is repeated makes no second pod.
        "random_name_suffix": False,
        "base_container_name": CONTAINER,  # what each line of the log begins with
        # A job reads and writes the store, by its role; the cluster is none of its business.
        "automount_service_account_token": False,
        "security_context": k8s.V1PodSecurityContext(
            run_as_non_root=True, seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault")
        ),
        "container_security_context": k8s.V1SecurityContext(
            allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"])
        ),
        # A job has nothing to tidy up, and Python as a container's first process ignores
        # SIGTERM: it would train on for the usual 30 s after it was deleted.
        "termination_grace_period": GRACE_SECONDS,
        "deferrable": True,  # no worker slot is held while the pod runs
        "get_logs": True,
        "logging_interval": LOG_SECONDS,  # the log follows while the task is deferred
        # A job that cannot open the store says why in its last line, and nowhere else.
        "termination_message_policy": "FallbackToLogsOnError",
        "do_xcom_push": False,  # results lie in the store; a sidecar would be one more image
        "on_finish_action": "delete_succeeded_pod",  # a failed one stays for `kubectl describe`
        "on_kill_action": "delete_pod",  # nothing waits for it any more
        "log_pod_spec_on_failure": False,  # hundreds of lines before the one that says why
    }


def _environment(compute: KubernetesCompute, plain: dict[str, str]) -> list[k8s.V1EnvVar]:
    """Return a container's variables: secrets by name only, so that no request holds a value."""
    variables = [k8s.V1EnvVar(name=name, value=value) for name, value in sorted(plain.items())]
    for secret in compute.secrets:
        reference = k8s.V1SecretKeySelector(name=secret.secret, key=secret.key)
        source = k8s.V1EnvVarSource(secret_key_ref=reference)
        variables.append(k8s.V1EnvVar(name=secret.env, value_from=source))
    return variables


def _resources(compute: KubernetesCompute) -> k8s.V1ResourceRequirements:
    """Return what a container asks for and may use.

    Memory that is not asked for is memory that another pod may need: the limit is the request, so
    that a job that outgrows it is the one that ends. CPU beyond the request only goes unused.
    """
    requests = {"cpu": f"{compute.cpu:g}", "memory": _quantity(compute.memory)}
    limits = {"memory": _quantity(compute.memory_limit or compute.memory)}
    if compute.cpu_limit is not None:
        limits["cpu"] = f"{compute.cpu_limit:g}"
    if compute.gpu:
        limits["nvidia.com/gpu"] = str(compute.gpu)  # its request is its limit, always
    return k8s.V1ResourceRequirements(requests=requests, limits=limits)


def _quantity(memory: Any) -> str:
    """Return an amount of memory as Kubernetes writes it: `4GiB` is `4Gi`."""
    return str(memory).replace(" ", "").removesuffix("B")


def delete_unended_pod(claim: JobClaim) -> bool:
    """Delete the pod of a claim if it has not ended; return whether it had not.

    A failed pod stays, for diagnosis.
    """
    pod = JobPodOperator(
        task_id="stop", claim=claim, arguments=(), environment={}, is_new=False, result_uri=None
    )
    shown = pod.read()
    if shown is None or phase_of(shown) in {"Succeeded", "Failed"}:
        return False
    pod.delete()
    return True
