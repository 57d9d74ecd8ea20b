"""The command `bertcore`: look at pieces, sizes and sources without a notebook."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bertcore import __version__
from bertcore.sources import ENCODER, describe

CRITERIA = ("count", "likelihood", "ratio")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; faults of the input end with a sentence and status 1."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"bertcore: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bertcore", description="BERT from scratch, on the command line."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    pieces = commands.add_parser("pieces", help="cut a text into pieces")
    pieces.add_argument("text", nargs="+")
    pieces.add_argument(
        "--model", default=ENCODER, help="folder, vocab.txt or hub name (%(default)s)"
    )
    pieces.set_defaults(run=_pieces)

    vocabulary = commands.add_parser(
        "vocabulary", help="learn a WordPiece vocabulary from text files"
    )
    vocabulary.add_argument("file", nargs="+", help="text in UTF-8")
    vocabulary.add_argument("--out", required=True, help="a new folder for it")
    vocabulary.add_argument("--size", type=int, default=8192, help="(%(default)s)")
    vocabulary.add_argument(
        "--criterion", choices=CRITERIA, default="likelihood", help="(%(default)s)"
    )
    vocabulary.add_argument("--cased", action="store_true", help="keep capitals")
    vocabulary.add_argument(
        "--min-frequency", type=int, default=2, help="of a pair (%(default)s)"
    )
    vocabulary.add_argument(
        "--alphabet-limit", type=int, default=1000, help="characters (%(default)s)"
    )
    vocabulary.set_defaults(run=_vocabulary)

    sizes = commands.add_parser("parameters", help="count parameters, part by part")
    sizes.add_argument("model", help="a preset (tiny … large), a folder or a hub name")
    sizes.set_defaults(run=_parameters)

    info = commands.add_parser("info", help="versions, device, and where weights are")
    info.set_defaults(run=_info)
    return parser


def _pieces(options: argparse.Namespace) -> None:
    from bertcore import Tokenizer

    tokenizer = Tokenizer.from_pretrained(options.model)
    text = " ".join(options.text)
    for piece in tokenizer.pieces(text):
        quoted = text[piece.start : piece.end]
        print(
            f"{piece.id:>6}  {piece.piece:<20} {piece.start:>4}–{piece.end:<4} {quoted}"
        )


def _vocabulary(options: argparse.Namespace) -> None:
    from bertcore import Tokenizer
    from bertcore.text.corpus import read_texts
    from bertcore.text.trainer import learn

    out = Path(options.out).expanduser()
    if not options.out or out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise ValueError(f"--out {options.out!r} is no new folder; give another name")
    out.mkdir(parents=True, exist_ok=True)
    pieces = learn(
        read_texts(options.file),
        options.size,
        options.criterion,
        lowercase=not options.cased,
        min_frequency=options.min_frequency,
        alphabet_limit=options.alphabet_limit,
    )
    tokenizer = Tokenizer(list(_watched(pieces, options.size)), not options.cased)
    tokenizer.save_pretrained(out)
    print(f"{out}: {tokenizer}; try: bertcore pieces --model {out} TEXT")


def _watched(pieces: Iterable[str], total: int) -> Iterable[str]:
    """The same, with a progress bar where someone looks on and tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return pieces
    return tqdm(pieces, "pieces", total, leave=False, disable=None)


def _parameters(options: argparse.Namespace) -> None:
    from bertcore import BertConfig
    from bertcore.model.config import PRESETS

    known = options.model in PRESETS
    read = BertConfig.preset if known else BertConfig.from_pretrained
    counts = read(options.model).parameter_counts()
    body = sum(counts[part] for part in ("embeddings", "encoder", "pooler"))
    rows = {**counts, "Bert": body, "BertForPreTraining": sum(counts.values())}
    for name, count in rows.items():
        print(f"{name:<20}{count:>14,}")


def _info(options: argparse.Namespace) -> None:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"bertcore {__version__}, torch {torch.__version__}, {device}")
    print(f"{ENCODER}, from {describe(ENCODER)}")


if __name__ == "__main__":
    sys.exit(main())
