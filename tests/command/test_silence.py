"""A command is never silent for long where no terminal looks on."""

import io
import sys

import pytest

from bertcore import command
from bertcore.command import Pulse, at_work, counted, never_silent, say
from bertcore.command.app import main


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its seconds, which a test sets; the pulse beats when the test says so."""
    now = [0.0]
    monkeypatch.setattr(command, "PULSE", Pulse(lambda: now[0]))
    return now


def test_a_line_every_thirty_seconds(clock, capsys) -> None:
    said = []
    for second in range(200):
        clock[0] = second
        if second == 100:
            say("a line")
        if second == 140:
            assert list(counted("abc", "letters read")) == ["a", "b", "c"]
        if second == 190:
            at_work("")  # waits for somebody: silent from here on
        command.PULSE.beat()
        said += [(second, line) for line in "".join(capsys.readouterr()).splitlines()]
    assert said == [
        (30, "bertcore: at work, 30 s so far"),
        (60, "bertcore: at work, 60 s so far"),
        (90, "bertcore: at work, 90 s so far"),
        (100, "a line"),
        (130, "bertcore: at work, 130 s so far"),
        (160, "bertcore: 3 letters read, 160 s so far"),
    ]


def test_the_pulse_beats_while_a_command_is_in_one_call(
    monkeypatch, tmp_path, capsys
) -> None:
    """Every command: it is around all of them. On a terminal bars are enough."""
    monkeypatch.setattr(command, "SILENCE", 0.0)

    def long(*_: object) -> str:
        command.threading.Event().wait(1.2)
        return "made"

    monkeypatch.setattr("bertcore.command.pretrain.describe", long)
    assert main(["info"]) == 0
    assert "bertcore: at work, 1 s so far" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")  # of several processes the first speaks
    assert main(["info"]) == 0
    assert not capsys.readouterr().err
    monkeypatch.delenv("RANK")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with never_silent():
        long()
    assert not sys.stderr.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_tells_how_far_it_is(clock, monkeypatch, tmp_path, capsys) -> None:
    """Of texts that are read and pieces that are learnt; of updates; of answers."""
    from bertcore.command import session
    from tests.command.test_train import quick

    monkeypatch.setattr(session, "measure", quick)
    told: list[str] = []
    plain = Pulse.__setattr__

    def noted(pulse: Pulse, name: str, value: object) -> None:
        told.append(str(value)) if name == "what" else None
        plain(pulse, name, value)

    monkeypatch.setattr(Pulse, "__setattr__", noted)
    text = tmp_path / "a.txt"
    lines = [
        "The dog barks here. It is red.",
        "A cat sleeps. It is blue.",
        "So it goes.",
    ]
    text.write_text("\n\n".join(lines * 3 + ["Not so."]), encoding="utf8")
    out, model = str(tmp_path / "texts"), str(tmp_path / "run")
    given = ["--size", "50", "--hold-out", "4", "--workers", "1"]
    assert main(["prepare", str(text), "--out", out, *given]) == 0
    assert "10 documents read" in told
    given = ["--out", str(tmp_path / "pieces"), "--size", "50"]
    assert main(["vocabulary", str(text), *given]) == 0
    assert "50 pieces learnt" in told
    given = [
        "--data",
        out,
        "--steps",
        "3",
        "--looks",
        "1",
        "--no-pairs",
        "--batch",
        "2",
    ]
    assert main(["pretrain", "--out", model, "--plan", "minute", *given]) == 0
    assert sum("% step 3: loss" in each for each in told) == 1
