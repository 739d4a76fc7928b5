"""Pods that are child processes: what `kubernetes_api.py` runs, and what it lets go wrong."""

from __future__ import annotations

import fnmatch
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Json = dict[str, Any]

PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
ACTIONS = {
    "run": "run the arguments as a child process",
    "unschedulable": "stay Pending: no node has room",
    "image pull": "stay Pending: the image is not there",
    "succeed": "Succeeded, without running",
    "fail": "Failed with `exit_code`, without running",
    "out of memory": "Failed as OOMKilled, without running",
    "evict": "Failed, evicted by its node before a container started",
    "vanish": "the pod is accepted and gone at once",
    "drop": "run; the answer to the POST is lost",
    "hold": "run; the answer to the POST comes after `release()`",
    "refuse": "answer the POST with 403",
}
MESSAGES = {
    "unschedulable": "0/3 nodes are available: insufficient memory.",
    "image pull": 'Back-off pulling image "example.org/retraining": not found',
    "evict": "The node was low on resource: memory.",
    "refuse": 'pods is forbidden: User "airflow" cannot create resource "pods"',
}


@dataclass
class Script:
    """What happens to a pod."""

    action: str
    """One of `ACTIONS`."""
    pods: str = "*"
    """Which pods, as a file name pattern."""
    times: int | None = None
    """For how many pods; None for all."""
    message: str | None = None
    """What status and events say; one of `MESSAGES` when not given."""
    exit_code: int = 1
    lines: Sequence[str] = ()
    """The log of a pod that does not run."""

    def __post_init__(self) -> None:
        """Refuse an action that nobody knows."""
        assert self.action in ACTIONS, f"{self.action!r} is none of {', '.join(ACTIONS)}"
        self.message = self.message or MESSAGES.get(self.action, "")

    def applies(self, name: str) -> bool:
        """Return whether it is for this pod, and count it."""
        if not fnmatch.fnmatch(name, self.pods) or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Node:
    """Where pods run."""

    command: Sequence[str]
    """What stands before a container's arguments, in place of its image's entry point."""
    folder: Path
    environment: Mapping[str, str]
    secrets: dict[tuple[str, str], str] = field(default_factory=dict)
    """Values by the name of the secret and the key in it."""
    worked: list[tuple[str, float, float]] = field(default_factory=list)
    """The pods whose process ended, with the seconds at which it started and ended."""
    changed: threading.Condition = field(default_factory=threading.Condition)
    """Guards every pod; notified on every change."""


class Pod:
    """One pod: what the API shows of it, its events, its process and its log."""

    def __init__(self, node: Node, shown: Json) -> None:
        self.node = node
        self.shown = shown
        self.events: list[Json] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.log: list[tuple[datetime, bytes]] = []
        self._show("Pending", None)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.shown["metadata"]["name"])

    @property
    def has_ended(self) -> bool:
        """Whether there will be no more log."""
        return self.shown["status"]["phase"] in {"Succeeded", "Failed"}

    @property
    def is_waiting(self) -> bool:
        """Whether its container never started until now."""
        return self.process is None and not self.has_ended

    def begin(self, script: Script) -> None:
        """Start it, or let happen what the script says."""
        message = script.message or ""
        self.log = [(datetime.now(UTC), f"{line}\n".encode()) for line in script.lines]
        if script.action == "unschedulable":
            self._schedule(message)
            self._tell("FailedScheduling", message)
        elif script.action == "image pull":
            self._schedule()
            self._wait("ImagePullBackOff", message)
        elif script.action == "evict":
            self._show("Failed", None, reason="Evicted", message=message)
        elif script.action in {"succeed", "fail", "out of memory"}:
            self._schedule()
            code = {"succeed": 0, "fail": script.exit_code, "out of memory": 137}[script.action]
            self._end(code, "OOMKilled" if script.action == "out of memory" else None)
        elif script.action != "vanish":
            self._schedule()
            self._run()

    def kill(self) -> None:
        """End its process and all that it started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def end_gently(self, grace_seconds: float, then: Callable[[], None]) -> None:
        """Tell the process to end, kill it when it does not in time, and call ``then``."""
        process = self.process
        if process is None or process.poll() is not None:
            return then()
        self.shown["metadata"]["deletionTimestamp"] = now()
        process.terminate()

        def wait() -> None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace_seconds)
            with self.node.changed:
                then()

        threading.Thread(target=wait, daemon=True).start()
        return None

    def _run(self) -> None:
        try:
            environment = self._environment()
        except KeyError as missing:
            return self._wait("CreateContainerConfigError", f"secret {missing} not found")
        self.process = subprocess.Popen(
            [*self.node.command, *(self._container.get("args") or [])],
            cwd=self.node.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._show("Running", {"running": {"startedAt": now()}})
        threading.Thread(target=self._follow, args=(self.process,), daemon=True).start()
        limit = self.shown["spec"].get("activeDeadlineSeconds")
        if limit:
            timer = threading.Timer(limit, self._overdue)
            timer.daemon = True
            timer.start()
        return None

    def _environment(self) -> dict[str, str]:
        environment = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        environment |= {**self.node.environment, "HOSTNAME": self.name}
        for variable in self._container.get("env") or []:
            reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
            environment[variable["name"]] = (
                self.node.secrets[reference["name"], reference["key"]]
                if reference
                else variable.get("value") or ""
            )
        return environment

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        """Take log and end from the process."""
        assert process.stdout is not None
        started = time.time()
        with process.stdout as output:
            for line in output:
                with self.node.changed:
                    self.log.append((datetime.now(UTC), line))
                    self.node.changed.notify_all()
        code = process.wait()
        with self.node.changed:
            self.node.worked.append((self.name, started, time.time()))
            if not self.has_ended:
                self._end(code if code >= 0 else 128 - code)

    def _overdue(self) -> None:
        with self.node.changed:
            if not self.has_ended:
                self._end(137)
                message = "Pod was active on the node longer than the specified deadline"
                self.shown["status"] |= {"reason": "DeadlineExceeded", "message": message}
            self.kill()

    def _end(self, code: int, reason: str | None = None) -> None:
        ended = {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "finishedAt": now(),
        }
        if code != 0 and self._container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            ended["message"] = b"".join(line for _, line in self.log[-80:]).decode()[-2048:]
        self._show("Succeeded" if code == 0 else "Failed", {"terminated": ended})

    def _wait(self, reason: str, message: str) -> None:
        self._show("Pending", {"waiting": {"reason": reason, "message": message}})
        self._tell("Failed", message)

    def _schedule(self, why_not: str | None = None) -> None:
        condition = {"type": "PodScheduled", "status": "False" if why_not else "True"}
        if why_not:
            condition |= {"reason": "Unschedulable", "message": why_not}
        self.shown["status"]["conditions"] = [condition]

    def _tell(self, reason: str, message: str) -> None:
        about = {key: self.shown["metadata"][key] for key in ("name", "namespace", "uid")}
        self.events.append({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{self.name}.{len(self.events) + 1}",
                "namespace": about["namespace"],
                "uid": str(uuid.uuid4()),
                "resourceVersion": str(len(self.events) + 1),
            },
            "involvedObject": {"kind": "Pod", **about},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "lastTimestamp": now(),
        })

    @property
    def _container(self) -> Json:
        container: Json = self.shown["spec"]["containers"][0]
        return container

    def _show(self, phase: str, state: Json | None, **more: str) -> None:
        status = self.shown.setdefault("status", {"conditions": [], "startTime": now()})
        status |= {"phase": phase, **more}
        if state is not None:
            status["containerStatuses"] = [
                {
                    "name": self._container["name"],
                    "image": self._container["image"],
                    "imageID": self._container["image"],
                    "ready": phase == "Running",
                    "restartCount": 0,
                    "state": state,
                }
            ]
        self.node.changed.notify_all()


def fits(labels: Mapping[str, str], selector: str) -> bool:
    """Return whether labels fit a selector of `k=v`, `k!=v`, `k` and `!k`."""
    for term in filter(None, selector.split(",")):
        name, operator, value = term.replace("==", "=").partition("=")
        if not operator:
            is_met = (term.lstrip("!") in labels) != term.startswith("!")
        elif name.endswith("!"):
            is_met = labels.get(name[:-1]) != value
        else:
            is_met = labels.get(name) == value
        if not is_met:
            return False
    return True


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
