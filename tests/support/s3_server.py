"""moto's server, with put-if-absent in one step as S3 has it.

moto looks whether there is an object and puts the new one in two steps: with many writers on a busy
machine two of them get through (`S3Response.put_object` in moto/s3/responses.py). Here such
requests wait for each other.

moto parses the time of every object in each listing anew, which is half of what a listing takes.
And it reads the folder of its own services twice for each request, a third of what one takes. Here
both are remembered.

`python -m tests.support.s3_server ADDRESS PORT`
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterable
from typing import Any

from moto import backends
from moto.core import serialize
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple


class OneAtATime(DomainDispatcherApplication):
    """Answers one conditional PUT after the other, and everything else at once."""

    puts = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        if environ["REQUEST_METHOD"] == "PUT" and "HTTP_IF_NONE_MATCH" in environ:
            with self.puts:
                return [b"".join(super().__call__(environ, start_response))]
        return super().__call__(environ, start_response)  # type: ignore[no-any-return]


if __name__ == "__main__":
    address, port = sys.argv[1:]
    serialize.parse_to_aware_datetime = functools.lru_cache(maxsize=100_000)(
        serialize.parse_to_aware_datetime
    )
    services = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: services
    app = OneAtATime(create_backend_app)
    run_simple(address, int(port), app, threaded=True, request_handler=MotoRequestHandler)
