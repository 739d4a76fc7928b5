"""`timed_job.py LOG STEP … --run URI …`: run a job and write down how long it took."""

import json
import subprocess
import sys
import time
from pathlib import Path

log, *arguments = sys.argv[1:]
started = time.time()
code = subprocess.run(
    [sys.executable, "-m", "include.retraining", *arguments], check=False
).returncode
entry = {"arguments": arguments, "seconds": time.time() - started}
with Path(log).open("a", encoding="utf-8") as file:
    file.write(json.dumps(entry) + "\n")
sys.exit(code)
