"""Where this repository's files are read in a browser: messages and pages link to its runbooks."""

from __future__ import annotations

REPOSITORY_VARIABLE = "RETRAINING_REPOSITORY_URL"
"""Names the environment's variable with the address of a branch's or commit's files."""
