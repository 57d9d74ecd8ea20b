"""Walk: how greedy matching goes through a text, step by step (chapter 1).

On the published page tools/playground.js makes the picture one to type into. It draws
the same boxes and the same table, so a change here is a change there.
"""

import html
from typing import NamedTuple

from bertcore.book.plots import strip
from bertcore.text.characters import split_words
from bertcore.text.wordpiece import Tokenizer

_SHOWN = 6  # tries at either end of a long row


class Step(NamedTuple):
    """One match: what is left of a word, what was tried, the piece found, if any."""

    rest: str
    tries: list[str]
    piece: str | None


def steps(word: str, tokenizer: Tokenizer) -> list[Step]:
    """The matches of one word; the last has no piece if the word becomes [UNK].

    >>> tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])
    >>> steps("ab", tokenizer)[0]
    Step(rest='ab', tries=['ab', 'a'], piece='a')
    >>> steps("ab", tokenizer)[1]
    Step(rest='##b', tries=['##b'], piece=None)
    """
    if len(word) > tokenizer.max_word_characters:
        return [Step(word, [], None)]
    found = []
    rest, prefix = word, 0
    while len(rest) > prefix:
        tries = []
        for end in range(len(rest), prefix, -1):
            tries.append(rest[:end])
            if rest[:end] in tokenizer.ids:
                break
        piece = tries[-1] if tries[-1] in tokenizer.ids else None
        found.append(Step(rest, tries, piece))
        if piece is None:
            break
        rest, prefix = "##" + rest[end:], 2
    return found


class Walk:
    """The pieces of a text over their ids, and a table of all that was tried.

    With `playground` the published page makes it one to type into. The tokenizer must
    then be that of uncased BERT, whose vocabulary the page loads.
    """

    def __init__(
        self, tokenizer: Tokenizer, text: str, playground: bool = False
    ) -> None:
        self.tokenizer, self.text, self.playground = tokenizer, text, playground
        words = split_words(text, tokenizer.lowercase)
        self.words = [(word, steps(word, tokenizer)) for word in words]

    def __repr__(self) -> str:
        return " ".join(self.tokenizer.tokenize(self.text))

    def _repr_html_(self) -> str:
        kind = "bertcore-playground" if self.playground else "bertcore-walk"
        ids = self.tokenizer.ids
        pieces = self.tokenizer.tokenize(self.text)
        boxes = strip(pieces, [ids[piece] for piece in pieces])._repr_html_()
        rows = "".join(_row(step, ids) for _, found in self.words for step in found)
        return (
            f'<div class="{kind}" data-text="{html.escape(self.text)}">'
            f'{boxes}<table><thead><tr><th scope="col">Left of the word</th>'
            '<th scope="col">Tried in vain, the longest first</th>'
            '<th scope="col">Found</th>'
            f"</tr></thead><tbody>{rows}</tbody></table></div>"
        )


def _row(step: Step, ids: dict[str, int]) -> str:
    tries = step.tries
    if step.piece is not None:
        tries = tries[:-1]
    shown = [html.escape(one) for one in tries]
    if len(shown) > 2 * _SHOWN:
        hidden = len(shown) - 2 * _SHOWN
        shown[_SHOWN:-_SHOWN] = [f"… {hidden} more …"]
    found = "nothing: the whole word is [UNK]"
    if step.piece is not None:
        found = f"<code>{html.escape(step.piece)}</code> {ids[step.piece]}"
    return (
        f"<tr><td><code>{html.escape(step.rest)}</code></td>"
        f"<td>{' · '.join(shown)}</td><td>{found}</td></tr>"
    )
