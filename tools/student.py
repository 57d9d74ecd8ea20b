"""Write the students' copies of chapters: python tools/student.py CHAPTER... FOLDER

Signature and docstring of each exercise stay, and so do hints and rubrics; its body,
the hidden checks and the model answers do not. The copy is made from the syntax tree,
so it cannot drift from the solution.
"""

import argparse
import ast
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

# What the student finds in place of a solution: a call says plainly what is missing.
YOUR_TURN = 'raise NotImplementedError("your turn")'
Function = ast.FunctionDef | ast.AsyncFunctionDef
# What stands in place of the link to the source, which has the solutions.
COPY = """\
[Open this chapter in Colab]({colab}) · [read it in the book]({page})

This is your copy to work in. Save it before you begin (in Colab: File → Save a copy \
in Drive), because the machine forgets it. Solutions are on [the book's page]({page}), \
folded under each exercise."""


def blanked(source: str) -> str:
    """An exercise with the body of its function, or of its methods, left to do.

    >>> print(blanked("def double(x):\\n    '''Twice x.'''\\n    return 2 * x"))
    def double(x):
        '''Twice x.'''
        raise NotImplementedError("your turn")

    Raises:
        ValueError: if the cell is not exactly one function or class, or a body stands
            on the line of its `def`.
    """
    tree = ast.parse(source)
    if len(tree.body) != 1 or not isinstance(tree.body[0], Function | ast.ClassDef):
        raise ValueError("an exercise cell holds exactly one function or class")
    lines = source.splitlines()
    (top,) = tree.body
    methods = top.body if isinstance(top, ast.ClassDef) else [top]
    following = len(lines)
    for node in reversed(methods):
        if isinstance(node, Function):
            start = _after_signature(node, lines)
            lines[start:following] = [" " * node.body[0].col_offset + YOUR_TURN]
            if following < len(source.splitlines()):
                lines.insert(start + 1, "")
        following = min([node.lineno, *(d.lineno for d in _decorators(node))]) - 1
    return "\n".join(lines)


def _after_signature(function: Function, lines: list[str]) -> int:
    """The number of lines up to the end of the signature and the docstring."""
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        header, end = first.lineno - 1, first.end_lineno
        behind = lines[end - 1].encode()[first.end_col_offset :].decode()
    else:
        arguments = [a for a in ast.walk(function.args) if hasattr(a, "end_lineno")]
        nodes = [*arguments, *([function.returns] if function.returns else [])]
        end = max([function.lineno, *(node.end_lineno for node in nodes)])
        while not lines[end - 1].split("#")[0].rstrip().endswith(":"):
            end += 1
            if end > first.lineno:
                break
        header, behind = end, "".join(lines[end - 1 : end])
    if header >= first.lineno or ";" in behind:
        raise ValueError(f"write the body of {function.name} on lines of its own")
    return end


def _decorators(node: ast.stmt) -> list[ast.expr]:
    return getattr(node, "decorator_list", [])


def student_copy(notebook: NotebookNode, keep_outputs: bool = False) -> NotebookNode:
    """A copy of the notebook without solutions, hidden checks and model answers.

    Its links lead to the book, where solutions are folded, and not to its source.
    `keep_outputs` keeps what the other cells have put out.
    """
    copy = nbformat.from_dict(notebook)
    copy.cells = [cell for cell in copy.cells if "hidden-check" not in tags(cell)]
    for cell in copy.cells:
        if "exercise" in tags(cell):
            cell.source = blanked(cell.source)
            cell.metadata["tags"] = [t for t in tags(cell) if t != "hide-input"]
        if "links" in tags(cell):
            cell.source = links_of_copy(cell.source)
        if "answer" in tags(cell):
            cell.source = "\n\n".join(["*Your answer.*", *rubric(cell.source)])
        undone = {"exercise", "check", "points", "bootstrap"} & set(tags(cell))
        if cell.cell_type == "code" and (undone or not keep_outputs):
            cell.outputs, cell.execution_count = [], None
    return copy


def links_of_copy(links: str) -> str:
    """The links of a copy: Colab's as it is, and the page of the published book.

    Raises:
        ValueError: if there is no link to Colab, which says where the repository is.
    """
    colab = r"https://colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)/blob/"
    match = re.search(rf"{colab}[\w.-]+/([\w./-]+)\.ipynb", links)
    if match is None:
        raise ValueError(f"no link to Colab in {links!r}; run make sync")
    page = f"{published(match[1])}{match[2]}.html"
    return COPY.format(colab=match[0], page=page)


def published(repository: str) -> str:
    """Where GitHub publishes the book of a repository, given its address or its name.

    >>> published("https://github.com/somebody/a-book")
    'https://somebody.github.io/a-book/'
    """
    owner, name = repository.rstrip("/").split("/")[-2:]
    return f"https://{owner.lower()}.github.io/{name}/"


def rubric(answer: str) -> list[str]:
    """The folded rubric of a model answer, if it has one: what follows that word.

    >>> *_, fold = rubric("<details>\\nYes.\\n\\n**Rubric.** Says yes.\\n\\n</details>")
    >>> print(fold)
    <details><summary>What a good answer says</summary>
    <BLANKLINE>
    Says yes.
    <BLANKLINE>
    </details>
    """
    _, marked, text = answer.partition("**Rubric.**")
    text = text.rpartition("</details>")[0].strip()
    summary = "<details><summary>What a good answer says</summary>"
    return [f"{summary}\n\n{text}\n\n</details>"] if marked else []


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def main() -> int:
    """Write the copies; nothing that exists is overwritten."""
    parser = argparse.ArgumentParser(description="Write students' copies of chapters.")
    parser.add_argument("chapters", nargs="+", type=Path, metavar="CHAPTER")
    parser.add_argument("folder", type=Path, help="where the copies go")
    parser.add_argument("--keep-outputs", action="store_true", help="of other cells")
    parser.add_argument(
        "--skip-existing", action="store_true", help="leave begun copies, say nothing"
    )
    options = parser.parse_args()
    for chapter in options.chapters:
        if not chapter.is_file():
            parser.error(f"no notebook {chapter}; chapters/ holds them")
        if (options.folder / chapter.name).exists() and not options.skip_existing:
            parser.error(
                f"{options.folder / chapter.name} exists and may hold somebody's work; "
                "give another folder, or remove it first"
            )
    options.folder.mkdir(parents=True, exist_ok=True)
    for chapter in options.chapters:
        target = options.folder / chapter.name
        if not target.exists():
            notebook = nbformat.read(chapter, as_version=4)
            nbformat.write(student_copy(notebook, options.keep_outputs), target)
            print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
