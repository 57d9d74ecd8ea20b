"""Chapters on Colab, with a command `colab` that runs notebooks here."""

import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools import on_colab

# It behaves as google-colab-cli does: a cell that fails does not fail the command.
COLAB = f"""#!{sys.executable}
import pathlib, sys
arguments = sys.argv[1:]
log = pathlib.Path(__file__).with_name("log")
log.write_text(log.read_text() + " ".join(arguments[:3]) + "\\n")
if arguments[0] == "exec" and "-f" not in arguments:
    print("[colab] ready")
    exec(sys.stdin.read())
elif arguments[0] == "exec":
    import nbformat
    path = pathlib.Path(arguments[-1])
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        try:
            exec(cell.source)
        except Exception as error:
            cell.outputs = [nbformat.v4.new_output(
                "error", ename=type(error).__name__, evalue=str(error), traceback=[])]
    nbformat.write(notebook, path.with_name(path.stem + "_output.ipynb"))
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    command = tmp_path / "bin" / "colab"
    command.parent.mkdir()
    command.write_text(COLAB)
    command.chmod(0o755)
    command.with_name("log").touch()
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    return command.with_name("log")


def notebook(folder: Path, *sources: str) -> Path:
    path = folder / "03-attention.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(s) for s in sources]), path)
    return path


def test_a_chapter_runs_and_its_minutes_are_recorded(log: Path, tmp_path: Path) -> None:
    what = on_colab.run(notebook(tmp_path, "1 + 1"), "T4")
    assert what["gpu"] == "no GPU" and what["minutes"] >= 0
    session = "-s bert-03-attention"
    wanted = [f"{verb} {session}" for verb in ("new", "exec", "exec", "stop")]
    assert log.read_text().splitlines() == wanted
    card = tmp_path / "card.json"
    on_colab.record("03-attention", what, "v1", card)
    on_colab.record("00-map", {**what, "minutes": 2.0}, "v2", card)
    results = json.loads(card.read_text())["results"]
    assert [*results] == ["00-map", "03-attention"], "the other chapter stays"
    assert results["00-map"]["ref"] == "v2" and results["00-map"]["minutes"] == 2.0


def test_a_cell_that_fails_is_named_and_the_machine_given_back(log, tmp_path) -> None:
    with pytest.raises(on_colab.Failed, match="cell 1: ZeroDivisionError: division"):
        on_colab.run(notebook(tmp_path, "1", "1 / 0"), "T4")
    assert log.read_text().splitlines()[-1].startswith("stop ")


def test_without_the_command_it_says_what_to_install(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(on_colab.Failed, match="uv tool install google-colab-cli"):
        on_colab.run(notebook(tmp_path, "1"), "T4")
