"""Diagrams: BERT on one page, two orders of norm, a word's match, a head's weights.

`architecture` names the chapter that opens each part; `Walk` shows how WordPiece cuts a
text, match by match; `Explorer` shows whose weights go where, in every head (chapters
0, 1, 3b and 4).
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from bertcore.book.plots import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    PURPLE,
    Picture,
    panels,
    show,
    strip,
)
from bertcore.model.config import BertConfig
from bertcore.text.characters import split_words
from bertcore.text.wordpiece import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

_PIECES = ("[CLS]", "the", "dog", "bit", "the", "[MASK]", "[SEP]")
_SHOWN = 6  # tries at either end of a long row
TOP = 3  # shares that the sentence names
_SHARE_BOX = (
    "display: inline-block; min-width: 3.75em; margin: 2px; padding: 2px 7px 6px; "
    f"border: 1.5px solid {GREY}; border-radius: 4px; box-sizing: border-box; "
    "text-align: center; line-height: 1.4; background: "
    f"linear-gradient({BLUE}, {BLUE}) 0 100% / "
)
_ASKS = "; border-color: currentColor; box-shadow: inset 0 0 0 1.5px currentColor"


def architecture(config: BertConfig | None = None) -> Picture:
    """The way of a sentence through BERT, with the sizes of `config`."""
    config = config or BertConfig()
    figure, (axes,) = panels(5.8, 8.2)
    axes.set(xlim=(0, 10), ylim=(0, 16.6))
    axes.axis("off")
    _text_to_pieces(axes)
    _tables(axes, config)
    _layers(axes, config)
    _outputs(axes, config)
    alt = (
        "BERT from text to predictions, top to bottom. WordPiece cuts the text into "
        "pieces. Token, position and segment tables are looked up and added, then "
        f"normalised. {config.layers} equal encoder layers follow; in each, "
        "self-attention and then a feed-forward network change the states, and after "
        "both the input is added and the sum normalised. From the last states the "
        "pooler takes the first one for the next-sentence head, and the masked-LM "
        "head scores the vocabulary at every masked piece."
    )
    return show(figure, alt)


def norm_orders() -> Picture:
    """One post-LN layer, as in BERT, beside a pre-LN one."""
    figure, (axes,) = panels(5.8, 5.0)
    axes.set(xlim=(0, 11.6), ylim=(0, 10))
    axes.axis("off")
    for x, first, title in ((0.3, False, "post-LN: BERT"), (6.3, True, "pre-LN")):
        axes.text(x + 2.9, 9.7, title, ha="center", va="center", size=12)
        _block(axes, x, 5.1, "self-attention", ORANGE, first)
        _block(axes, x, 0.7, "feed-forward", GREEN, first)
    alt = (
        "Two layers side by side. Norm last: attention's result is added to its input, "
        "the sum goes through LayerNorm, and so again with the feed-forward network, "
        "so every way through the layer passes both norms. Norm first: LayerNorm, then "
        "attention, then the sum; a way leads from bottom to top past both norms."
    )
    return show(figure, alt)


def _block(
    axes: Axes, x: float, y: float, label: str, colour: str, first: bool
) -> None:
    """A sub-layer on the right, the residual around it on the left, the sum below."""
    middle, way = x + 3.6, x + 0.8
    if first:
        _box(axes, x + 2.1, y + 2.75, 3.0, 0.6, "LayerNorm", PURPLE, 10)
        _arrow(axes, (middle, y + 2.7), (middle, y + 2.2))
    _box(axes, x + 2.1, y + 1.4, 3.0, 0.75, label, colour, 10)
    top = y + (3.4 if first else 2.2)
    _arrow(axes, (middle, y + 4.0), (middle, top))
    axes.plot([middle, way, way], [y + 3.75, y + 3.75, y + 0.95], color="black", lw=1)
    _arrow(axes, (middle, y + 1.35), (middle, y + 1.15))
    _arrow(axes, (way, y + 0.95), (middle - 0.22, y + 0.95))
    axes.text(middle, y + 0.95, "+", ha="center", va="center", size=14)
    if not first:
        _box(axes, x + 2.1, y + 0.05, 3.0, 0.6, "LayerNorm", PURPLE, 10)
        _arrow(axes, (middle, y + 0.8), (middle, y + 0.67))
    _arrow(axes, (middle, y + (0.75 if first else 0.0)), (middle, y - 0.42))


def _text_to_pieces(axes: Axes) -> None:
    axes.text(4.4, 16.2, "“The dog bit the man”", ha="center", va="center", size=13)
    _arrow(axes, (4.4, 15.85), (4.4, 15.25), "WordPiece", 1)
    for index, piece in enumerate(_PIECES):
        _box(axes, 0.35 + index * 1.17, 14.55, 1.05, 0.62, piece, GREY, size=9)
    _arrow(axes, (4.4, 14.45), (4.4, 13.85), "look up and add", 2)


def _tables(axes: Axes, config: BertConfig) -> None:
    tables = (
        ("token", config.vocab_size),
        ("position", config.max_positions),
        ("segment", config.segments),
    )
    for index, (name, rows) in enumerate(tables):
        x = 0.35 + index * 2.85
        _box(axes, x, 12.6, 2.4, 1.15, f"{name}\n{rows:,} × {config.hidden_size}", BLUE)
        if index:
            axes.text(x - 0.22, 13.17, "+", ha="center", va="center", size=14)
    _arrow(axes, (4.4, 12.5), (4.4, 11.95))
    _box(axes, 0.35, 11.3, 8.1, 0.6, "LayerNorm, dropout", PURPLE)
    _arrow(axes, (4.4, 11.25), (4.4, 10.6))


def _layers(axes: Axes, config: BertConfig) -> None:
    frame = FancyBboxPatch(
        (0.35, 4.95), 8.1, 5.55, "round,pad=0.05", fill=False, ec=GREY, ls="--"
    )
    axes.add_patch(frame)
    axes.text(8.3, 10.2, f"× {config.layers}", ha="right", va="center", size=14)
    heads = f"{config.heads} heads of {config.hidden_size // config.heads}"
    inner = f"{config.hidden_size} → {config.feedforward_size:,} → {config.hidden_size}"
    _sublayer(axes, 7.75, f"self-attention\n{heads}", ORANGE, 3)
    _sublayer(axes, 5.05, f"feed-forward, GELU\n{inner}", GREEN, 4)
    states = f"a state of {config.hidden_size} for each piece"
    _arrow(axes, (4.4, 4.85), (4.4, 4.1), states)


def _sublayer(axes: Axes, y: float, label: str, colour: str, chapter: int) -> None:
    """A sub-layer, the residual around it, and the norm where the two meet."""
    _box(axes, 1.6, y + 1.05, 5.6, 1.05, label, colour)
    _box(axes, 1.6, y + 0.05, 5.6, 0.6, "add, LayerNorm", PURPLE)
    _arrow(axes, (4.4, y + 2.7), (4.4, y + 2.15))
    _arrow(axes, (4.4, y + 1.0), (4.4, y + 0.7))
    around = [(4.4, y + 2.5), (0.95, y + 2.5), (0.95, y + 0.35), (1.5, y + 0.35)]
    axes.plot(*zip(*around[:3], strict=True), color="black", lw=1)
    _arrow(axes, around[2], around[3])
    _chapter(axes, y + 1.55, chapter)


def _outputs(axes: Axes, config: BertConfig) -> None:
    for index in range(len(_PIECES)):
        _box(axes, 0.35 + index * 1.17, 3.55, 1.05, 0.42, "", GREY)
    _arrow(axes, (0.88, 3.45), (0.88, 2.75))
    _arrow(axes, (6.72, 3.45), (6.72, 2.75))
    _box(axes, 0.35, 2.0, 2.9, 0.65, "pooler (ch. 5)", PINK)
    _arrow(axes, (1.8, 1.95), (1.8, 1.2))
    _box(axes, 0.35, 0.45, 2.9, 0.65, "next sentence?", PINK)
    _box(axes, 3.75, 2.0, 4.7, 0.65, "dense, GELU, LayerNorm", PINK)
    _arrow(axes, (6.1, 1.95), (6.1, 1.2))
    hidden = f"masked piece: 1 of {config.vocab_size:,}"
    _box(axes, 3.75, 0.45, 4.7, 0.65, hidden, PINK)
    _chapter(axes, 1.55, 6)


def _box(
    axes: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    label: str,
    colour: str,
    size: float = 11,
) -> None:
    """A rounded box: a tint of the colour that lets either page show through."""
    patch = FancyBboxPatch(
        (x, y), width, height, "round,pad=0.04", fc=colour + "30", ec=colour, lw=1.4
    )
    axes.add_patch(patch)
    middle = x + width / 2, y + height / 2
    axes.text(*middle, label, ha="center", va="center", size=size, linespacing=1.3)


def _arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    label: str = "",
    chapter: int | None = None,
) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(start, end, color="black", lw=1, **style))
    middle = (start[1] + end[1]) / 2
    axes.text(start[0] + 0.25, middle, label, ha="left", va="center", size=10)
    if chapter:
        _chapter(axes, middle, chapter)


def _chapter(axes: Axes, y: float, number: int) -> None:
    axes.text(8.75, y, f"ch. {number}", ha="left", va="center", size=10, style="italic")


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
    matches = []
    rest, prefix = word, 0  # `prefix`: of what is left, the ## that is not in the text
    while len(rest) > prefix:
        tries = []
        for end in range(len(rest), prefix, -1):
            tries.append(rest[:end])
            if rest[:end] in tokenizer.ids:
                break
        piece = tries[-1] if tries[-1] in tokenizer.ids else None
        matches.append(Step(rest, tries, piece))
        if piece is None:
            break
        rest, prefix = "##" + rest[end:], 2
    return matches


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
        rows = "".join(_row(step, ids) for _, matches in self.words for step in matches)
        return (
            f'<div class="{kind}" data-text="{html.escape(self.text)}">'
            f'{boxes}<table><thead><tr><th scope="col">Left of the word</th>'
            '<th scope="col">Tried in vain, the longest first</th>'
            '<th scope="col">Found</th>'
            f"</tr></thead><tbody>{rows}</tbody></table></div>"
        )


def _row(step: Step, ids: dict[str, int]) -> str:
    """A match as a row of the table: what was left, tried in vain, and found."""
    failed, match = step.tries, "nothing: the whole word is [UNK]"
    if step.piece is not None:  # then it is the last that was tried
        failed = failed[:-1]
        match = f"<code>{html.escape(step.piece)}</code> {ids[step.piece]}"
    shown = [html.escape(candidate) for candidate in failed]
    if len(shown) > 2 * _SHOWN:
        hidden = len(shown) - 2 * _SHOWN
        shown[_SHOWN:-_SHOWN] = [f"… {hidden} more …"]
    return (
        f"<tr><td><code>{html.escape(step.rest)}</code></td>"
        f"<td>{' · '.join(shown)}</td><td>{match}</td></tr>"
    )


class Example(NamedTuple):
    """A sentence's pieces and its weights, `layers heads q k`, in 255ths."""

    pieces: list[str]
    weights: Tensor


class Explorer:
    """A sentence as boxes, and in each box its share of what one token takes.

    On the published page tools/explorer.js lets the reader choose sentence, layer, head
    and token. It draws the same boxes and says the same sentence, so a change here is a
    change there.
    """

    def __init__(
        self,
        examples: Sequence[tuple[list[str], Tensor]],
        *,
        sentence: int = 1,
        layer: int = 1,
        head: int = 1,
        token: int = 1,
    ) -> None:
        """Take the weights of every layer and head; all choices count from 1.

        Args:
            examples: for each sentence its pieces, and its weights `layers heads q k`.
            sentence: the sentence that is shown first.
            layer: the layer that is shown first.
            head: the head that is shown first.
            token: the position of the piece whose query is shown first; [CLS] has 1.

        Raises:
            ValueError: if pieces and weights do not fit together, or a row of weights
                does not sum to 1.
        """
        self.examples = [
            _example(number, *example) for number, example in enumerate(examples, 1)
        ]
        self.sentence, self.layer, self.head, self.token = sentence, layer, head, token

    @property
    def shares(self) -> list[int]:
        """What the token takes from each piece, in 255ths."""
        weights = self.examples[self.sentence - 1].weights
        return weights[self.layer - 1, self.head - 1, self.token - 1].tolist()

    def __repr__(self) -> str:
        pieces, shares = self.examples[self.sentence - 1].pieces, self.shares
        order = sorted(range(len(shares)), key=lambda place: -shares[place])[:TOP]
        parts = [
            f"{percent(shares[place])} from {_name(pieces, place)}"
            for place in order
            if percent(shares[place]) != "0%"
        ]
        taken = " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
        return (
            f"Layer {self.layer}, head {self.head}: {_name(pieces, self.token - 1)} "
            f"takes {taken or 'less than 1% from every token'}."
        )

    def _repr_html_(self) -> str:
        pieces = self.examples[self.sentence - 1].pieces
        boxes = "".join(
            _share_box(piece, share, place == self.token)
            for place, (piece, share) in enumerate(
                zip(pieces, self.shares, strict=True), 1
            )
        )
        data = json.dumps(self._data(), ensure_ascii=False, separators=(",", ":"))
        return (
            f'<div class="bertcore-explorer"><p>{html.escape(repr(self))}</p>'
            f'<ul style="list-style: none; padding: 0; margin: 1em -2px">{boxes}</ul>'
            # No "<" in the data: "</script>" in a piece must not end it.
            '<script type="application/json">'
            f"{data.replace('<', chr(92) + 'u003c')}</script></div>"
        )

    def _data(self) -> dict[str, object]:
        """All weights, a byte each, for the script; there, choices count from 0."""
        layers, heads = self.examples[0].weights.shape[:2]
        chosen = {
            name: getattr(self, name) - 1
            for name in ("sentence", "layer", "head", "token")
        }
        examples = [
            {
                "pieces": pieces,
                "weights": base64.b64encode(bytes(weights.flatten().tolist())).decode(),
            }
            for pieces, weights in self.examples
        ]
        return {"layers": layers, "heads": heads, "first": chosen, "examples": examples}


def percent(share: int) -> str:
    """A share in 255ths as the page shows it.

    >>> percent(255), percent(105), percent(1)
    ('100%', '41%', '0%')
    """
    return f"{100 * share / 255:.0f}%"


def _example(number: int, pieces: list[str], weights: Tensor) -> Example:
    """The pieces with a byte for each weight, after a check that they fit together."""
    count, shape = len(pieces), tuple(weights.shape)
    if len(shape) != 4 or shape[2:] != (count, count) or 0 in shape:
        raise ValueError(
            f"sentence {number}: weights of shape {shape} for {count} pieces; give "
            f"`layers heads q k`, here (layers, heads, {count}, {count})"
        )
    weights = weights.detach().float().cpu()
    error = (weights.sum(-1) - 1).abs().max().item()
    if not error < 1e-2 or weights.min() < 0:  # "not <", so that NaN is refused
        raise ValueError(
            f"sentence {number}: its weights are not shares (a row misses the sum 1 by "
            f"{error:.2g}, the smallest weight is {weights.min().item():.2g}); give "
            "them after the softmax, without dropout"
        )
    weights = weights.clamp(max=1) * 255
    return Example(list(pieces), weights.round().byte())


def _name(pieces: list[str], place: int) -> str:
    """The piece in quotes, with a number where the sentence has it more than once."""
    piece = pieces[place]
    number = pieces[: place + 1].count(piece)
    return f"“{piece}”" + (f" no. {number}" if pieces.count(piece) > 1 else "")


def _share_box(piece: str, share: int, asks: bool) -> str:
    """A piece over its share, tinted by it; "asks" above the one that asks."""
    # A bar below, and a tint of half its colour at most: on more, text is hard to read.
    tint = f"{percent(share)} 4px no-repeat {BLUE}{share // 2:02x}"
    style = f"{_SHARE_BOX}{tint}{_ASKS if asks else ''}"
    return (
        f'<li style="{style}"><small style="display: block; font-size: 0.75em; '
        f"""line-height: 1.3">{"asks" if asks else "&nbsp;"}</small>"""
        '<code style="background: none; border: 0; color: inherit; padding: 0">'
        f'{html.escape(piece)}</code><small style="display: block">{percent(share)}'
        "</small></li>"
    )
