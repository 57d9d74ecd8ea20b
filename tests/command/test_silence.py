"""Where no terminal looks on, a bar is a line now and then; short work shows none."""

import time

import pytest

from bertcore import command
from bertcore.command import progress, say


def test_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(command, "SILENCE", 0.1)
    for _ in progress(range(6), desc="letters read"):
        time.sleep(0.05)
    say("a line")
    captured = capsys.readouterr()
    assert captured.out == "a line\n"
    assert 1 <= captured.err.count("letters read: ") <= 4


def test_short_work_says_nothing(capsys: pytest.CaptureFixture) -> None:
    assert list(progress("abc", desc="letters read")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
