"""No chapter decides a claim or an exercise on a name that has changed its meaning.

The rule stands in `tools/notebook_names.py`. Nothing is executed here. Chapters that
are still to be rewritten have faults of old; these are listed, and the lists may only
become shorter.
"""

from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests.conftest import ROOT
from tools.notebook_names import bare_booleans, faults, mattering, names
from tools.sync import COMPARED

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))

# Chapter -> id of a cell -> names of several cells that it reads all the same.
EXEMPT_NAMES: dict[str, dict[str, str]] = {}
# Chapter -> ids of cells with a bare True or False in an output that tests compare.
EXEMPT_BOOLEANS: dict[str, str] = {}
# The length of each list when it was made, or less. Lower it when you shorten a list.
MOST_NAMES, MOST_BOOLEANS = 0, 0

HINT = "; see tools/notebook_names.py for the rule"
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def exempt_names(chapter: str) -> set[tuple[str, str]]:
    listed = EXEMPT_NAMES.get(chapter, {})
    return {(cell, name) for cell, found in listed.items() for name in found.split()}


def exempt_booleans(chapter: str) -> set[str]:
    return set(EXEMPT_BOOLEANS.get(chapter, "").split())


@each_chapter
def test_cells_that_matter_read_names_of_one_meaning(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    found = {(notebook.cells[f.cell].id, f.name): str(f) for f in faults(notebook)}
    exempt = exempt_names(path.stem)
    new = [text for key, text in found.items() if key not in exempt]
    assert not new, "\n".join(new) + HINT
    mended = exempt - set(found)
    assert not mended, f"mended, so take it out of EXEMPT_NAMES: {sorted(mended)}"


@each_chapter
def test_compared_outputs_say_more_than_true_or_false(path: Path) -> None:
    """Assert it, and print the number: a wrong `False` is recorded like any other."""
    notebook = nbformat.read(path, as_version=4)
    found = {notebook.cells[index].id for index in bare_booleans(notebook)}
    exempt = exempt_booleans(path.stem)
    assert not found - exempt, f"assert it instead: cells {sorted(found - exempt)}"
    mended = exempt - found
    assert not mended, f"mended, so take it out of EXEMPT_BOOLEANS: {sorted(mended)}"


def test_the_lists_only_become_shorter() -> None:
    chapters = {path.stem for path in CHAPTERS}
    gone = {*EXEMPT_NAMES, *EXEMPT_BOOLEANS} - chapters
    assert not gone, f"no such chapter, so take it out of the lists: {sorted(gone)}"
    assert sum(len(exempt_names(chapter)) for chapter in chapters) <= MOST_NAMES
    assert sum(len(exempt_booleans(chapter)) for chapter in chapters) <= MOST_BOOLEANS


# The lint finds what it is there for ------------------------------------------------


def notebook(*cells: str | tuple[str, ...]) -> NotebookNode:
    """Code as it is; text begins with `# `, and tags follow a cell in a tuple."""
    made = nbformat.v4.new_notebook()
    for cell in cells:
        source, *tags = (cell,) if isinstance(cell, str) else cell
        new = nbformat.v4.new_code_cell
        if source.startswith("# "):
            source, new = source.removeprefix("# "), nbformat.v4.new_markdown_cell
        made.cells.append(new(source, metadata={"tags": tags}))
    return made


def found(*cells: str | tuple[str, ...]) -> list[tuple[int, str]]:
    return [(fault.cell, fault.name) for fault in faults(notebook(*cells))]


def test_finds_the_fault_that_chapter_0_once_had() -> None:
    """The loop made `ids` a tensor of one row, so one row was shuffled: none."""
    game = """
for gap in ("The ship sailed across the [MASK] to America.",):
    ids = torch.tensor([its_pieces.encode(gap, parse_special=True)])
    with torch.no_grad():
        scores = small(ids)[0, ids[0] == its_pieces.mask_id][0]"""
    decides = """
torch.manual_seed(1)
order = torch.randperm(len(ids))
input_ids = batch["input_ids"]
with torch.no_grad():
    straight = bert(input_ids)
    without = bert(input_ids[:, order])"""
    chapter = notebook(
        "ids = tokenizer.encode(sentence)",
        "# This is the guessing itself.",
        game,
        "# What stands there counts.",
        "blind = deepcopy(bert)",
        "# **Claim 3: BERT can process a text in any order.** So we shuffle the rows.",
        decides,
        "# **Decided: false as said.**",
    )
    (fault,) = faults(chapter)
    assert str(fault) == "cell 6 reads 'ids' of cells 0, 2"
    chapter.cells[2].source = game.replace("ids", "gap_ids")
    assert not faults(chapter)


@pytest.mark.parametrize(
    "other",
    [
        "x = 2",
        "x += 1",
        "x: int = 2",
        "a, (*x, b) = 1, (2, 3)",
        "for x in range(3): pass",
        "with open(file) as x: pass",
        "print(x := 2)",
        "print([x := n for n in range(3)])",
        "try:\n    pass\nexcept ValueError as x:\n    pass",
        "match y:\n    case [int(), *x]:\n        pass",
        "match y:\n    case {'a': 1, **x}:\n        pass",
        "import torch as x",
        "import x.y",
        "from torch import x",
        "def x(): pass",
        "class x: pass",
        "def f():\n    global x\n    x = 2",
        "if y:\n    for n in y:\n        x = n",
    ],
)
def test_finds_every_way_to_assign(other: str) -> None:
    assert found("x = 1", other, ("print(x)", "check")) == [(2, "x")]


@pytest.mark.parametrize(
    "other",
    [
        "y = [x for x in range(3)]",
        "y = {x: x for x in range(3)}",
        "y = lambda x: x",
        "def f(x): return x",
        "def f():\n    x = 2\n    return x",
        "class A:\n    x = 2",
        "y.x = 2",
        "f(x=2)",
        "x: int",
        "del x",
    ],
)
def test_leaves_local_names_alone(other: str) -> None:
    assert not found("x = 1", other, ("print(x)", "check"))


def test_an_import_of_the_same_thing_is_no_second_assignment() -> None:
    check = ("print(F)", "check")
    usual = "import torch.nn.functional as F"
    assert not found(usual, "from torch.nn import functional as F", check)
    assert found(usual, "from fractions import Fraction as F", check) == [(2, "F")]
    assert found("from torch.nn import Module", "from flax.nnx import Module",
                 ("print(Module)", "check")) == [(2, "Module")]  # fmt: skip
    with pytest.raises(ValueError, match=r"from torch import \*: name what you want"):
        names("from torch import *")


@pytest.mark.parametrize(
    "reads",
    [
        "print(x)",
        "x += 1",
        "x.append(1)",
        "x = x + 1",
        "f(lambda: x)",
        "def f(): return x",
        "def f(y=x): pass",
        "def f():\n    def g():\n        return x\n    return g",
        "class A(x): pass",
        "class A:\n    def f(self):\n        return x",
        "@x\ndef f(): pass",
        "y = [x for n in range(3)]",
        "y = [n for n in range(3) if n in x]",
        "for x in x: pass",
        "if y:\n    x = 1\nprint(x)",
        "try:\n    x = f()\nexcept ValueError:\n    pass\nprint(x)",
        "try:\n    x = f()\nexcept ValueError:\n    print(x)",
        "def f():\n    x = 1\nprint(x)",
        "def f():\n    print(x)\nx = 1\nf()",
        "x = 1\ndel x\nprint(x)",
    ],
)
def test_finds_every_way_to_read(reads: str) -> None:
    assert found("x = 1", "x = 2", (reads, "check")) == [(2, "x")]


@pytest.mark.parametrize(
    "own",
    [
        "x = 1\nprint(x)",
        "x = 1\ndef f(): return x",
        "for x in y: print(x)",
        "for n in y:\n    x = n\nprint(x)",
        "with y as x: print(x)",
        "with y:\n    x = 1\nprint(x)",
        "if y:\n    x = 1\nelse:\n    x = 2\nprint(x)",
        "if y:\n    x = 1\nelse:\n    raise ValueError\nprint(x)",
        "try:\n    x = f()\nexcept ValueError:\n    x = 1\nprint(x)",
        "try:\n    f()\nexcept ValueError as x:\n    print(x)",
        "try:\n    f()\nfinally:\n    x = 1\nprint(x)",
        "def x(n): return x(n - 1)\nx(3)",
        "print([x for x in y])",
        "print([x := n for n in y], x)",
        "def f(x): return x",
        "y.x(x=1)",
    ],
)
def test_what_a_cell_has_assigned_itself_is_its_own(own: str) -> None:
    assert not found("x = 1", "x = 2", (own, "check"))


def test_functions_of_other_cells_read_for_those_that_use_them() -> None:
    """Defined where `x` meant the one thing, called where it means the other."""
    for helper in (
        "def f(): return x",
        "f = lambda: x",
        "f = {'a': lambda: x}",
        "f = (x for _ in range(3))",
        "f = {}\nf['a'] = lambda: x",
        "f, y = lambda: x, 1",
        "class f:\n    def g(self):\n        return x",
        "def g(): return x\ndef f(): return g()",
    ):
        (fault,) = faults(notebook("x = 1", helper, "x = 2", ("print(f)", "check")))
        assert (fault.cell, fault.name, fault.assigned) == (3, "x", (0, 2))
        assert "through" in str(fault)
    assert not found("x = 1", "def f(x): return x", "x = 2", ("print(f)", "check"))
    own = "def f(): return 1\nprint(f())"
    assert not found("x = 1\ndef g(): return x", "x = 2", (own, "check"))


def test_finds_the_cells_that_matter() -> None:
    chapter = notebook(
        "a",
        "# > **Two claims: one thing, and another.** We look.",
        "b",
        ("c", "figure"),
        "# It is so.",
        "d",
        "# What it shows.",
        "e",
        "# So that much is decided.",
        "f",
        "# Nothing is claimed here, and nothing undecided.",
        "g",
        "# ## Exercises",
        ("h", "exercise"),
        "i",
        ("j", "check"),
        ("k", "hidden-check"),
        "# The end",
        ("l", "claim:12"),
        ("# No code, a **claim**", "claim:3"),
    )
    found = "".join(chapter.cells[index].source for index in mattering(chapter))
    assert found == "abcefhjkl"


def test_finds_true_and_false_where_tests_compare() -> None:
    for text, wanted in [
        ("the same: True\n", [0]),
        ("[False, 0.5]\n", [0]),
        ("True", [0]),
        ("largest difference 0.0000\n", []),
        ("Falsehood, untrue, True_\n", []),
    ]:
        made = notebook(("print(x)", COMPARED), "print(x)")
        for cell in made.cells:
            cell.outputs = [nbformat.v4.new_output("stream", text=text)]
        assert bare_booleans(made) == wanted
    value = nbformat.v4.new_output("execute_result", data={"text/plain": "True"})
    made.cells[0].outputs = [value]
    assert bare_booleans(made) == [0]
