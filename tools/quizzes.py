"""The quizzes: questions from quizzes/*.yml, as HTML that works without a script.

A question is a group of radio buttons, and what each choice deserves stands folded
below it. tools/quiz.js adds a button that says it for the choice taken. (jupyterquiz
draws its questions by script alone, and inside notebooks.)
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tools.mathml import to_mathml

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = Path(__file__).with_name("quiz.js")
MARK = 'class="quiz"'
LETTERS = "ABCDE"


class Choice(NamedTuple):
    """What one may answer, whether it is right, and why."""

    says: str
    right: bool
    why: str


class Question(NamedTuple):
    """A question with its choices, and the id of the notebook's cell that decides."""

    text: str
    cell: str
    choices: list[Choice]


def file_of(chapter: str, root: Path = ROOT) -> Path:
    """Where the quiz of a chapter, such as "01-wordpiece", is or would be."""
    return root / "quizzes" / f"{chapter}.yml"


def read(path: Path) -> list[Question]:
    """The questions of a file.

    Raises:
        ValueError: if an entry has other parts than it should.
    """
    found = []
    for entry in yaml.safe_load(path.read_text(encoding="utf8")):
        if set(entry) != {"question", "cell", "choices"}:
            raise ValueError(
                f"{path.name}: an entry has {sorted(entry)}; give question, cell "
                "(the id of the cell that decides) and choices"
            )
        choices = []
        for choice in entry["choices"]:
            right, wrong = choice.get("right"), choice.get("wrong")
            if set(choice) - {"right", "wrong"} != {"why"} or (right and wrong):
                raise ValueError(
                    f"{path.name}: a choice has {sorted(choice)}; give either right "
                    "or wrong, each with what it says, and why"
                )
            choices.append(Choice(right or wrong, bool(right), choice["why"]))
        question = Question(entry["question"], entry["cell"], choices)
        texts = [*question[:2], *(text for c in choices for text in (c.says, c.why))]
        if unquoted := [text for text in texts if not isinstance(text, str)]:
            raise ValueError(
                f"{path.name}: YAML reads {unquoted[0]!r} as no text; put it in quotes"
            )
        found.append(question)
    return found


# As HTML ------------------------------------------------------------------------------


def _maths(
    renderer: RendererHTML, tokens: list, index: int, options: object, env: object
) -> str:
    return to_mathml(tokens[index].content, block=False)


@cache
def _markdown() -> MarkdownIt:
    reader = MarkdownIt("commonmark").use(dollarmath_plugin)
    reader.add_render_rule("math_inline", _maths)
    return reader


def _inline(text: str) -> str:
    return _markdown().renderInline(" ".join(text.split()))


def as_html(questions: list[Question]) -> str:
    """The quiz as a list of questions, each with its folded answers."""
    items = "".join(
        _question(number, question) for number, question in enumerate(questions, 1)
    )
    return f'<div class="quiz"><ol>{items}</ol></div>'


def _question(number: int, question: Question) -> str:
    """One question: choices to take, and below them what each deserves."""
    choices, answers = [], []
    for letter, choice in zip(LETTERS, question.choices, strict=False):
        field = f"quiz-{number}-{letter}"
        choices.append(
            f'<div><input type="radio" name="quiz-{number}" id="{field}" '
            f'value="{letter}"><label for="{field}">{letter}. '
            f"{_inline(choice.says)}</label></div>"
        )
        verdict = "Right." if choice.right else "No."
        answers.append(
            f'<li data-letter="{letter}" data-right="{str(choice.right).lower()}">'
            f"<strong>{verdict}</strong> {_inline(choice.why)}</li>"
        )
    # A folded list is plain HTML, so it opens without a script, and on paper.
    return (
        f"<li><fieldset><legend>{number}. {_inline(question.text)}</legend>"
        f"{''.join(choices)}</fieldset>"
        f"<details><summary>Answers to question {number}, with reasons</summary>"
        f'<ol type="A">{"".join(answers)}</ol>'
        f'<p><a href="#cell-{question.cell}">The cell that decides it</a></p>'
        "</details></li>"
    )


def plain(text: str) -> str:
    """Without the marks of Markdown, as a reader sees it."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"[`*$]", "", text).split())
