"""What loading the plugins imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
HEAVY = {
    "aiobotocore", "boto3", "botocore", "include", "kubernetes", "kubernetes_asyncio", "numpy",
    "obstore", "pandas",
}  # fmt: skip


def test_the_plugins_import_neither_include_nor_anything_heavy() -> None:
    """Airflow loads plugins in every process; `include` there would be the wrong bundle's."""
    names = sorted(file.stem for file in PLUGINS.glob("*.py"))
    program = f"import sys, {', '.join(names)}; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PLUGINS
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"
