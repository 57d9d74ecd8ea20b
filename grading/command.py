"""The command `bertcore-course`: release chapters, grade and harden solutions."""

import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from bertcore.command import progress
from grading import autograders, handins, results
from grading import box as boxes
from grading.box import ROOT
from grading.chapters import Chapter, chapters_of, digest_of, release, secret_of
from grading.examiner import BoxFailure, Examiner
from grading.handins import Handin
from grading.harden import harden
from grading.similarity import similar
from grading.sweep import Swept, sweep

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Release chapters of BERT from Scratch, and grade what students hand in.",
)
# Options of several commands, each told once.
SeedFile = Annotated[
    Path,
    typer.Option(
        help="A file that holds the course's seed, any text of eight characters or "
        "more. Keep it to yourself: whoever has it knows all cases."
    ),
]
GradingSet = Annotated[
    Path, typer.Option("--set", help="Of a release; else this clone's chapters.")
]
Box = Annotated[
    str | None, typer.Option(help="bubblewrap or landlock; else the strongest.")
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Run with no box where none works.")
]
Workers = Annotated[int, typer.Option(help="Hand-ins at once; 0: one a core.")]
ChapterName = Annotated[str, typer.Argument(help="Such as 03-attention.")]
Partial = Annotated[
    bool,
    typer.Option(
        "--partial",
        help="Give a share of an exercise's points for a share of right cases, rounded "
        "down to a tenth; else all or nothing.",
    ),
]


@app.command("release")
def release_command(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="CHAPTER... OUT", help="Such as 03-attention week-3."),
    ],
    seed_file: SeedFile = Path("course.seed"),
) -> None:
    """Write students' notebooks, solutions, and the grading set of chapters.

    Makes a seed where there is none.
    """
    *names, folder = arguments
    known = chapters_of()
    if not names or (unknown := [name for name in names if name not in known]):
        wanted = ", ".join(unknown) if names else "no chapter"
        raise ValueError(
            f"{wanted}: there are {', '.join(known)}; the folder comes last"
        )
    about = release([known[name] for name in names], Path(folder))
    secret_of(seed_file, make=True)
    for name, its in about["chapters"].items():
        points = sum(each["points"] for each in its["exercises"].values())
        typer.echo(
            f"{name}: {len(its['exercises'])} exercises in code, {points} points, "
            f"{its['in words']} in words"
        )
    typer.echo(f"Hand out {folder}/student. Keep {folder}/solutions, {seed_file} and")
    typer.echo(f"{folder}/grading-set, with which `bertcore-course grade` grades.")


@app.command("grade")
def grade_command(
    folder: Annotated[Path, typer.Argument(help="With the notebooks handed in.")],
    out: Annotated[Path, typer.Argument(help="Where results go; run again to go on.")],
    seed_file: SeedFile = Path("course.seed"),
    grading_set: GradingSet = ROOT,
    box: Box = None,
    trust: Trust = False,
    workers: Workers = 0,
    partial: Partial = False,
    canvas: Annotated[
        Path | None, typer.Option(help="A gradebook that Canvas exported, to fill in.")
    ] = None,
    assignment: Annotated[
        str, typer.Option(help="Canvas's column, whole or as it begins.")
    ] = "",
) -> None:
    """Grade hand-ins in a box, and write a result for each, tables and feedback."""
    secret, chapters = secret_of(seed_file), chapters_of(grading_set)
    box_used = boxes.strongest(box, trust)
    if box_used == boxes.NONE:
        typer.echo("No box works here: students' code runs with your rights.", err=True)
    found = [handins.read(p, folder, chapters) for p in handins.find(folder)]
    note_copies(found)
    everything = grade(found, chapters, secret, box_used, out, workers, partial)
    for path in results.write_tables(out, everything):
        typer.echo(str(path))
    alike = {name: similar(found, chapter) for name, chapter in chapters.items()}
    typer.echo(str(results.write_similar(out, alike)))
    if canvas:
        text, filled = results.canvas(canvas, everything, assignment)
        (out / "canvas.csv").write_text(text, encoding="utf8", newline="")
        typer.echo(f"{out / 'canvas.csv'}: {filled} rows filled in")
    graded = sum(each["chapter"] is not None for each in everything)
    typer.echo(f"{graded} of {len(everything)} hand-ins graded, boxed by {box_used}")


@app.command("gradescope")
def gradescope_command(
    chapter: ChapterName,
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="To upload.")],
    seed_file: SeedFile = Path("course.seed"),
    grading_set: GradingSet = ROOT,
    partial: Partial = False,
    box: Box = None,
    visibility: Annotated[
        str, typer.Option(help=f"Of feedback: {', '.join(autograders.VISIBILITIES)}.")
    ] = "visible",
) -> None:
    """Write an autograder for Gradescope. It holds the seed: keep it as secret."""
    if visibility not in autograders.VISIBILITIES:
        known = ", ".join(autograders.VISIBILITIES)
        raise ValueError(f"--visibility {visibility}: Gradescope knows {known}")
    options = ["--visibility", visibility, *(["--partial"] if partial else [])]
    options += ["--box", box] if box else []
    one = _one(grading_set, chapter)
    autograders.gradescope(one, secret_of(seed_file), out, options)
    typer.echo(f"{out}: upload it as the assignment's autograder, {_points(one)}")


@app.command("prairielearn")
def prairielearn_command(
    chapter: ChapterName,
    out: Annotated[Path, typer.Argument(help="A new folder of your questions.")],
    image: Annotated[
        str, typer.Option(help="The name of the Docker image that you build.")
    ],
    seed_file: SeedFile = Path("course.seed"),
    grading_set: GradingSet = ROOT,
    partial: Partial = False,
) -> None:
    """Write a question for PrairieLearn. It holds the seed: keep it as secret."""
    options = ["--partial"] if partial else []
    one = _one(grading_set, chapter)
    autograders.prairielearn(one, secret_of(seed_file), out, image, options)
    typer.echo(f"{out}: docker build -t {image} {out}, and push it, {_points(one)}")


@app.command("classroom50")
def classroom50_command(
    chapter: ChapterName,
    out: Annotated[Path, typer.Argument(help="A new folder, autograders/ASSIGNMENT.")],
    grading_set: GradingSet = ROOT,
) -> None:
    """Write an autograder for Classroom 50, whose cases are no secret."""
    one = _one(grading_set, chapter)
    autograders.classroom50(one, out)
    typer.echo(f"{out}: GitHub publishes it, so it holds no seed of yours")


def _one(grading_set: Path, name: str) -> Chapter:
    known = chapters_of(grading_set)
    if name not in known:
        raise ValueError(f"{name}: there are {', '.join(known)}")
    return known[name]


def _points(chapter: Chapter) -> str:
    points = sum(each.points for each in chapter.tasks.values() if not each.optional)
    return f"which has {points} points"


@app.command("autograde", hidden=True)
def autograde_command(
    platform: Annotated[str, typer.Argument(help=", ".join(autograders.PLATFORMS))],
    submission: Annotated[Path, typer.Argument(help="The folder of a hand-in.")],
    out: Annotated[Path, typer.Argument(help="Where the platform reads.")],
    seed_file: SeedFile = Path("course.seed"),
    partial: Partial = False,
    box: Box = None,
    visibility: str = "visible",
) -> None:
    """Grade one hand-in as an autograder: what `grade` does, for a platform's files."""
    if platform not in autograders.PLATFORMS:
        raise ValueError(f"{platform}: there are {', '.join(autograders.PLATFORMS)}")
    secret, chapters, used = secret_of(seed_file), chapters_of(), boxes.strongest(box)
    handin = autograders.handed_in(submission, chapters)
    with TemporaryDirectory() as kept:
        (result,) = grade([handin], chapters, secret, used, Path(kept), 1, partial)
    chapter = chapters.get(result["chapter"])
    autograders.write(out, autograders.PLATFORMS[platform](result, chapter, visibility))
    typer.echo(f"{result['points']} of {result['of']} points, boxed by {used}")


@app.command("check")
def check_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[CHAPTER]...", help="Else all.")
    ] = None,
    seed_file: SeedFile = Path("course.seed"),
    grading_set: GradingSet = ROOT,
    box: Box = None,
    workers: Workers = 0,
) -> None:
    """Try a seed: it must pass all right solutions, and no blank or wrong one."""
    secret, known = secret_of(seed_file), chapters_of(grading_set)
    if unknown := set(names or []) - set(known):
        raise ValueError(f"{', '.join(sorted(unknown))}: there are {', '.join(known)}")
    used, tried = boxes.strongest(box), []
    for chapter in (known[name] for name in names or known):
        if not chapter.is_graded:
            typer.echo(f"{chapter.name}: has no cases yet, and is graded by hand")
            continue
        swept = sweep(chapter, secret, used, workers or os.cpu_count() or 1)
        typer.echo(f"{chapter.name}: {swept.exercises} exercises, {counts([swept])}")
        for fault in swept.faults:
            typer.echo(f"    {fault}")
        tried.append(swept)
    typer.echo(f"in all {counts(tried)}, boxed by {used}")
    if any(swept.faults for swept in tried):
        raise typer.Exit(1)


def counts(tried: list[Swept]) -> str:
    """How many right solutions got all points, and how many wrong ones got none."""
    right, passed, wrong, killed, named = (
        sum(getattr(swept, name) for swept in tried)
        for name in ("right", "passed", "wrong", "killed", "named")
    )
    return (
        f"{passed} of {right} right solutions got all points, "
        f"{killed} of {wrong} wrong ones none, {named} were named"
    )


@app.command("harden")
def harden_command(
    solved: Annotated[Path, typer.Argument(help="A notebook, or a folder of such.")],
    out: Annotated[Path, typer.Argument(help="Where copies with puzzles go.")],
    grading_set: GradingSet = ROOT,
    box: Box = None,
    trust: Trust = False,
    seconds: Annotated[
        float, typer.Option(help="To look for a better change to an exercise.")
    ] = 30.0,
    workers: Workers = 0,
) -> None:
    """Change solutions that pass in one place, for their authors to find out where."""
    chapters, used = chapters_of(grading_set), boxes.strongest(box, trust)
    if used == boxes.NONE:
        typer.echo("No box works here: students' code runs with your rights.", err=True)
    folder = solved.parent if solved.is_file() else solved
    paths = [solved] if solved.is_file() else handins.find(folder)
    found = [handins.read(path, folder, chapters) for path in paths]
    workers = workers or os.cpu_count() or 1
    with progress(total=len(found), unit="notebook") as bar:
        for handin, lines in harden(found, chapters, out, used, seconds, workers):
            bar.write(f"{handin.name}:")
            for line in lines:
                bar.write(f"    {line}")
            bar.update()


def note_copies(found: list[Handin]) -> None:
    """Note which hand-ins are the same, or have the same code but for its layout."""
    for what, of in (("file", _digest), ("code", handins.fingerprint)):
        same = defaultdict(list)
        for handin in found:
            if value := of(handin):
                same[value].append(handin)
        for group in same.values():
            for handin in group if len(group) > 1 else ():
                others = [each.name for each in group if each is not handin]
                shown = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
                handin.notes.append(f"{results.SAME} {what} as {shown}")


def _digest(handin: Handin) -> str:
    return handin.digest


def grade(
    found: list[Handin],
    chapters: dict[str, Chapter],
    secret: str,
    box: str,
    out: Path,
    workers: int = 0,
    partial: bool = False,
) -> list[dict[str, Any]]:
    """Grade what has no result yet, chapter by chapter; all results in order.

    What has one gets its points anew, which runs nothing, should `partial` differ now.
    """
    salt = sha256(secret.encode()).hexdigest()
    made: dict[str, dict[str, Any]] = {}
    with progress(total=len(found), unit="hand-in") as bar:

        def keep(handin: Handin, result: dict[str, Any]) -> None:
            made[handin.name] = result
            bar.update()

        for handin in [each for each in found if each.chapter is None]:
            result = results.result_of(handin, {}, "", results.key_of(handin))
            results.write_result(out, handin, result)
            results.write_unread(out, handin, result)
            keep(handin, result)
        for name, chapter in chapters.items():
            its = [each for each in found if each.chapter == name]
            about = [digest_of(chapter), salt, box]
            keys = {h.name: results.key_of(h, *about, *h.notes) for h in its}
            todo = []
            for handin in its:
                if old := results.done(out, handin, keys[handin.name]):
                    result = results.rated(old, partial)
                    if result != old:
                        results.write_result(out, handin, result)
                        results.write_feedback(out, handin, result, chapter)
                    keep(handin, result)
                else:
                    todo.append(handin)
            if todo and not chapter.is_graded:
                for handin in todo:
                    handin.notes.append(f"{name} has no cases yet: grade it by hand")
                    result = results.result_of(handin, {}, "", keys[handin.name])
                    results.write_result(out, handin, result)
                    keep(handin, result)
            elif todo:
                bar.set_description(f"{name}: its cells run once")
                with Examiner(chapter, secret, box) as examiner:
                    bar.set_description(name)
                    _side_by_side(examiner, todo, out, keys, keep, workers, partial)
    return [made[handin.name] for handin in found]


def _side_by_side(
    examiner: Examiner,
    todo: list[Handin],
    out: Path,
    keys: dict[str, str],
    keep: Callable[[Handin, dict[str, Any]], None],
    workers: int,
    partial: bool,
) -> None:
    """Grade hand-ins in several threads, and write each result as it is there."""
    stop = threading.Event()

    def one(handin: Handin) -> dict[str, Any] | None:
        if stop.is_set():
            return None
        outcomes = examiner.grade(handin)
        key = keys[handin.name]
        result = results.result_of(handin, outcomes, examiner.box, key, partial)
        results.write_result(out, handin, result)
        results.write_feedback(out, handin, result, examiner.chapter)
        return result

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        running = {pool.submit(one, handin): handin for handin in todo}
        try:
            for future in as_completed(running):
                keep(running[future], future.result())
        finally:  # an interruption waits for the hand-ins that are running
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def main() -> None:
    """Run the command; what the user can correct is said in one line."""
    try:
        app()
    except (ValueError, BoxFailure) as error:
        typer.echo(f"bertcore-course: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("Interrupted; the same command goes on from here.", err=True)
        sys.exit(130)
