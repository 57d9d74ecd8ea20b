"""Text: what `bertcore` does with texts and no run.

`pieces`, `vocabulary` and `prepare`; and `score-text`, `compare` and `blimp`, which ask
a model how likely a text is, without any fine-tuning.
"""

from __future__ import annotations

import json as as_json
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bertcore.cards import make_card, write_card
from bertcore.command import progress, say
from bertcore.command.pretrain import ANY_MODEL
from bertcore.files import ROWS, check_ending, ending_of, open_text, read_records
from bertcore.sources import ENCODER, OUR_MODEL, many, needs
from bertcore.text.merges import CRITERIA

if TYPE_CHECKING:
    from bertcore.text.documents import Document
    from bertcore.text.prepare import Prepared
    from bertcore.training.scoring import BlimpScores, MinimalPairs, TextScore

# Of the counts of a store those that a user should know, if there are any.
TOLD = (
    *("empty documents", "documents of one sentence", "empty sentences"),
    *("sentences of more than 512 tokens", "unknown", "half characters"),
)
READ = "documents read"
FORMS = ".txt, .jsonl, .json, .csv, .tsv or .parquet, perhaps .gz, .bz2 or .xz."
Field = Annotated[
    str | None,
    typer.Option(help="Of the text, in rows (text, or one of a usual name)."),
]
Encoding = Annotated[
    str, typer.Option(help="Of the files: latin-1, cp1252, utf-16-le, …")
]
Carried = Annotated[
    Literal["tales", "introductions", "english", "novels"] | None,
    typer.Option(help="Take texts by name: made up, of packages, or 100 novels."),
]
Novels = Annotated[
    Path | None,
    typer.Option(help="A folder with the novels (else they are fetched once)."),
]
Hub = Annotated[
    str | None,
    typer.Option(help="Stream a data set of the Hugging Face hub, or a folder."),
]
Vocabulary = Annotated[
    str | None,
    typer.Option(help="A run, a model or a vocab.txt (without it one is learnt)."),
]
HoldOut = Annotated[
    int, typer.Option(help="Hold out one document in so many; 0 holds none out.")
]
Limit = Annotated[int | None, typer.Option(help="Stop after so many documents.", min=1)]
Size = Annotated[int | None, typer.Option(help="Pieces to learn (8192; tales: 560).")]
Workers = Annotated[int | None, typer.Option(help="Processes (all cores).")]


def pieces(
    text: Annotated[list[str], typer.Argument(help="One text, in quotes or not.")],
    model: Annotated[
        str, typer.Option(help="A run, a folder, a vocab.txt or a hub name.")
    ] = ENCODER,
) -> None:
    """Cut a text into pieces.

    \b
    A line for each piece: its id, the piece, from which to which character of the
    text, and what stands there.

    \b
      bertcore pieces "The headland, café"
      bertcore pieces --model my-vocabulary "The headland, café"
    """
    from bertcore.text.fast_tokenizer import load_tokenizer

    tokenizer = load_tokenizer(_vocabulary_of(model))
    whole = " ".join(text)
    for piece in tokenizer.pieces(whole):
        quoted = whole[piece.start : piece.end]
        place = f"{piece.start:>4}–{piece.end:<4}"
        typer.echo(f"{piece.id:>6}  {piece.piece:<20} {place} {quoted}")


def _vocabulary_of(name: str | Path) -> str | Path:
    """Where the vocabulary of a run or of prepared texts is; else the name itself."""
    beside = Path(name).expanduser() / "vocabulary"
    return beside if beside.is_dir() else name


def vocabulary(
    file: Annotated[list[Path], typer.Argument(help=FORMS)],
    out: Annotated[str, typer.Option(help="A new folder for it.")],
    size: Annotated[int, typer.Option(help="How many pieces.")] = 8192,
    criterion: Annotated[
        Literal[tuple(CRITERIA)], typer.Option(help="Which pair is merged next.")
    ] = "likelihood",
    cased: Annotated[bool, typer.Option("--cased", help="Keep capitals.")] = False,
    min_frequency: Annotated[int, typer.Option(help="Of a pair.")] = 2,
    alphabet_limit: Annotated[int, typer.Option(help="Characters.")] = 1000,
    field: Field = None,
    encoding: Encoding = "utf-8",
) -> None:
    """Learn a WordPiece vocabulary from the texts of files.

    \b
      bertcore vocabulary book.txt --out my-vocabulary --size 2000
      bertcore pieces --model my-vocabulary "a text"
      bertcore prepare book.txt --vocabulary my-vocabulary --out my-texts
    """
    from bertcore import Tokenizer
    from bertcore.text.documents import read_documents
    from bertcore.text.merges import learn_vocabulary

    folder = Path(out).expanduser()
    taken = folder.is_dir() and any(folder.iterdir())
    if not out or folder.is_file() or taken:
        raise ValueError(f"--out {out!r} is no new folder; give another name")
    documents = progress(read_documents(file, field, encoding), desc=READ)
    folder.mkdir(parents=True, exist_ok=True)
    learnt = learn_vocabulary(
        (document.text for document in documents),
        size,
        criterion,
        lowercase=not cased,
        min_frequency=min_frequency,
        alphabet_limit=alphabet_limit,
    )
    watched = progress(learnt, desc="pieces learnt", total=size)
    tokenizer = Tokenizer(list(watched), not cased)
    tokenizer.save_pretrained(folder)
    typer.echo(f"{folder}: {tokenizer}; try: bertcore pieces --model {folder} TEXT")


def prepare(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="A new folder for all of it.")],
    files: Annotated[list[Path] | None, typer.Argument(help=FORMS)] = None,
    hub: Hub = None,
    config: Annotated[str | None, typer.Option(help="Part of that data set.")] = None,
    texts: Carried = None,
    novels: Novels = None,
    field: Field = None,
    encoding: Encoding = "utf-8",
    vocabulary: Vocabulary = None,
    size: Size = None,
    hold_out: HoldOut = 50,
    limit: Limit = None,
    workers: Workers = None,
) -> None:
    """Prepare texts for pretraining: vocabulary, texts, held-out texts.

    Texts come from one of three places: files, --hub, or --texts.

    \b
    In a .txt file a blank line ends a document. In other files a row is one,
    with the text in the field or column "text", in one of a usual name such as
    "review", or in what --field says: in .jsonl a row is an object in a line;
    in .csv and .tsv the first line names the columns. Files are in UTF-8, or as
    --encoding says. A document that comes again is never both trained on and held
    out.
    OUT appears when all of it is written:
      OUT/vocabulary   given with --vocabulary, or learnt from the first 100
                       million characters
      OUT/train        the ids to train on
      OUT/held-out     those of one document in 50, to see how well a model does
                       (--texts brings its own held-out texts)

    \b
      bertcore prepare a.txt b.jsonl.gz --out my-texts
      bertcore prepare --hub wikimedia/wikipedia --config 20231101.en --out wiki
      bertcore prepare --texts tales --out tales
      bertcore prepare --texts novels --vocabulary my-model --out novels

    \b
    What next:
      bertcore pretrain --data my-texts --out my-run
      bertcore pretrain --from my-model --data my-texts --out my-run
    """
    _check_sources(context)
    from bertcore.text.prepare import PIECES, check_new, packaged, prepare_corpus

    folder, seen = check_new(out), sys.stderr.isatty()
    known = vocabulary and _vocabulary_of(vocabulary)
    if texts:
        say(f"reading {texts}, then preparing it …", error=True)
        prepared = packaged(texts, folder, size, workers, seen, known, novels)
    else:
        documents, source = _documents(files, hub, config, field, encoding)
        if known is None:
            say(f"learning {size or PIECES['english']:,} pieces …", error=True)
        prepared = prepare_corpus(
            lambda: (each.text for each in islice(documents(), limit)),
            folder,
            known,
            pieces=size,
            hold_out=hold_out,
            source=source,
            workers=workers,
            progress=seen,
        )
    _say_prepared(out, prepared)


def _say_prepared(out: Path, prepared: Prepared) -> None:
    """What is where, and how many texts are no good, if there are any."""
    from bertcore.text.store import COUNTS

    for name, part in zip(("vocabulary", "train", "held-out"), prepared, strict=True):
        if part is not None:
            say(f"{out / name}: {part}")
    counts = prepared.train.manifest["counts"]
    for what in filter(counts.get, TOLD):
        say(f"bertcore: {what}: {counts[what]:,} ({COUNTS[what]})", error=True)
    say(f"what next: bertcore pretrain --data {out} --out RUN")


def _check_sources(context: typer.Context) -> None:
    """Usage errors if the options do not go together."""
    asked = context.params
    faults = {
        "give files, or --hub NAME, or --texts KIND: one of them": 1
        != sum(bool(asked[name]) for name in ("files", "hub", "texts")),
        "--config is of a data set; give --hub NAME, too": asked["config"]
        and not asked["hub"],
        "--encoding is of files; leave it out": not asked["files"]
        and asked["encoding"] != "utf-8",
        "--texts brings an end of its own": asked["texts"]
        and asked["limit"] is not None,
        "--novels says where --texts novels are; give both": asked["novels"]
        and asked["texts"] != "novels",
        "--size is of a vocabulary to learn; leave --vocabulary out": asked["size"]
        and asked["vocabulary"],
    }
    for message, found in faults.items():
        if found:
            raise typer.BadParameter(message, ctx=context)


def _documents(
    files: list[Path] | None, hub: str | None, config: str | None, *how: Any
) -> tuple[Callable[[], Iterator[Document]], str]:
    """What gives all documents each time it is called, and where they come from."""
    from bertcore.text.documents import read_documents, stream

    def watched(documents: Iterator[Document]) -> Iterator[Document]:
        # On a terminal preparing has a bar of its own.
        return progress(documents, desc=READ, disable=sys.stderr.isatty())

    if files:
        names = [file.name for file in files]
        more = f" and {len(names) - 8} more" if names[8:] else ""
        source = ", ".join(names[:8]) + more
        return lambda: watched(read_documents(files, *how)), source
    part = f", {config}" if config else ""
    return lambda: watched(stream(str(hub), config, field=how[0])), f"{hub}{part}"


UNKNOWN = "[UNK]", "<unk>"  # pieces of what is not in the vocabulary
ABOUT = (
    "BLiMP: of the pairs the percentage whose acceptable sentence has the higher "
    "pseudo-log-likelihood, between the ends of Wilson's 95 % interval"
)

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
) -> Iterator[TextScore]:
    from bertcore.training.devices import find_device
    from bertcore.training.run import load_trained
    from bertcore.training.scoring import score_placed

    first = next(placed, None)
    if first is None:
        raise ValueError("the file has no text; give one with a text in a line")
    model, tokenizer, *_ = load_trained(name)
    model = model.to(find_device())
    return score_placed(chain([first], placed), model, tokenizer, masking)


def _show(score: TextScore) -> None:
    """A line for each word, with its pieces if they tell more; the sum."""
    typer.echo(score.text)
    for word, pieces in score.words:
        line = f"{sum(piece.log_probability for piece in pieces):>8.2f}  {word}"
        if len(pieces) > 1 or pieces[0].piece in UNKNOWN:
            each = (f"{piece.piece} {piece.log_probability:.2f}" for piece in pieces)
            line = f"{line:<26}  {', '.join(each)}"
        typer.echo(line)
    typer.echo(f"{score.total:>8.2f}  in all, {len(score.pieces)} pieces")


def _show_blimp(scores: BlimpScores, found: MinimalPairs) -> None:
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


COMMANDS = {
    "pieces": pieces,
    "vocabulary": vocabulary,
    "prepare": prepare,
    "score-text": score_text,
    "compare": compare,
    "blimp": blimp,
}
