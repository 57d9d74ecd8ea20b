"""What sync writes into notebooks."""

import ast

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.sync import points_cell


def test_points_come_from_the_exercises() -> None:
    cells = [new_markdown_cell("**Nothing.** 1.1 is no title")]
    for number in range(1, 10):
        cells.append(new_markdown_cell(f"**10.{number} A title**\n\nSee **4.2**."))
        new, tag = (new_code_cell, "exercise")
        if number == 2:
            new, tag = (new_markdown_cell, "answer")
        cells.append(new("text", metadata={"tags": [tag], "points": number}))
    source = points_cell(new_notebook(cells=cells), "10-finetuning")
    call = ast.parse(source).body[-1].value
    assert [ast.literal_eval(argument) for argument in call.args] == ["10-finetuning"]
    assert {each.arg: ast.literal_eval(each.value) for each in call.keywords} == {
        "coded": {f"10.{n}": n for n in range(1, 10) if n != 2},
        "in_words": {"10.2": 2},
    }
    assert max(map(len, source.splitlines())) <= 88
