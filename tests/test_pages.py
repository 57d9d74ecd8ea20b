"""The pages of text: links lead somewhere, code runs, what they say has a source."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
import pytest
import torch
import yaml
from myst_parser.mdit_to_docutils.base import default_slugify

import bertcore
from tests.conftest import ROOT
from tests.test_readme import help_of
from tools.check_site import toc_files
from tools.mathml import MathError, to_mathml
from tools.sync import repository

PAGES = [
    ROOT / f"{name}.md"
    for name in (
        "about",
        "bug-zoo",
        "glossary",
        "interop",
        "live",
        "questions",
        "references",
        "teach",
    )
]
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
IN_REPOSITORY = f"{repository()}/blob/main/"


# Maths -------------------------------------------------------------------------------


MATHS = re.compile(r"\$\$(.+?)\$\$|(?<!\$)\$([^$\n]+?)\$(?!\$)", re.S)


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / "chapters").glob("*.ipynb")), *sorted(ROOT.glob("*.md"))],
    ids=lambda path: path.stem,
)
def test_the_maths_of_a_page_can_be_shown(path: Path) -> None:
    texts = [path.read_text(encoding="utf8")]
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    for text in map(without_code, texts):
        for block, inline in MATHS.findall(text):
            to_mathml(block or inline, bool(block))


def test_maths_that_cannot_be_shown_is_found() -> None:
    (_, inline), *others = MATHS.findall("a curvature of $g''$")
    assert not others
    with pytest.raises(MathError, match="A prime"):
        to_mathml(inline, False)


# Links -------------------------------------------------------------------------------


@cache
def text_of(path: Path) -> str:
    """A page, or the text, code and kept outputs of a chapter."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf8")
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        parts += [cell.source, *(o.get("text", "") for o in cell.get("outputs", []))]
    return "\n".join(parts)


def without_code(text: str) -> str:
    """The prose of a page; what stands between backquotes goes, too."""
    text = re.sub(r"^```[a-z].*?^```$", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


@cache
def anchors(path: Path) -> set[str]:
    """What a link may name in a page: its headings as MyST and GitHub write them."""
    prose = re.sub(r"^```.*?^```$", "", text_of(path), flags=re.M | re.S)
    headings = re.findall(r"^#{1,4} (.+)$", prose, re.M)
    return {default_slugify(heading.replace("`", "")) for heading in headings}


def links(path: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", text_of(path))


def target(path: Path, address: str) -> tuple[Path, str] | None:
    """The file and the anchor that an address means; None if it is elsewhere."""
    address = unquote(address)
    if address.startswith(IN_REPOSITORY):
        name, _, anchor = address.removeprefix(IN_REPOSITORY).partition("#")
        return ROOT / name, anchor
    if "://" in address:
        return None
    name, _, anchor = address.partition("#")
    return (path.parent / name if name else path), anchor


@each_page
def test_links_lead_somewhere(path: Path) -> None:
    for address in links(path):
        found = target(path, address)
        if found is None:
            host, *_ = address.removeprefix("https://").split("/")
            assert (
                host != "github.com"
                or "bert-from-scratch" not in address
                or (address.startswith(repository()))
            ), f"{address} is of another repository"
            continue
        file, anchor = found
        assert file.exists(), f"{path.name} links to {address}, which is not there"
        assert not anchor or anchor in anchors(file), f"{address}: no such heading"


def test_every_page_is_in_the_book_and_on_its_front() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    assert {path.stem for path in PAGES} <= set(toc_files(toc))
    front = text_of(ROOT / "index.md")
    for path in PAGES:
        assert f"]({path.stem})" in front or f"]({path.name})" in front, path.stem


# Questions and answers ---------------------------------------------------------------


def answers() -> Iterator[tuple[str, str]]:
    """Each question with its answer."""
    for part in re.split(r"^### ", text_of(ROOT / "questions.md"), flags=re.M)[1:]:
        question, rest = part.split("\n", 1)
        yield question, rest.split("\n## ")[0].strip()


def test_an_answer_is_short_says_why_and_links_to_its_proof() -> None:
    found = list(answers())
    assert len(found) > 30
    for question, answer in found:
        assert question.endswith("?"), question
        assert "\n\n" not in answer, f"{question}: one paragraph"
        assert re.search(r"\b(because|since|so)\b", answer, re.I), f"{question}: why?"
        assert re.search(r"\b(because|since|so)\b", answer, re.I), f"{question}: why?"
        words = re.sub(r"\]\([^)]*\)", "]", answer).split()
        assert 40 <= len(words) <= 120, f"{question}: {len(words)} words"
        assert re.search(r"\]\((chapters/|about|https)", answer), question


def numbers(text: str) -> set[str]:
    """Numbers of more than one digit, without the commas; addresses are left out."""
    text = re.sub(r"\]\([^)]*\)|[Cc]hapters? \d+b?|[Ee]xercises? \d+b?\.\d", "", text)
    found = re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", text)
    plain = {number.replace(",", "").rstrip(".") for number in found}
    return {number for number in plain if len(number) > 1}


def sources(path: Path, answer: str) -> str:
    """All that an answer links to; beside a card, the pages that quote it."""
    files = [found[0] for a in re.findall(r"\]\(([^)]+)\)", answer)
             if (found := target(path, a))]  # fmt: skip
    if any(file.suffix == ".json" for file in files):
        files += [ROOT / name / "README.md" for name in ("benchmarks", "bertcore")]
    text = "\n".join(text_of(file) for file in files if file.is_file())
    return text.replace(",", "").replace("_", "")


def test_numbers_of_answers_stand_in_what_they_link_to() -> None:
    for question, answer in answers():
        held = sources(ROOT / "questions.md", answer)
        for number in numbers(without_code(answer)):
            pattern = rf"(?<![\d.]){re.escape(number)}(?!\d)"
            assert re.search(pattern, held), f"{number} in: {question}"


# The bug zoo -------------------------------------------------------------------------


def code(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text_of(path), re.M | re.S)


def test_every_bug_runs_and_is_wrong() -> None:
    """That none of them stops a program is what makes them bugs of this zoo."""
    first, *bugs = code(ROOT / "bug-zoo.md")
    assert len(bugs) == text_of(ROOT / "bug-zoo.md").count("\n### ") > 20
    for bug in bugs:
        torch.manual_seed(0)
        held: dict[str, Any] = {}
        exec(first, held)
        exec(bug, held)
        wrong, right = held["wrong"], held["right"]
        assert wrong.shape == right.shape, bug
        assert not torch.allclose(wrong.float(), right.float(), atol=1e-4), bug


def test_numbers_of_bugs_stand_in_what_they_link_to() -> None:
    page = ROOT / "bug-zoo.md"
    for part in re.split(r"^### ", text_of(page), flags=re.M)[1:]:
        held = sources(page, part)
        for number in numbers(without_code(part.split("\n", 1)[1])):
            pattern = rf"(?<![\d.]){re.escape(number)}(?!\d)"
            assert re.search(pattern, held), f"{number} in: {part[:60]}"


# To and from other libraries ---------------------------------------------------------


def test_the_lines_between_libraries_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """In order, in one folder, without a network; printed truths are true."""
    blocks = code(ROOT / "interop.md")
    libraries = "transformers sentence_transformers onnxruntime onnxscript"
    for library in libraries.split():
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    held: dict[str, Any] = {}
    for block in blocks:
        exec(block, held)
    printed = capsys.readouterr().out.split()
    expected = re.findall(r"print\(.*\)  # (\S+)$", "\n".join(blocks), re.M)
    said = [each.removeprefix("tensor(").removesuffix(")") for each in printed]
    assert said == expected and len(expected) == 4


# Commands ----------------------------------------------------------------------------


@each_page
def test_commands_and_options_exist(path: Path) -> None:
    for line in re.findall(r"`bertcore ([^`]+)`", text_of(path)):
        name, *words = line.split()
        shown = help_of(f"bertcore {name}")
        for option in (word for word in words if word.startswith("--")):
            assert re.search(rf"{option}\b", shown), f"bertcore {name} has no {option}"


# Glossary ----------------------------------------------------------------------------


def terms() -> Iterator[tuple[str, str]]:
    """Each term of the glossary with what it says."""
    (block,) = re.findall(r"^```\{glossary\}\n(.*?)^```", text_of(ROOT / "glossary.md"),
                          re.M | re.S)  # fmt: skip
    for entry in block.strip().split("\n\n"):
        term, *said = entry.splitlines()
        assert said and all(line.startswith("  ") for line in said), term
        yield term, " ".join(line.strip() for line in said)


def plain(text: str) -> str:
    """For comparison: small letters, without marks of emphasis, hyphens or dashes."""
    return re.sub(r"[\s–-]+", " ", re.sub(r"[*`$]", "", text)).lower()


def test_the_glossary_is_in_order() -> None:
    names = [plain(term) for term, _ in terms()]
    assert 60 <= len(names) <= 110
    assert names == sorted(set(names))


def test_a_term_occurs_in_the_chapter_that_introduces_it() -> None:
    """Of a term with another name in brackets, either may."""
    for term, said in terms():
        linked = [a for a in re.findall(r"\]\(([^)]+)\)", said) if "chapters/" in a]
        assert linked, f"{term} links to no chapter"
        name, _, other = term.partition(" (")
        wanted = [plain(each.rstrip(")")) for each in (name, other) if each]
        chapter = plain(text_of(target(ROOT / "glossary.md", linked[0])[0]))
        assert any(each in chapter for each in wanted), f"{term}: not in {linked[0]}"


# References --------------------------------------------------------------------------


def works() -> Iterator[tuple[str, str]]:
    """Each work of the references: its title's beginning, and the whole line."""
    for line in text_of(ROOT / "references.md").splitlines():
        if line.startswith("- "):
            titles = re.findall(r"\*([^*]+)\*", line)
            yield (plain(titles[0]) if titles else ""), line


def test_every_work_is_cited_where_its_line_says() -> None:
    for title, line in works():
        if not title:  # code, data: a name and an address
            continue
        surname = re.match(r"- (.+?),? (?:and|et al|\d{4}|\()", line).group(1)
        surname = re.split(r", | and ", surname)[0].split()[-1]
        linked = [target(ROOT / "references.md", a) for a in
                  re.findall(r"\]\(((?:chapters|https)[^)]+)\)", line)]  # fmt: skip
        files = [found[0] for found in linked if found]
        assert files, line
        for file in files:
            assert surname.lower() in text_of(file).lower(), f"{surname}: {file.name}"


def further_reading() -> Iterator[tuple[str, str]]:
    """The titles of every chapter's further reading."""
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        _, _, rest = text_of(path).partition("## Further reading")
        for title in re.findall(r"\*([A-Z][^*\n]+)\*", rest):
            yield path.stem, plain(title).rstrip("?")


def test_the_references_have_all_further_reading() -> None:
    page = plain(text_of(ROOT / "references.md"))
    missing = {f"{stem}: {title}" for stem, title in further_reading()
               if title.split(":")[0] not in page}  # fmt: skip
    assert not missing, "add these to references.md, with what to read them for"


# Citing ------------------------------------------------------------------------------


def test_the_citation_has_what_the_schema_asks_and_this_version() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    assert found["cff-version"] == "1.2.0" and found["type"] == "software"
    assert found["version"] == bertcore.__version__
    assert found["repository-code"] == repository()
    assert all(set(each) <= {"name", "website"} for each in found["authors"])
    (entry,) = re.findall(r"^```bibtex\n(.*?)^```", text_of(ROOT / "about.md"),
                          re.M | re.S)  # fmt: skip
    assert f"{{{bertcore.__version__}}}" in entry and repository() in entry


def test_the_changes_name_this_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf8")
    assert re.search(rf"^## {re.escape(bertcore.__version__)}\b", changes, re.M)
