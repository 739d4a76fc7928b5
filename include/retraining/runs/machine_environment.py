"""Which variables of a machine reach the programs that work on it: its libraries and its GPUs."""

from __future__ import annotations

from collections.abc import Mapping

from include.retraining.store.secret_names import is_secret_name

NAMES = ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
PREFIX = "NVIDIA_"
"""Of the container toolkit: which GPUs, and what they may be used for."""


def machine_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that say where the machine's libraries and GPUs are.

    A key of NVIDIA's services bears the prefix too: a name that sounds like a secret's is left out.
    """
    return {
        name: value
        for name, value in environment.items()
        if name in NAMES or (name.startswith(PREFIX) and not is_secret_name(name))
    }
