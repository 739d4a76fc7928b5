"""The container engine of this machine, through its own command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# What a careful platform gives a job: nothing to write to but /tmp, no capabilities, no way to get
# some.
LOCKED_DOWN = (
    *("--read-only", "--tmpfs", "/tmp"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
)


def run(
    *words: str, stdin: str | None = None, timeout_seconds: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run one `docker` command and return how it ended, whatever its exit code is."""
    return subprocess.run(
        ["docker", *words],
        cwd=REPOSITORY,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )


def docker(*words: str, stdin: str | None = None, timeout_seconds: float = 600) -> str:
    """Run one `docker` command that must succeed and return what it printed."""
    ended = run(*words, stdin=stdin, timeout_seconds=timeout_seconds)
    assert ended.returncode == 0, f"docker {' '.join(words)}: {ended.stdout[-3000:]}{ended.stderr}"
    return ended.stdout


def host_address(image: str) -> str:
    """Return the address under which containers reach this machine.

    A server that is bound to it is reached under the same address from here.

    Args:
        image: any image with glibc's `getent`; the engine says the address to containers only.
    """
    name = "host.docker.internal"
    gateway = ("--add-host", f"{name}:host-gateway")
    return docker("run", "--rm", *gateway, "--entrypoint", "getent", image, "hosts", name).split()[
        0
    ]


def nameless_images() -> set[str]:
    """Return the ids of the images that no name leads to."""
    return set(docker("images", "--quiet", "--no-trunc", "--filter", "dangling=true").split())


def remove_image(image: str) -> None:
    """Remove an image and every container that still runs in it."""
    containers = docker("ps", "--all", "--quiet", "--filter", f"ancestor={image}").split()
    if containers:
        docker("rm", "--force", *containers)
    docker("image", "rm", "--force", image)
