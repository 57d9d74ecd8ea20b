"""What a release refuses: each says what to do."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from bertcore import __version__
from tools import release
from tools.sync import repository

CHANGES = f"# Changes\n\n## {__version__}, {{date}}\n\n- [New](a.md).\n\n## 0.0.9\n"


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, "-C", folder, *arguments], check=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit, fit to be released."""
    (tmp_path / "CHANGELOG.md").write_text(CHANGES.format(date="2026-01-31"))
    (tmp_path / "CITATION.cff").write_text(f"title: T\nversion: {__version__}\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    return tmp_path


def test_the_notes_are_this_versions_part(root: Path) -> None:
    place = f"{repository()}/blob/v{__version__}/a.md"
    assert release.notes() == f"## {__version__}, 2026-01-31\n\n- [New]({place}).\n\n"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("CHANGELOG.md", "## 9.9.9, 2026-01-31\n", "no part for"),
        ("CHANGELOG.md", CHANGES.format(date="not yet released"), "give the day as"),
        ("CITATION.cff", "version: 9.9.9\n", "does not say version"),
    ],
)
def test_files_that_disagree_are_refused(root: Path, file, text, message) -> None:
    (root / file).write_text(text)
    with pytest.raises(release.Unfit, match=message):
        release.notes()


def test_what_is_released_is_committed(root: Path) -> None:
    assert len(release.reference()) == 40
    git(root, "tag", f"v{__version__}")
    assert release.reference() == f"v{__version__}"
    (root / "new.txt").write_text("new")
    with pytest.raises(release.Unfit, match="new.txt"):
        release.reference()
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "two")
    with pytest.raises(release.Unfit, match="take the next version"):
        release.reference()


def test_a_wheel_that_grew_is_refused(root, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(release, "OUT", tmp_path / "out")
    monkeypatch.setattr(release, "environment", lambda *_: "python")
    monkeypatch.setattr(release, "run", lambda *_, **__: "")
    monkeypatch.setattr(release, "WHEEL_BYTES", 1000)
    release.OUT.mkdir()
    with zipfile.ZipFile(release.OUT / "bertcore-1-py3-none-any.whl", "w") as archive:
        archive.writestr("bertcore/models/english-mini/model.safetensors", bytes(5000))
        archive.writestr("bertcore/a.py", bytes(900))
    release.build(root)
    with zipfile.ZipFile(release.OUT / "bertcore-1-py3-none-any.whl", "a") as archive:
        archive.writestr("bertcore/b.py", bytes(900))
    with pytest.raises(release.Unfit, match="code has 1,800 bytes"):
        release.build(root)


def test_links_to_colab_lead_to_notebooks(tmp_path: Path) -> None:
    site, notebooks = tmp_path / "site", tmp_path / "notebooks"
    (notebooks / "chapters").mkdir(parents=True)
    (notebooks / "chapters" / "a.ipynb").touch()
    site.mkdir()
    link = '<a href="https://example.org/blob/colab/chapters/{}.ipynb#scrollTo=x">'
    (site / "a.html").write_text(link.format("a"))
    release.check_links(site, notebooks)
    (site / "b.html").write_text(link.format("b"))
    with pytest.raises(release.Unfit, match="lead to chapters/b.ipynb"):
        release.check_links(site, notebooks)
