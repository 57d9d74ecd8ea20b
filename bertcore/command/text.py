"""Text: `bertcore pieces`, `vocabulary` and `prepare`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bertcore.command import progress, say
from bertcore.sources import ENCODER
from bertcore.text.merges import CRITERIA

if TYPE_CHECKING:
    from bertcore.text.documents import Document
    from bertcore.text.prepare import Prepared

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


COMMANDS = {"pieces": pieces, "vocabulary": vocabulary, "prepare": prepare}
