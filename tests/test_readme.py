"""Every command in the READMEs is run, or a test that runs it is named.

In order, in one folder, as a reader types them; smaller where a line would take long.
Whatever is not run is still read: the command exists, and so does every option.
"""

import contextlib
import io
import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from bertcore.__main__ import main
from bertcore.text.corpora import introductions
from contest.__main__ import main as contest
from tests.conftest import ROOT

TINY = "--epochs 0.1 --rows 16 --no-baselines"
# How a line begins -> what is added to make it short: the last of an option counts.
RUN = {
    "bertcore pieces": "",
    "bertcore vocabulary": "--size 600",
    "bertcore fill-mask": "",
    "bertcore prepare my-texts/*.txt --vocabulary": "--workers 1",
    "bertcore score-text": "",
    "bertcore compare": "",
    "bertcore blimp": "",
    "bertcore prepare": "--size 600 --workers 1",
    "bertcore pretrain --from": "--steps 2 --batch 4 --looks 1 --old-texts tales",
    "bertcore pretrain": "--plan minute --steps 3 --looks 1",
    "bertcore doctor": "",
    "bertcore export": "",
    "bertcore fits": "--preset tiny",
    "bertcore tasks": "",
    "bertcore finetune questions": f"{TINY} --model my-model",
    "bertcore finetune reviews.csv": f"{TINY} --model my-model",
    "bertcore finetune my.jsonl --kind classification": f"{TINY} --model my-model",
    "bertcore finetune my.jsonl --kind writing": (
        f"{TINY} --model my-model --target-length 8"
    ),
    "bertcore predict my-questions": "",
    "bertcore score": "",
    "python -m contest leaderboard": "",
}
# How a line begins -> where it is run, with other data or with more patience.
ELSEWHERE = {
    "torchrun": "tests/command/test_stopped.py::test_two_processes_share_a_run",
    "bertcore finetune summaries": (
        "tests/command/test_write.py::test_a_file_from_a_writer_in_the_course"
    ),
    "bertcore finetune sounds": (  # whose 12,000 words to test take minutes
        "tests/command/test_write.py::test_sounds_start_from_random_weights"
    ),
    "bertcore predict my-sounds": "tests/command/test_write.py::test_how_it_writes",
    "python -m contest race": "tests/contest/test_race.py::test_a_race_of_all",
}
# What a reader has beside: made up here.
ROWS = [
    {"text": f"{name} sees {n} dogs", "label": "ab"[n % 2], "target": name}
    for n, name in enumerate(["Anna", "Ben", "Clara"] * 20)
]

PAIRS = [
    {
        "sentence_good": f"{name} sees a dog.",
        "sentence_bad": f"{name} see a dog.",
        "linguistics_term": "subject_verb_agreement",
        "UID": "agreement",
    }
    for name in ("Anna", "Ben", "Clara")
]


READMES = ROOT / "README.md", ROOT / "bertcore" / "README.md"


def readmes() -> str:
    """The project's and the package's, in the order in which one reads them."""
    return "\n".join(path.read_text(encoding="utf8") for path in READMES)


def blocks() -> list[str]:
    return re.findall(r"^```(?:console|bash)\n(.*?)^```", readmes(), re.M | re.S)


def commands() -> dict[str, list[str]]:
    """Each line that is typed, without its remark -> the lines that it prints."""
    found: dict[str, list[str]] = {}
    line = ""
    for block in blocks():
        for each in block.splitlines():
            if not block.startswith("$ ") or each.startswith("$ "):
                line = re.split(r"  +#", each.removeprefix("$ "))[0].strip()
                line = line.removeprefix(".venv/bin/")
                found[line] = []
            elif not each.lstrip().startswith("#"):  # a remark on a line of its own
                found[line].append(each)
    return found


def entry(table: dict[str, str], line: str) -> str | None:
    for begins, value in table.items():
        if line.startswith(begins):
            return value
    return None


@cache
def help_of(command: str) -> str:
    """What `--help` prints of `bertcore NAME` or `python -m contest NAME`."""
    *program, name = command.split()
    run = contest if program[-1] == "contest" else main
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert run([name, "--help"]) == 0, command
    return printed.getvalue()


COMMANDS = commands()
TYPED = [line for line in COMMANDS if not line.startswith("make ")]


def test_there_are_commands() -> None:
    assert len(TYPED) > 10


@pytest.mark.parametrize("line", [line for line in COMMANDS if line not in TYPED])
def test_make_knows_its_targets(line: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.M)
    assert line.split()[1] in phony.split()


def inline() -> list[str]:
    """The commands that stand in a sentence."""
    found = re.findall(r"`((?:bertcore|python -m contest) [^`]+)`", readmes())
    return sorted({each for each in found if each not in TYPED})


@pytest.mark.parametrize("line", TYPED + inline())
def test_commands_and_options_exist(line: str) -> None:
    *_, program, rest = re.split(r"(?:^|-m )\b(bertcore|contest) ", line)
    name, *words = shlex.split(rest)
    shown = help_of(f"{program} {name}")
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"{word}\b", shown), f"{program} {name} has no {word}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    (folder / "my-texts").mkdir()
    for n, one in enumerate(introductions().documents[:120]):
        file = folder / "my-texts" / f"{n % 2}.txt"
        with file.open("a", encoding="utf8") as opened:
            opened.write(f"{one.text}\n\n")
    rows = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    (folder / "my.jsonl").write_text(rows, encoding="utf8")
    blimp = "".join(f"{json.dumps(row)}\n" for row in PAIRS)
    (folder / "my-blimp").mkdir()
    (folder / "my-blimp" / "agreement.jsonl").write_text(blimp, encoding="utf8")
    table = "".join(f"{row['text']},{len(row['target'])}\n" for row in ROWS)
    (folder / "reviews.csv").write_text(f"review,stars\n{table}", encoding="utf8")
    return folder


@pytest.mark.parametrize("line", TYPED)
def test_commands_run(line, folder: Path, monkeypatch, capsys) -> None:
    more = entry(RUN, line)
    if more is None:
        where = entry(ELSEWHERE, line)
        assert where, f"say in RUN how to make it short, or in ELSEWHERE: {line}"
        path, name = where.split("::")
        assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf8"), where
        return
    monkeypatch.chdir(folder)
    words = shlex.split(line) + shlex.split(more)
    program = contest if words[0] == "python" else main
    words = words[3:] if words[0] == "python" else words[1:]
    given = [
        found
        for word in words
        for found in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]
    assert program(given) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out.splitlines()
    if COMMANDS[line]:
        assert printed == COMMANDS[line]
