"""The sweep of chapters: what should be right or wrong and is not is named."""

from pathlib import Path

import cloudpickle
import pytest
from typer.testing import CliRunner, Result

from grading.chapters import Chapter, chapters_of
from grading.command import app
from grading.trace import plain
from tests.grading.course import made
from tests.grading.test_chapters import box


def checked(folder: Path, *names: str) -> Result:
    """What `bertcore-course check` makes of a course in a folder."""
    seed = folder / "course.seed"
    seed.write_text("the seed of a sweep")
    where = ["--set", str(folder), "--seed-file", str(seed), "--box", box()]
    return CliRunner().invoke(app, ["check", *names, *where, "--workers", "2"])


@pytest.fixture
def chapter(tmp_path: Path) -> Chapter:
    return made(tmp_path)


def test_a_sound_course(chapter: Chapter, tmp_path: Path) -> None:
    result = checked(tmp_path)
    counts = "3 of 3 right solutions got all points, 6 of 6 wrong ones none, 6 were"
    first, last = result.output.splitlines()
    assert first == f"00-mini: 4 exercises, {counts} named"
    assert last == f"in all {counts} named, boxed by {box()}"
    assert result.exit_code == 0


def test_what_is_not_as_it_should_be(chapter: Chapter, tmp_path: Path) -> None:
    """A right solution that loses, a wrong one that wins, a blank that is none."""
    for kind, old, new in (
        ("right", "values + values", "values + values + 1e-3"),
        ("wrong", "values**2", "2 * values"),
        (
            "exercises",
            'return {"in order"',
            'return {} if not numbers else {"in order"',
        ),
    ):
        file = tmp_path / "instructors" / kind / "mini_00.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
    result = checked(tmp_path)
    assert (
        "2 of 3 right solutions got all points, 5 of 6 wrong ones none" in result.output
    )
    assert "a right double loses its points, a sum: ['case 1 of 3: " in result.output
    assert "a wrong double gets all points: the square" in result.output
    assert result.exit_code == 1


def test_a_chapter_that_fails_ends_no_sweep(chapter: Chapter, tmp_path: Path) -> None:
    """Neither a cell that fails nor an exercise whose cases do."""
    faults = {"01-cell": ("scale = ", "scale = nobody * "), "02-cases": ("", "")}
    for name, (old, new) in faults.items():
        text = chapter.path.read_text().replace(old, new)
        (tmp_path / "chapters" / f"{name}.ipynb").write_text(text)
        number, _, word = name.partition("-")
        for kind in ("exercises", "wrong"):
            folder = tmp_path / "instructors" / kind
            text = (folder / "mini_00.py").read_text()
            text = text.replace("random.Random(seed)", "random.Random(seed, 1)")
            (folder / f"{word}_{number}.py").write_text(text)
    result = checked(tmp_path, "01-cell", "02-cases")
    one, its_fault, two, its_other_fault, _ = result.output.splitlines()
    assert "0 of 0 wrong ones none" in one and "0 of 0 wrong ones none" in two
    assert its_fault == (
        "    cannot be swept: ValueError: cell 1 of the chapter fails: "
        "NameError(\"name 'nobody' is not defined\")"
    )
    assert "cannot be swept: ValueError: ordered is not graded, TypeError: " in (
        its_other_fault
    )
    assert result.exit_code == 1


@pytest.mark.parametrize(
    "value",
    [
        {(1, 2): 3},
        {("a", (True, None)): {(2,): "b"}},
        {(1, 2), (3,)},
        frozenset({((0.5,),)}),
    ],
)
def test_tuples_travel_as_keys(value: object) -> None:
    """A dictionary of pairs of pieces is what some exercises return."""
    assert plain(value) == value


def test_candidates_take_no_solutions_along() -> None:
    """A student's process has none: it could not even read the candidates."""
    cases = chapters_of()["00-map"].generators.state_cases
    called = dict.fromkeys(["linear", "layer_norm", "look_up", "attend"], len)
    given = {**called, "feed_forward": len, "embedding_parameters": "our solution"}
    assert b"our solution" not in cloudpickle.dumps(cases(0, given))
