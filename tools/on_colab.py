"""Run the chapters on a real GPU of Colab, for a person with an account.

    uv tool install google-colab-cli      once; its first command opens a sign-in
    python -m tools.on_colab              every chapter, each on a machine of its own
    python -m tools.on_colab 03-attention --gpu L4 --ref v0.1.0

A chapter installs bertcore from GitHub at `--ref`, so what runs is what was published.
The notebooks with their outputs stay in _build/on-colab, and the minutes of each
chapter go into a card, data/runs/colab-t4.json, as soon as it has ended: if a machine
is lost, name the chapters that are missing. It spends compute units of the account.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat

from bertcore.cards import make_card, write_card
from bertcore.files import read_json
from tools.sync import ROOT, claims_of, synced_notebook

OUT = ROOT / "_build" / "on-colab"
CELL_SECONDS = 3600  # colab's own limit is ten seconds
# Nobody is there to allow a Drive, and to ask for one would wait for minutes.
BEGIN = """
import json, platform, subprocess, sys, torch
sys.modules["google.colab.drive"] = None
name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
print("FOUND", json.dumps({"gpu": name, "torch": torch.__version__,
                           "python": platform.python_version()}))
"""


class Failed(Exception):
    """A chapter that did not run, and why."""


def colab(*arguments: str | Path, code: str | None = None) -> str:
    """What Colab's command line prints.

    Raises:
        Failed: if it is not installed, or its exit status is not 0.
    """
    if shutil.which("colab") is None:
        raise Failed("there is no command colab; run: uv tool install google-colab-cli")
    done = subprocess.run(
        ["colab", *arguments],
        input=code,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Failed(f"colab {' '.join(map(str, arguments))}:\n{done.stdout[-2000:]}")
    return done.stdout


def run(notebook: Path, gpu: str) -> dict[str, object]:
    """Run a notebook in a session of its own: its minutes, and what it ran on.

    Raises:
        Failed: naming the cell, because colab's exit status says nothing of cells.
    """
    session = f"bert-{notebook.stem}"
    colab("new", "-s", session, "--gpu", gpu)
    try:
        said = colab("exec", "-s", session, "--timeout", "300", code=BEGIN)
        found = [line for line in said.splitlines() if line.startswith("FOUND ")]
        if not found:
            raise Failed(f"the machine did not say what it is:\n{said[-2000:]}")
        limit = "--timeout", str(CELL_SECONDS)
        began = time.monotonic()
        colab("exec", "-s", session, *limit, "-f", notebook)
        minutes = (time.monotonic() - began) / 60
    finally:
        colab("stop", "-s", session)
    executed = notebook.with_name(f"{notebook.stem}_output.ipynb")
    cells = nbformat.read(executed, as_version=4).cells
    for number, cell in enumerate(cells):
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                raise Failed(f"cell {number}: {output.ename}: {output.evalue}")
    return {"minutes": round(minutes, 1), **json.loads(found[0].removeprefix("FOUND "))}


def record(name: str, what: dict[str, object], ref: str, path: Path) -> None:
    """Add a chapter to the card, whose other chapters stay."""
    old = read_json(path)["results"] if path.exists() else {}
    results = dict(sorted({**old, name: {**what, "ref": ref}}.items()))
    card = make_card(
        "Each chapter on a machine of Colab: minutes of all cells, the downloads too",
        "the chapters, with the texts and weights that each of them installs",
        results,
        device=f"{what['gpu']} of Colab",
        date=time.strftime("%Y-%m-%d"),
    )
    write_card(path, card)


def main() -> int:
    """Run chapters; the exit status is 1 if one failed."""
    parser = argparse.ArgumentParser(description="Run chapters on Colab.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as 03-attention")
    parser.add_argument("--gpu", default="T4", help="T4, L4, A100 or H100")
    parser.add_argument("--ref", default="main", help="a tag, branch or commit")
    options = parser.parse_args()
    found = {path.stem: path for path in sorted((ROOT / "chapters").glob("*.ipynb"))}
    if unknown := set(options.names) - set(found):
        parser.error(f"no chapter {', '.join(unknown)}; there are {', '.join(found)}")
    read = ((nbformat.read(path, as_version=4), name) for name, path in found.items())
    claims = [claim for each in read for claim in claims_of(*each)]
    card = ROOT / "data" / "runs" / f"colab-{options.gpu.lower()}.json"
    OUT.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in options.names or found:
        copy = OUT / f"{name}.ipynb"
        copy.write_text(
            synced_notebook(found[name], options.ref, claims=claims), "utf8"
        )
        try:
            what = run(copy, options.gpu)
        except Failed as error:
            failed += 1
            print(f"{name} FAILED: {error}", flush=True)
            continue
        record(name, what, options.ref, card)
        print(f"{name}: {what['minutes']} min on {what['gpu']}", flush=True)
    return min(1, failed)


if __name__ == "__main__":
    sys.exit(main())
