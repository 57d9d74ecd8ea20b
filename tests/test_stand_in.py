"""Every chapter on our own page of texts; its own module, so that a worker is free."""

from pathlib import Path

import matplotlib
import pytest

from tests.test_chapters import cells, each_chapter, execute, name_of


@each_chapter
def test_it_runs_on_the_page_that_stands_in_for_the_package(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that has vanished costs a sentence, never a stack trace."""
    monkeypatch.setattr("bertcore.text.corpora.find_spec", lambda name: None)
    matplotlib.use("agg")
    scope: dict = {"__name__": "chapter"}
    for index, cell in enumerate(cells(path)):
        if cell.cell_type == "code":
            execute(cell.source, name_of(path, index), scope)
