"""Likelihood: `bertcore score-text`, `compare` and `blimp`, without any fine-tuning."""

import json as as_json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bertcore.cards import make_card, write_card
from bertcore.command import progress, say
from bertcore.command.pretrain import ANY_MODEL
from bertcore.command.text import Field
from bertcore.files import ROWS, check_ending, ending_of, open_text, read_records
from bertcore.sources import OUR_MODEL, many, needs

UNKNOWN = "[UNK]", "<unk>"  # pieces of what is not in the vocabulary
ABOUT = (
    "BLiMP: of the pairs the percentage whose acceptable sentence has the higher "
    "pseudo-log-likelihood, between the ends of Wilson's 95 % interval"
)
if TYPE_CHECKING:
    from bertcore.training.scoring import BlimpScores, MinimalPairs, TextScore

Model = Annotated[str, typer.Option(help=ANY_MODEL)]
Masking = Annotated[
    Literal["original", "within_word_l2r", "whole_word"],
    typer.Option(
        help="What is masked while a piece is predicted: it alone (Salazar et al. "
        "2020), also the rest of its word (Kauf and Ivanova 2023), or all of its word."
    ),
]
Objects = Annotated[bool, typer.Option("--json", help="Write an object a line.")]


def score_text(
    context: typer.Context,
    text: Annotated[
        list[str] | None, typer.Argument(help="Each in quotes; or give --file.")
    ] = None,
    model: Model = OUR_MODEL,
    masking: Masking = "original",
    file: Annotated[
        Path | None,
        typer.Option(
            help="Texts: lines, or .jsonl, .json, .csv, .tsv or .parquet; perhaps .gz, "
            ".bz2 or .xz."
        ),
    ] = None,
    field: Field = None,
    json: Objects = False,
) -> None:
    """How likely a masked language model finds a text.

    Each piece is masked in turn. A line for each word: the logarithm of the
    probability of what stood there, in nats, and that of its pieces if it is cut into
    several; then the sum. Nearer to 0 is likelier. Of a word that is not in the
    vocabulary the score is that of [UNK], whatever the word.

    \b
      bertcore score-text "The river flows into the sea."
      bertcore score-text --file my-texts.txt --json > scores.jsonl
      bertcore score-text "A headland." --masking within_word_l2r --model my-run

    \b
    And in Python:
      from bertcore.training.scoring import score_texts
    """
    if bool(text) == (file is not None):
        message = "give texts, or --file NAME: one of the two"
        raise typer.BadParameter(message, ctx=context)
    placed = _placed(text, file, field)
    for score in _scores(placed, model, masking):
        if json:
            typer.echo(as_json.dumps(score.as_object(), ensure_ascii=False))
        else:
            _show(score)


def compare(
    one: Annotated[str, typer.Argument(help="A text, in quotes.")],
    other: Annotated[str, typer.Argument(help="Another.")],
    model: Model = OUR_MODEL,
    masking: Masking = "original",
    json: Objects = False,
) -> None:
    """Which of two texts a masked language model prefers, and by how much.

    The score of each is the sum that bertcore score-text shows. Compare texts that
    differ in little else: of two unlike ones the longer usually has the lower sum.

    \b
      bertcore compare "She runs every day." "She run every day."
    """
    if one == other:
        raise ValueError(f"both texts are {one!r}; give two that differ")
    first, second = _scores(_placed([one, other]), model, masking)
    pieces = [[piece.piece for piece in score.pieces] for score in (first, second)]
    if pieces[0] == pieces[1]:
        raise ValueError(
            f"both texts are {' '.join(pieces[0])} to {model}; give two that differ in "
            "more than case or spaces, or a --model that tells them apart"
        )
    better, worse = sorted((first, second), key=lambda s: s.total, reverse=True)
    by = better.total - worse.total
    if json:
        found = {"preferred": better.text, "by": by}
        found["texts"] = [score.as_object() for score in (first, second)]
        typer.echo(as_json.dumps(found, ensure_ascii=False))
        return
    for score in (first, second):
        _show(score)
    typer.echo(f"preferred, by {by:.2f} nats: {better.text}")


def blimp(
    data: Annotated[
        str,
        typer.Option(
            help="A folder of BLiMP's .jsonl or .parquet files, one file of all, or a "
            "data set of the Hugging Face hub."
        ),
    ] = "nyu-mll/blimp",
    model: Model = OUR_MODEL,
    masking: Masking = "original",
    pairs_per_paradigm: Annotated[
        int | None, typer.Option(help="Draw so many of each (all).", min=1)
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="A JSON file to record the run in.")
    ] = None,
) -> None:
    """How often a model prefers the acceptable sentence of two: BLiMP.

    67 paradigms of 1,000 pairs in twelve categories of English grammar (Warstadt et al.
    2020). A model that knows nothing gets half of them right. The intervals are
    Wilson's, 95 %, over pairs.

    \b
      bertcore blimp --pairs-per-paradigm 20
      bertcore blimp --data my-blimp --model my-run --card blimp.json
    """
    from bertcore.training.devices import device_name, find_device
    from bertcore.training.run import load_trained
    from bertcore.training.scoring import BlimpScores, judge, read_pairs

    needs("scipy.stats", "bertcore blimp")  # now, and not when all is done
    trained, tokenizer, *_ = load_trained(model)
    found, device = read_pairs(data, pairs_per_paradigm), find_device()
    judged = judge(found.pairs, trained.to(device), tokenizer, masking)
    bar = progress(judged, desc="pairs compared", total=len(found.pairs))
    scores = BlimpScores.of(bar)
    _show_blimp(scores, found)
    if card is not None:
        made = make_card(
            ABOUT,
            found.source,
            {**scores.results(), "equal sentences, left out": found.equal},
            ("torch", "scipy"),
            device=device_name(device),
            model=model,
            masking=masking,
            pairs_per_paradigm=pairs_per_paradigm,
        )
        write_card(card, made)


def _placed(
    texts: list[str] | None, file: Path | None = None, field: str | None = None
) -> Iterator[tuple[str, str]]:
    """Texts, or those of a file without its blank ones, each with its place."""
    if file is None:
        yield from ((f"text {n}", text) for n, text in enumerate(texts or (), 1))
        return
    from bertcore.text.documents import row_texts

    path = file.expanduser()
    ending = check_ending(path, (ending_of(path),))  # any, if it is there
    if ending in ROWS:
        found = row_texts(read_records(path), str(path), field)
        yield from ((place, text) for place, text in found if text.strip())
        return
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield f"{path}, line {number}", line.strip()


def _scores(
    placed: Iterator[tuple[str, str]], name: str, masking: str
) -> Iterator["TextScore"]:
    from bertcore.training.devices import find_device
    from bertcore.training.run import load_trained
    from bertcore.training.scoring import score_placed

    first = next(placed, None)
    if first is None:
        raise ValueError("the file has no text; give one with a text in a line")
    model, tokenizer, *_ = load_trained(name)
    model = model.to(find_device())
    return score_placed(chain([first], placed), model, tokenizer, masking)


def _show(score: "TextScore") -> None:
    """A line for each word, with its pieces if they tell more; the sum."""
    typer.echo(score.text)
    for word, pieces in score.words:
        line = f"{sum(piece.log_probability for piece in pieces):>8.2f}  {word}"
        if len(pieces) > 1 or pieces[0].piece in UNKNOWN:
            each = (f"{piece.piece} {piece.log_probability:.2f}" for piece in pieces)
            line = f"{line:<26}  {', '.join(each)}"
        typer.echo(line)
    typer.echo(f"{score.total:>8.2f}  in all, {len(score.pieces)} pieces")


def _show_blimp(scores: "BlimpScores", found: "MinimalPairs") -> None:
    """A line for each category, and one for all."""
    rows = {**scores.terms, "all": scores.overall}
    for name, share in rows.items():
        low, percent, high = share.percent
        interval = f"{low:.1f} to {high:.1f}"
        say(f"{name:<28}{percent:>5.1f} %  ({interval}){share.pairs:>8,} pairs")
    for count, what in (
        (scores.ties, "counted as wrong: both sentences have the same score"),
        (found.equal, "left out: both sentences are equal"),
    ):
        if count:
            say(f"bertcore: {many(count, 'pair')} {what}", error=True)


COMMANDS = {"score-text": score_text, "compare": compare, "blimp": blimp}
