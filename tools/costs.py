"""Measure what each chapter costs, for its first cell and the page about the course.

    python -m tools.costs                  all chapters, one after the other
    python -m tools.costs 03-attention     one anew; the others stay as they are

Writes tools/costs.json: seconds of the processor for all cells as they are given, on
one thread, and the largest memory that a process of them took, in GB of 2**30 bytes.
`make sync` writes both into the notebooks, so run it afterwards.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bertcore.cards import processor_name
from bertcore.files import write_json
from tools.run_chapters import EXECUTE, ROOT

COSTS = ROOT / "tools" / "costs.json"


def cost_of(chapter: Path) -> dict[str, float]:
    """Seconds and gigabytes of a chapter, run alone in an empty folder.

    Raises:
        subprocess.CalledProcessError: if a cell fails, after what it printed.
    """
    with TemporaryDirectory() as name:
        alone = Path(name, "alone")
        alone.mkdir()
        out = Path(name, chapter.name)
        command = [sys.executable, "-c", EXECUTE, str(chapter), str(out), str(alone)]
        process = subprocess.Popen(
            command,
            cwd=alone,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )
        # Of the process and of all that it waited for; `memory` is the largest one's.
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise subprocess.CalledProcessError(status, command[:2])
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return {
        "seconds": round(used.ru_utime + used.ru_stime),
        "gigabytes": round(used.ru_maxrss * unit / 2**30, 1),
    }


def main(names: list[str]) -> None:
    """Measure the chapters of these names, or all; each is written as it ends."""
    found = {path.stem: path for path in sorted((ROOT / "chapters").glob("*.ipynb"))}
    if unknown := set(names) - set(found):
        raise SystemExit(
            f"no chapter {', '.join(unknown)}; there are {', '.join(found)}"
        )
    costs = json.loads(COSTS.read_text("utf8")) if COSTS.exists() else {"chapters": {}}
    costs["machine"] = f"{processor_name()}, one thread"
    for name in names or found:
        costs["chapters"][name] = cost_of(found[name])
        print(name, costs["chapters"][name], flush=True)
        write_json(COSTS, costs)


if __name__ == "__main__":
    main(sys.argv[1:])
