"""What a warm parent has in common with the jobs that fork from it, as one digest.

A job that starts from scratch inherits all of this from its task. One that forks inherits it from
the parent, so a parent serves only tasks that agree with it in every point. Standard library only:
the parent imports this file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

CODE = ("include/retraining", "include/orchestration/backends/local")
"""Of a bundle: what a job runs, with its locks, and what forks it."""
STATUS = re.compile(
    r"^(?:Umask|Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp|"
    r"Cpus_allowed|Mems_allowed):.*$",
    re.MULTILINE,
)
"""Lines of `/proc/self/status` that a child inherits."""
NAMESPACES = ("mnt", "net", "pid", "user", "ipc", "uts")


def deployed(root: Path) -> str:
    """Return a digest of the code and the libraries that are installed now.

    By path, size, time and inode of each file of ours, and by the time of each folder that packages
    are installed into: an installation adds or removes names there.

    Args:
        root: the bundle's.
    """
    libraries = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    times = [(folder, Path(folder).stat().st_mtime_ns) for folder in libraries]
    return _digest([sys.version, str(root), times, sorted(_files(root))])


def identity(root: Path, environment: Mapping[str, str]) -> str:
    """Return a digest of all that a parent and its jobs must have in common. Linux only.

    Args:
        root: the bundle's.
        environment: the parent's.
    """
    own = Path("/proc/self")
    return _digest([
        deployed(root),
        sys.executable,
        sorted(environment.items()),
        STATUS.findall((own / "status").read_text()),
        (own / "limits").read_text(),
        (own / "cgroup").read_text(),
        (own / "oom_score_adj").read_text(),
        [str((own / "ns" / name).readlink()) for name in NAMESPACES],
        os.nice(0),
    ])


def _files(root: Path) -> Iterator[tuple[str, int, int, int]]:
    for part in CODE:
        for folder, folders, names in os.walk(root / part):
            folders[:] = [name for name in folders if name != "__pycache__"]
            for path in (Path(folder, name) for name in names):
                status = path.stat()
                yield str(path), status.st_size, status.st_mtime_ns, status.st_ino


def _digest(facts: list[object]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
