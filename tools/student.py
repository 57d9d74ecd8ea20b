"""Write the students' copies of chapters: python tools/student.py CHAPTER... FOLDER

Signature and docstring of each exercise stay; its body, the hidden checks and the
model answers do not. The copy is made from the syntax tree, so it cannot drift from
the solution.
"""

import argparse
import ast
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

YOUR_TURN = 'raise NotImplementedError("your turn")'


def blanked(source: str) -> str:
    """The source with every function's body, or every method's, left to the student.

    >>> print(blanked("def double(x):\\n    '''Twice x.'''\\n    return 2 * x"))
    def double(x):
        '''Twice x.'''
        raise NotImplementedError("your turn")
    """
    lines = source.splitlines()
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inner = {id(n) for f in functions for n in ast.walk(f) if n is not f}
    for function in sorted(functions, key=lambda f: -f.lineno):
        if id(function) in inner:
            continue
        keep = ast.get_docstring(function) is not None
        first, last = function.body[0], function.body[-1]
        start = first.end_lineno if keep else first.lineno - 1
        stub = " " * first.col_offset + YOUR_TURN
        lines[start : last.end_lineno] = [stub]
    return "\n".join(lines)


def student_copy(notebook: NotebookNode, keep_outputs: bool = False) -> NotebookNode:
    """A copy of the notebook without solutions, hidden checks and model answers.

    `keep_outputs` keeps what cells other than exercises and checks have put out.
    """
    copy = nbformat.from_dict(notebook)
    copy.cells = [cell for cell in copy.cells if "hidden-check" not in tags(cell)]
    for cell in copy.cells:
        if "exercise" in tags(cell):
            cell.source = blanked(cell.source)
            cell.metadata["tags"] = [t for t in tags(cell) if t != "hide-input"]
        if "answer" in tags(cell):
            cell.source = "*Your answer.*"
        undone = {"exercise", "check"} & set(tags(cell))
        if cell.cell_type == "code" and (undone or not keep_outputs):
            cell.outputs, cell.execution_count = [], None
    return copy


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def main() -> int:
    """Write the copies and print their paths; the exit status is 2 on a wrong call."""
    parser = argparse.ArgumentParser(description="Write students' copies of chapters.")
    parser.add_argument("chapters", nargs="+", type=Path, metavar="CHAPTER")
    parser.add_argument("folder", type=Path, help="where the copies go")
    parser.add_argument("--keep-outputs", action="store_true", help="of other cells")
    options = parser.parse_args()
    for chapter in options.chapters:
        if not chapter.is_file():
            parser.error(f"no notebook {chapter}; chapters/ holds them")
    options.folder.mkdir(parents=True, exist_ok=True)
    for chapter in options.chapters:
        notebook = nbformat.read(chapter, as_version=4)
        copy = student_copy(notebook, options.keep_outputs)
        nbformat.write(copy, options.folder / chapter.name)
        print(options.folder / chapter.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
