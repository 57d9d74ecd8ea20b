"""What needs no torch, tried without it: python -m tools.without_torch

For a Python for which no torch is at hand, such as the one that Colab takes next. Every
file must compile; the modules of `FREE` must import and pass their doctests; and a
vocabulary is learnt, a corpus prepared, and each command explains itself.
"""

import contextlib
import doctest
import importlib
import io
import platform
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FREE = """
    __main__ cards files sources
    text.characters text.corpora text.documents text.fast_tokenizer text.merges
    text.prepare text.store text.tales text.tokenizer_files text.vocabulary
    text.wordpiece
    command.options command.text command.pretrain command.finetune
    tasks tasks.baselines tasks.loading tasks.rows tasks.sets
"""
HELP = "pieces vocabulary prepare pretrain finetune predict export doctor".split()


def compiled() -> int:
    """How many files there are, all of which this Python can read.

    Raises:
        SyntaxError: naming one that it cannot.
    """
    folders = "bertcore", "grading", "tools", "tests", "instructors", "benchmarks"
    files = [path for name in folders for path in (ROOT / name).rglob("*.py")]
    for path in files:
        compile(path.read_text(encoding="utf8"), str(path), "exec")
    return len(files)


def imported() -> int:
    """How many doctests the modules of `FREE` have; all of them pass.

    Raises:
        ImportError: if one of the modules needs torch.
        AssertionError: if a doctest fails, after what it printed.
    """
    tried = 0
    for name in FREE.split():
        result = doctest.testmod(importlib.import_module(f"bertcore.{name}"))
        if result.failed:
            raise AssertionError(f"{result.failed} doctests of bertcore.{name}")
        tried += result.attempted
    return tried


def commands(folder: Path) -> int:
    """How many commands were run, in a folder with texts of its own.

    Raises:
        AssertionError: if one has another exit status than 0, after what it printed.
    """
    from bertcore.__main__ import main
    from bertcore.text.tales import tales

    texts = folder / "tales.txt"
    texts.write_text("\n\n".join(" ".join(tale) for tale in tales(60)), "utf8")
    vocabulary, store = folder / "vocabulary", folder / "store"
    lines = [[name, "--help"] for name in HELP]
    lines += [
        ["vocabulary", texts, "--size", "300", "--out", vocabulary],
        ["pieces", "the headland", "--model", vocabulary],
        [
            "prepare",
            texts,
            "--vocabulary",
            vocabulary,
            "--workers",
            "1",
            "--out",
            store,
        ],
    ]
    for line in lines:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            status = main(list(map(str, line)))
        if status:
            raise AssertionError(f"bertcore {' '.join(map(str, line))}: {printed}")
    return len(lines)


def main() -> None:
    """Try everything, and say how much there was."""
    sys.modules["torch"] = None  # so that it cannot be imported, wherever it is
    files, doctests = compiled(), imported()
    with tempfile.TemporaryDirectory() as name:
        run = commands(Path(name))
    print(
        f"Python {platform.python_version()} without torch: {files} files compile, "
        f"{doctests} doctests in {len(FREE.split())} modules pass, {run} commands run"
    )


if __name__ == "__main__":
    main()
