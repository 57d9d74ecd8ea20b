"""A copy of a chapter with cells that decide what a plain run of it leaves open.

Are its axis comments true? Would its bootstrap cell install what it opens? Do its
checks and the cases of instructors/exercises accept our solutions and the other right
ones of instructors/right, reject the wrong ones of instructors/wrong, and do the checks
fail while an exercise is blank? What decides it runs in the notebook's own kernel, so
the source of functions and modules goes into cells, and the solutions go with them as
data: nothing of this repository need be there.

A chapter without a file in instructors/exercises is decided as it was before there were
any, by its checks and hidden checks alone (`_decide_exercises`).
"""

import importlib.util
import inspect
import re
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from types import ModuleType

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from tools import axes
from tools.axes import read_claims
from tools.student import student_copy, tags
from tools.sync import pins

# What runs in the kernel; each imports for itself -------------------------------------


def _watch_axes(sources: dict[str, str], axes: str) -> tuple:
    """Begin to compare the axis comments of cells with the shapes they meet.

    Being watched costs a third of the time, so it ends with the cell that meets the
    last of the comments. `axes` is the source of tools/axes.py.
    """
    import sys
    from types import ModuleType

    from ipykernel.compiler import get_file_name
    from IPython import get_ipython

    sys.modules["axes"] = module = ModuleType("axes")  # where dataclasses look
    exec(axes, vars(module))
    check_axes = module.check_axes

    names = {get_file_name(source): name for name, source in sources.items()}
    watch = check_axes({get_file_name(source): source for source in sources.values()})
    claims = watch.__enter__()
    trace = sys.gettrace()

    def end_of_cell(_) -> None:
        sys.settrace(trace if claims.unmet else None)

    get_ipython().events.register("post_run_cell", end_of_cell)
    return names, watch, claims


def _decide_axes(names: dict, watch, claims) -> None:
    """Fail if a comment was wrong, or if the chapter never reached it."""
    said = [f"{claim}, but no run met it" for claim in claims.unmet]
    try:
        watch.__exit__(None, None, None)
    except AssertionError as error:
        said.append(str(error))
    text = "\n".join(said)
    for file, name in names.items():
        text = text.replace(file, name)
    assert not said, text


def _watch_packages() -> set[str]:
    """Begin to note the packages of which Python opens a file, by their folders."""
    import re
    import sys

    opened = set()

    def note(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str):
            opened.update(re.findall(r"site-packages[/\\](\w+)[/\\]", arguments[0]))

    sys.addaudithook(note)
    return opened


def _decide_packages(opened: set[str], folders: dict[str, list], needs: set) -> None:
    """Fail unless the bootstrap cell would install what was opened, and no more."""
    used = {package for folder in opened for package in folders.get(folder, [])}
    assert used == needs, (
        f"the chapter opens {' '.join(sorted(used)) or 'nothing'}, and its bootstrap "
        f"cell would install {' '.join(sorted(needs)) or 'nothing'}: correct NEEDS "
        "in tools/sync.py and run make sync"
    )


def _decide_exercises(exercises: dict[str, dict], scope: dict) -> None:
    """Fail unless the checks accept right solutions alone, and each exercise's its own.

    An exercise is its checks, its right and wrong solutions and its blank. The first
    wrong solution of each must leave the checks of all others passing. Half of the
    exercises are wrong at a time, chosen by a bit of their number: any two differ in
    some bit.
    """
    import linecache

    def execute(source: str, name: str, scope: dict) -> None:
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        exec(compile(source, name, "exec"), scope)

    def failing(solutions: dict[str, str], checked: set[str]) -> set[str]:
        trial, failed = dict(scope), set()
        for name, exercise in exercises.items():
            if name in solutions:
                execute(solutions[name], f"<a solution of {name}>", trial)
            for check in exercise["checks"] if name in checked else ():
                try:
                    execute(check, f"<a check of {name}>", trial)
                except Exception:
                    failed.add(name)
        return failed

    names = list(exercises)
    everyone = set(names)
    ours = failing({}, everyone)
    said = [f"the checks of {name} reject our own solution" for name in ours]
    for name, exercise in exercises.items():
        for right in exercise["right"]:
            if failing({name: right}, {name}):
                said.append(f"the checks of {name} reject what is right:{right}")
        for wrong in exercise["wrong"]:
            if not failing({name: wrong}, {name}):
                said.append(f"the checks of {name} let this pass:{wrong}")
    first = {name: exercise["wrong"][0] for name, exercise in exercises.items()}
    halves = [
        {name for number, name in enumerate(names) if number >> bit & 1 == side}
        for bit in range((len(names) - 1).bit_length())
        for side in (0, 1)
    ]
    hurt = set()
    for half in halves:
        hurt |= failing({name: first[name] for name in half}, everyone - half)
    before = len(said)
    for name in names if hurt else ():  # which of them it was
        for other in failing({name: first[name]}, hurt - {name}):
            said.append(f"the checks of {other} fail for this {name}:{first[name]}")
    if hurt and len(said) == before:
        said.append(f"the checks of {hurt} fail where others are wrong together")
    blanks = {name: exercise["blank"] for name, exercise in exercises.items()}
    for name in everyone - failing(blanks, everyone):
        said.append(f"the checks of {name} pass in a student's copy")
    assert not said, "\n".join(said)


def _decide_graded(
    exercises: dict[str, dict], modules: dict[str, str], scope: dict
) -> None:
    """Fail unless the cases and the checks tell right solutions from wrong ones.

    The cases of each seed reject every wrong solution; the right ones take the seeds in
    turn, because these run through all cases. The checks reject what is wrong and not
    listed, with all other exercises blank, because a student has not done them yet.
    """
    import linecache
    import sys
    from types import ModuleType

    def execute(source: str, name: str, names: dict) -> dict:
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        exec(compile(source, name, "exec"), names)
        return names

    for name, source in modules.items():  # the last one is the chapter's
        sys.modules[name] = ModuleType(name)
        graded = execute(source, f"<{name}>", vars(sys.modules[name]))
    graded = graded["EXERCISES"]
    from instructors.grading import faults, right_results

    def trial(solutions: dict[str, str]) -> dict:
        names = dict(scope)
        for name, source in solutions.items():
            execute(source, f"<a solution of {name}>", names)
        return names

    def passes(name: str, solutions: dict[str, str]) -> bool:
        names = trial(solutions)
        try:
            for check in exercises[name]["checks"]:
                execute(check, f"<a check of {name}>", names)
        except Exception:
            return False
        return True

    blanks = {name: exercise["blank"] for name, exercise in exercises.items()}
    said, survivors = [], 0
    if odd := set(graded) ^ set(exercises):
        said.append(f"EXERCISES and the chapter's coded exercises differ in {odd}")
    for name in set(graded) & set(exercises):
        exercise, listed = exercises[name], exercises[name]["passing"]
        if passes(name, blanks):
            said.append(f"the check of {name} passes in a student's copy")
        if not passes(name, blanks | {name: exercise["ours"]}):
            said.append(f"the check of {name} rejects our solution, others being blank")

        # Our results once for all wrong solutions: some exercises train a model.
        ours, rules = scope[name], graded[name]
        drawn = {seed: right_results(ours, rules, seed, scope) for seed in (0, 1, 2)}
        for seed, expected in drawn.items():
            solution = trial({name: exercise["ours"]})[name]
            if fault := next(faults(solution, rules, expected), None):
                said.append(f"our {name} differs from itself with seed {seed}: {fault}")
        for index, right in enumerate(exercise["right"]):
            seed, solution = index % len(drawn), trial({name: right})[name]
            if fault := next(faults(solution, rules, drawn[seed]), None):
                said.append(
                    f"the cases of {name} of seed {seed} reject what is right, "
                    f"{fault}:{right}"
                )
            if not passes(name, blanks | {name: right}):
                said.append(f"the check of {name} rejects what is right:{right}")
        found = []
        for index, wrong in enumerate(exercise["wrong"]):
            for seed, expected in drawn.items():
                if not next(faults(trial({name: wrong})[name], rules, expected), None):
                    said.append(f"the cases of {name} of seed {seed} let pass:{wrong}")
            if passes(name, blanks | {name: wrong}):
                found.append(index)
        survivors += len(found)
        if found != listed:
            said.append(
                f"wrong solutions {found} of {name} pass its check, and "
                f"PASS_THE_VISIBLE_CHECK lists {listed}"
            )
    total = sum(len(exercise["wrong"]) for exercise in exercises.values())
    if 10 * survivors > total:
        said.append(f"checks let {survivors} of {total} pass: at most one in ten may")
    assert not said, "\n".join(said)


def _decide_place() -> None:
    """Fail unless the package is the one that is installed where Python is."""
    import sys

    import bertcore

    assert bertcore.__file__.startswith(sys.prefix), bertcore.__file__


# The notebook with these cells ------------------------------------------------------


def tested_copy(
    notebook: NotebookNode,
    wrong: dict[str, list[str]],
    right: dict[str, list[str]] | None = None,
    passing: dict[str, list[int]] | None = None,
    modules: dict[str, str] | None = None,
    needs: set[str] | None = None,
) -> NotebookNode:
    """A copy of a chapter that also decides its axis comments and its exercises.

    Args:
        notebook: the chapter.
        wrong: solutions of each exercise, which must be rejected.
        right: solutions written in other ways than ours, which must be accepted.
        passing: which of the wrong ones pass the visible check all the same.
        modules: what draws the cases, by name: the last one has the chapter's.
        needs: the packages that its bootstrap cell would install, besides bertcore.

    Raises:
        ValueError: if `wrong` has not at least one solution for each exercise, or
            `right` has some for what is none.
    """
    copy = nbformat.from_dict(notebook)
    exercises = exercises_of(notebook, wrong, right, passing)
    claimed = {}
    for number, cell in enumerate(notebook.cells):
        # The package's own test meets every claim of a twin, in all its branches.
        twin = any(tag.startswith("twin:") for tag in tags(cell))
        name = f"cell {number}"
        if cell.cell_type == "code" and read_claims(cell.source, name) and not twin:
            claimed[name] = cell.source
    # The call in a cell of its own: where it fails, nbval shows all of the cell.
    text, closing = inspect.getsource, []
    if needs is not None:
        opening = text(_watch_packages), "_opened = _watch_packages()"
        copy.cells[:0] = map(new_code_cell, opening)
        known = f"_folders, _needs = {package_folders()!r}, {needs!r}"
        closing += [text(_decide_packages), known]
        closing += ["_decide_packages(_opened, _folders, _needs)"]
    if claimed:
        # After the bootstrap cell: before it there may be no bertcore.
        first = [i for i, cell in enumerate(copy.cells) if "bootstrap" in tags(cell)]
        at = first[0] + 1 if first else 0
        given = f"_cells, _source = {claimed!r}, {text(axes)!r}"
        watch = given, "_axes = _watch_axes(_cells, _source)"
        copy.cells[at:at] = map(new_code_cell, (text(_watch_axes), *watch))
        closing += [text(_decide_axes), "_decide_axes(*_axes)"]
    closing += [f"_exercises, _modules = {exercises!r}, {modules!r}"]
    if modules:
        closing += [text(_decide_graded)]
        closing += ["_decide_graded(_exercises, _modules, dict(globals()))"]
    else:
        closing += [text(_decide_exercises)]
        closing += ["_decide_exercises(_exercises, dict(globals()))"]
    closing += [text(_decide_place), "_decide_place()"]
    copy.cells += map(new_code_cell, closing)
    return copy


def exercises_of(
    notebook: NotebookNode,
    wrong: dict[str, list[str]],
    right: dict[str, list[str]] | None = None,
    passing: dict[str, list[int]] | None = None,
) -> dict[str, dict]:
    """Each exercise by its name: its solutions, right and wrong, blank and checks."""
    found: dict[str, dict] = {}
    name = ""
    for cell in notebook.cells:
        if "exercise" in tags(cell):
            (name,) = exercise_names(cell)
            found[name] = {"checks": [], "ours": cell.source}
            found[name] |= {"wrong": wrong.get(name, [])}
            found[name] |= {"right": (right or {}).get(name, [])}
            found[name] |= {"passing": (passing or {}).get(name, [])}
        if {"check", "hidden-check"} & set(tags(cell)):
            found[name]["checks"].append(cell.source)
    for cell in student_copy(notebook).cells:
        if "exercise" in tags(cell):
            (name,) = exercise_names(cell)
            found[name]["blank"] = cell.source
    without = [name for name, each in found.items() if not each["wrong"]]
    if without or set(wrong) - set(found):
        raise ValueError(
            f"instructors/wrong has no solution for {without or 'none'}, and some for "
            f"{sorted(set(wrong) - set(found)) or 'none'}, which are no exercises"
        )
    if odd := sorted(set(right or {}) - set(found)):
        raise ValueError(f"instructors/right has solutions of {odd}: no exercises")
    return found


@cache
def package_folders() -> dict[str, list[str]]:
    """The folders of what chapters may need: each with its package and what that needs.

    What it needs may have been opened before anybody watched: a kernel loads colorama.
    """
    folders = {}
    for folder, packages in packages_distributions().items():
        for package in {*packages} & {*pins()}:
            stated = [
                each for each in requires(package) or [] if "extra ==" not in each
            ]
            stated = [re.match(r"[\w.-]+", each)[0] for each in stated]
            folders[folder] = [package, *({*stated} & {*pins()})]
    return folders


def exercise_names(cell: NotebookNode) -> list[str]:
    """The functions and classes that an exercise's cell defines."""
    return re.findall(r"^(?:def|class) (\w+)", cell.source, flags=re.MULTILINE)


def wrong_solutions(chapter: Path) -> dict[str, list[str]]:
    """What instructors/wrong holds for a chapter, by exercise."""
    return _solutions("wrong", chapter).WRONG


def right_solutions(chapter: Path) -> dict[str, list[str]]:
    """What instructors/right holds for a chapter, by exercise; nothing as yet for some.

    They are right in other ways than ours, which is in the chapter itself.
    """
    if not instructors_file("right", chapter).is_file():
        return {}
    return _solutions("right", chapter).RIGHT


def passing_solutions(chapter: Path) -> dict[str, list[int]]:
    """Which of the wrong ones pass the visible check, by exercise."""
    return getattr(_solutions("wrong", chapter), "PASS_THE_VISIBLE_CHECK", {})


def _solutions(folder: str, chapter: Path) -> ModuleType:
    path = instructors_file(folder, chapter)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def case_modules(chapter: Path) -> dict[str, str]:
    """The modules that draw a chapter's cases; none if it has no such file yet."""
    path = instructors_file("exercises", chapter)
    if not path.is_file():
        return {}
    grading = Path(__file__).parent.parent / "instructors" / "grading.py"
    files = {"instructors.grading": grading, f"instructors.exercises.{path.stem}": path}
    return {name: file.read_text(encoding="utf8") for name, file in files.items()}


def instructors_file(folder: str, chapter: Path) -> Path:
    """Where a chapter's file is in a folder of `instructors`."""
    number, _, name = chapter.stem.partition("-")
    file = f"{name.replace('-', '_')}_{number}.py"
    return chapter.parent.parent / "instructors" / folder / file
