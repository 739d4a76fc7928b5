"""A Kubernetes API on loopback whose pods are child processes.

    with kubernetes_api(root, environment={"AWS_REGION": "…"}) as api:
        monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", api.connection())
        api.scripts.append(Script("unschedulable", pods="*-train-*"))
        …
        assert api.submissions() == ["the-only-pod"]

The provider's own operator and trigger accept it, in this process or in a running Airflow: give
`api.connection()` to Airflow as `AIRFLOW_CONN_KUBERNETES_DEFAULT` before it starts. A pod runs the
arguments of its first container behind `command` as the leader of a process group of its own; its
environment is `environment`, the container's own (secrets by reference are looked up in
`api.secrets`, as {(name, key): value}) and `HOSTNAME`, the pod's name. Deleting a pod tells its
process to end and kills all of it after the pod's grace; the end of the `with` kills all at once.
The first script that fits a pod says what happens to it instead; `kubernetes_pods.ACTIONS` lists
what can. `api.node.command` may be changed for the pods to come. While things run:

- `api.requests`: every request in order; `api.calls(method, part_of_path)`: some of them;
- `api.submissions()`: the names of the pods that were made;
- `api.pod(name)`: a pod as the API shows it, None when there is none; `api.names()`;
- `api.log(name)`: what it wrote; `api.process(name)`: its child process;
- `api.vanish(name)`: the pod is gone, as with its node;
- `api.release()`: answer the requests that a script holds back;
- `api.wait_for(condition)`: wait until something of the above is true.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from tests.support.kubernetes_pods import Json, Node, Pod, Script, fits, now
from tests.support.least_privilege import check_kubernetes

T = TypeVar("T")
SECRET = "a-token-of-kubernetes-on-loopback"
"""What the connection holds; it opens nothing."""


@dataclass(frozen=True)
class Request:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


class KubernetesApi:
    """The pods and the requests. Use `kubernetes_api` to make one."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.secrets = node.secrets
        self.scripts: list[Script] = []
        self.requests: list[Request] = []
        self.changed = node.changed
        self.endpoint = ""
        self.is_closed = False
        self.releases = 0
        self.all: dict[tuple[str, str], Pod] = {}
        """The pods that are there, by namespace and name."""
        self._submitted: list[str] = []

    @property
    def kube_config(self) -> Json:
        """A kubeconfig that leads here."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "loopback",
            "contexts": [{"name": "loopback", "context": {"cluster": "here", "user": "nobody"}}],
            "clusters": [{"name": "here", "cluster": {"server": self.endpoint}}],
            "users": [{"name": "nobody", "user": {"token": SECRET}}],
        }

    def connection(self) -> str:
        """Return an Airflow connection that leads here, as the value of its variable."""
        return json.dumps({"conn_type": "kubernetes", "extra": {"kube_config": self.kube_config}})

    def submissions(self) -> list[str]:
        """Return the names of the pods that were made, oldest first."""
        with self.changed:
            return list(self._submitted)

    def calls(self, method: str, part: str = "") -> list[Request]:
        """Return the requests of a method whose path holds ``part``."""
        with self.changed:
            return [r for r in self.requests if r.method == method and part in r.path]

    def names(self) -> list[str]:
        """Return the names of the pods that are there."""
        with self.changed:
            return [name for _, name in self.all]

    def pod(self, name: str) -> Json | None:
        """Return a pod as the API shows it."""
        with self.changed:
            found = [pod for pod in self.all.values() if pod.name == name]
            return json.loads(json.dumps(found[0].shown)) if found else None

    def log(self, name: str) -> str:
        """Return what a pod has written until now."""
        with self.changed:
            pod = next(pod for pod in self.all.values() if pod.name == name)
            return b"".join(line for _, line in pod.log).decode()

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """Return the process of a pod."""
        with self.changed:
            process = next(pod.process for pod in self.all.values() if pod.name == name)
        assert process is not None, f"{name} does not run"
        return process

    def vanish(self, name: str) -> None:
        """Remove a pod that nobody deleted, as when its node is lost."""
        with self.changed:
            for key in [key for key in self.all if key[1] == name]:
                self.remove(key)

    def release(self) -> None:
        """Answer the requests that are held back."""
        with self.changed:
            self.releases += 1
            self.changed.notify_all()

    def wait_for(self, condition: Callable[[], T | None], timeout_seconds: float = 120) -> T:
        """Wait until ``condition`` returns something true, and return that.

        Raises:
            AssertionError: when it does not in time.
        """
        deadline = time.monotonic() + timeout_seconds
        with self.changed:
            while not (found := condition()):
                left = deadline - time.monotonic()
                assert left > 0, f"waited {timeout_seconds} s in vain"
                # Not everything that a test waits for is a change in here.
                self.changed.wait(min(left, 0.1))
        return found

    # ---- for the handler, which holds `changed` ----

    def submit(self, namespace: str, body: Json) -> tuple[int, Json, str]:
        """Accept a pod and start it; return status, answer and what happens."""
        name = body["metadata"]["name"]
        if (namespace, name) in self.all:
            return 409, status(409, "AlreadyExists", f'pods "{name}" already exists'), "exists"
        script = next((s for s in self.scripts if s.applies(name)), Script("run"))
        if script.action == "refuse":
            return 403, status(403, "Forbidden", script.message or ""), "refuse"
        made = {
            **body["metadata"],
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "resourceVersion": "1",
            "creationTimestamp": now(),
        }
        pod = Pod(self.node, {"apiVersion": "v1", "kind": "Pod", **body, "metadata": made})
        self.all[namespace, name] = pod
        self._submitted.append(name)
        pod.begin(script)
        if script.action == "vanish":
            self.remove((namespace, name))
        return 201, pod.shown, script.action

    def delete(self, key: tuple[str, str]) -> Json:
        """Delete a pod: it is there until its process has ended, or its grace is over."""
        pod = self.all[key]
        grace = pod.shown["spec"].get("terminationGracePeriodSeconds") or 30
        pod.end_gently(grace, lambda: self.remove(key))
        return pod.shown

    def remove(self, key: tuple[str, str]) -> None:
        """Remove a pod and kill its process."""
        pod = self.all.pop(key, None)
        if pod is not None:
            pod.kill()
            self.changed.notify_all()

    def events(self, namespace: str, name: str, after: int) -> list[Json]:
        """Return the events of a pod that are newer than a version."""
        pod = self.all.get((namespace, name))
        found = [] if pod is None else pod.events
        return [event for event in found if int(event["metadata"]["resourceVersion"]) > after]

    def close(self) -> None:
        """End everything."""
        with self.changed:
            self.is_closed = True
            for key in list(self.all):
                self.remove(key)
            self.changed.notify_all()


def status(code: int, reason: str, message: str) -> Json:
    """Return the answer to what went wrong."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api: KubernetesApi) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api
        api.endpoint = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(data) if data else None
        self.api = self.server.api
        with self.api.changed:
            self.api.requests.append(Request(self.command, url.path, query, body))
            self.api.changed.notify_all()
        parts = url.path.split("/")[1:]
        if parts[:3] != ["api", "v1", "namespaces"] or len(parts) < 5:
            self.answer(404, status(404, "NotFound", f"no such path: {url.path}"))
        elif parts[4] == "events":
            self.events(parts[3], query)
        elif len(parts) == 5:
            self.pods(parts[3], query, body)
        else:
            self.one_pod((parts[3], parts[5]), parts[6:], query, body)

    def pods(self, namespace: str, query: dict[str, str], body: Any) -> None:
        api, selector = self.api, query.get("labelSelector", "")
        with api.changed:
            if self.command == "GET":
                items = [
                    pod.shown
                    for (where, _), pod in api.all.items()
                    if where == namespace
                    and fits(pod.shown["metadata"].get("labels") or {}, selector)
                ]
                listing = {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items}
                return self.answer(200, listing)
            code, answer, action = api.submit(namespace, body)
            if action == "hold":
                before = api.releases
                api.changed.wait_for(lambda: api.releases > before or api.is_closed)
            if action != "drop":
                return self.answer(code, answer)
            self.close_connection = True
        return None

    def one_pod(
        self, key: tuple[str, str], rest: list[str], query: dict[str, str], body: Any
    ) -> None:
        with self.api.changed:
            pod = self.api.all.get(key)
            if pod is None:
                self.answer(404, status(404, "NotFound", f'pods "{key[1]}" not found'))
            elif rest == ["log"] and pod.is_waiting:
                message = f'container in pod "{key[1]}" is waiting to start'
                self.answer(400, status(400, "BadRequest", message))
            elif self.command == "DELETE":
                self.answer(200, self.api.delete(key))
            elif self.command == "PATCH":
                self.answer(200, _patched(pod, body))
            elif rest != ["log"]:
                self.answer(200, pod.shown)
        if pod is not None and rest == ["log"] and not pod.is_waiting:
            self.log(pod, query)

    def log(self, pod: Pod, query: dict[str, str]) -> None:
        """Write a pod's log, and go on with it while it grows where that is asked for."""
        is_followed = query.get("follow") == "True"
        since = datetime.min.replace(tzinfo=UTC)
        if "sinceSeconds" in query:
            since = datetime.now(UTC) - timedelta(seconds=int(query["sinceSeconds"]))
        self.begin_chunks("text/plain")
        seen, is_over = 0, False
        while not is_over:
            with self.api.changed:
                lines, seen = pod.log[seen:], len(pod.log)
                is_over = not is_followed or pod.has_ended or self.api.is_closed
                if not lines and not is_over:
                    self.api.changed.wait()
            tail = int(query.get("tailLines", len(lines)))
            for at, line in lines[len(lines) - tail :]:
                if at >= since:
                    stamp = f"{at:%Y-%m-%dT%H:%M:%S.%f}000Z ".encode()
                    self.chunk(stamp + line if query.get("timestamps") == "True" else line)
        self.chunk(b"")

    def events(self, namespace: str, query: dict[str, str]) -> None:
        name = query.get("fieldSelector", "").removeprefix("involvedObject.name=")
        version = int(query.get("resourceVersion") or 0)
        if query.get("watch") != "True":
            with self.api.changed:
                items = self.api.events(namespace, name, version)
            listing = {"apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": items}
            return self.answer(200, listing)
        deadline = time.monotonic() + int(query.get("timeoutSeconds", 60))
        self.begin_chunks("application/json")
        while (left := deadline - time.monotonic()) > 0 and not self.api.is_closed:
            with self.api.changed:
                found = self.api.events(namespace, name, version)
                if not found:
                    self.api.changed.wait(left)
            for event in found:
                self.chunk(json.dumps({"type": "ADDED", "object": event}).encode() + b"\n")
                version = int(event["metadata"]["resourceVersion"])
        return self.chunk(b"")

    def answer(self, code: int, content: Json) -> None:
        data = json.dumps(content).encode()
        self.send_response_only(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin_chunks(self, kind: str) -> None:
        self.send_response_only(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        """Write a part of the answer; an empty one ends it."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Keep quiet."""


def _patched(pod: Pod, body: Json) -> Json:
    """Merge labels and annotations; null takes one away."""
    metadata = pod.shown["metadata"]
    for part in ("labels", "annotations"):
        merged = {**(metadata.get(part) or {}), **(body.get("metadata", {}).get(part) or {})}
        metadata[part] = {name: value for name, value in merged.items() if value is not None}
    return pod.shown


@contextmanager
def kubernetes_api(
    folder: Path,
    *,
    command: Sequence[str] = (sys.executable, "-m", "include.retraining"),
    environment: Mapping[str, str] | None = None,
) -> Iterator[KubernetesApi]:
    """Run a Kubernetes API on loopback.

    Args:
        folder: where pods run: the root of a repository.
        command: what stands before a container's arguments, in place of its image's entry point.
        environment: more variables for every pod, as a node's role would give.
    """
    api = KubernetesApi(Node(command, folder, environment or {}))
    server = _Server(api)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.close()
        server.shutdown()
        server.server_close()
        thread.join()
    check_kubernetes((one.method, one.path, one.query) for one in api.requests)
