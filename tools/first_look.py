"""Something to look at while the other chapters run: the front page and the map.

The first `make book` takes minutes. As soon as the map's cells have run, its page is
built with those that need no run, into _build/first; the whole book takes its place.
"""

import subprocess
import sys
from pathlib import Path

import yaml

FOLDER = Path("_build", "first")
FIRST = "chapters/00-map"


def first_contents(contents: dict) -> dict:
    """A table of contents without the chapters that have not run yet."""
    parts = [
        {
            **part,
            "chapters": [
                {"file": each["file"]}
                for each in part["chapters"]
                if each["file"] == FIRST or not each["file"].startswith("chapters/")
            ],
        }
        for part in contents["parts"]
    ]
    return {**contents, "parts": parts}


def first_look(root: Path) -> str:
    """Build these pages; a sentence that says where they are, or why they are not."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    contents = yaml.safe_load((root / "_toc.yml").read_text("utf8"))
    table = folder / "_toc.yml"
    table.write_text(yaml.safe_dump(first_contents(contents), sort_keys=False), "utf8")
    book = [Path(sys.executable).parent / "jupyter-book", "build", ".", "--quiet"]
    built = subprocess.run(
        [*book, "--toc", table, "--path-output", folder],
        cwd=root,
        capture_output=True,
        text=True,
    )
    page = folder / "_build" / "html" / "index.html"
    if built.returncode or not page.is_file():
        return f"(No first look at the book: {built.stderr.strip()[-300:]})"
    return f"To look at while the rest is made: {page.as_uri()}"
