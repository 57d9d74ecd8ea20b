"""Explorer: whose weights go where, in every head (chapter 3).

On the published page tools/explorer.js lets the reader choose sentence, layer, head
and token. It draws the same boxes and says the same sentence, so a change here is a
change there.
"""

import base64
import html
import json
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bertcore.book.plots import BLUE, GREY

LIMIT = 300_000  # bytes in a page; more would be felt on a slow line
TOP = 3  # shares that the sentence names
_BOX = (
    "display: inline-block; min-width: 3.75em; margin: 2px; padding: 2px 7px 6px; "
    f"border: 1.5px solid {GREY}; border-radius: 4px; box-sizing: border-box; "
    "text-align: center; line-height: 1.4; background: "
    f"linear-gradient({BLUE}, {BLUE}) 0 100% / "
)
_ASKS = "; border-color: currentColor; box-shadow: inset 0 0 0 1.5px currentColor"


class Example(NamedTuple):
    """A sentence's pieces and its weights, `layers heads q k`, in 255ths."""

    pieces: list[str]
    weights: Tensor


class Explorer:
    """A sentence as boxes, and in each box its share of what one token takes."""

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
            ValueError: if pieces and weights do not fit together, a row of weights
                does not sum to 1, a choice is not there, or the page would be too big.
        """
        if not examples:
            raise ValueError("no examples; give at least one: (pieces, weights)")
        self.examples = [
            _example(number, *example) for number, example in enumerate(examples, 1)
        ]
        # The page has one choice of layers and heads for all of its sentences.
        sizes = {tuple(example.weights.shape[:2]) for example in self.examples}
        if len(sizes) > 1:
            raise ValueError(
                f"examples of {' and '.join(map(str, sorted(sizes)))} layers and "
                "heads; give weights of one model"
            )
        (layers, heads) = sizes.pop()
        _check_choice("sentence", sentence, len(examples))
        _check_choice("layer", layer, layers)
        _check_choice("head", head, heads)
        _check_choice("token", token, len(self.examples[sentence - 1].pieces))
        self.sentence, self.layer, self.head, self.token = sentence, layer, head, token
        size = len(self._repr_html_().encode())
        if size > LIMIT:
            raise ValueError(
                f"{size:,} bytes, and a page takes {LIMIT:,}; give fewer or shorter "
                "sentences, or fewer layers"
            )

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
            _box(piece, share, place == self.token)
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
    return Example(list(pieces), weights.round().to(torch.uint8))


def _check_choice(name: str, number: int, last: int) -> None:
    if number not in range(1, last + 1):
        raise ValueError(f"{name}={number}; choose from 1 to {last}")


def _name(pieces: list[str], place: int) -> str:
    """The piece in quotes, with a number where the sentence has it more than once."""
    piece = pieces[place]
    number = pieces[: place + 1].count(piece)
    return f"“{piece}”" + (f" no. {number}" if pieces.count(piece) > 1 else "")


def _box(piece: str, share: int, asks: bool) -> str:
    """A piece over its share, tinted by it; "asks" above the one that asks."""
    # A bar below, and a tint of half its colour at most: on more, text is hard to read.
    tint = f"{percent(share)} 4px no-repeat {BLUE}{share // 2:02x}"
    style = f"{_BOX}{tint}{_ASKS if asks else ''}"
    return (
        f'<li style="{style}"><small style="display: block; font-size: 0.75em; '
        f"""line-height: 1.3">{"asks" if asks else "&nbsp;"}</small>"""
        '<code style="background: none; border: 0; color: inherit; padding: 0">'
        f'{html.escape(piece)}</code><small style="display: block">{percent(share)}'
        "</small></li>"
    )
