"""Predict: the options of `predict`, `fill-mask`, `parameters`, `info`, `benchmark`."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bertcore import __version__
from bertcore.command.log import say
from bertcore.files import ending_of, read_json, read_text
from bertcore.sources import ENCODER, OUR_MODEL, describe, find_file

if TYPE_CHECKING:
    from bertcore import BertConfig
    from bertcore.model.variants.families import Family

OnFault = Literal["stop", "skip"]
Model = Annotated[str, typer.Argument(help="What bertcore finetune wrote.")]
Texts = Annotated[
    list[str] | None, typer.Argument(help="Each in quotes; else lines are read.")
]
File = Annotated[
    Path | None,
    typer.Option(help="Of lines, or .jsonl, .csv, .tsv, .parquet; perhaps .gz."),
]
Context = Annotated[
    Path | None, typer.Option(help="A text of any length, for all questions.")
]
Json = Annotated[bool, typer.Option("--json", help="An object a line, in and out.")]
WhenFaulty = Annotated[OnFault, typer.Option(help="At a line that cannot be used.")]
# How a model writes: fields of `Search`. What is not given is as the folder says.
Beams = Annotated[
    int | None, typer.Option(help="Beginnings that are followed at once (1).", min=1)
]
LengthPenalty = Annotated[
    float | None, typer.Option(help="Of beams: more than 1 favours long texts (1).")
]
Temperature = Annotated[
    float | None, typer.Option(help="Above 0 each token is drawn (0).", min=0)
]
TopK = Annotated[
    int | None, typer.Option(help="Draw among so many likeliest only.", min=1)
]
TopP = Annotated[
    float | None, typer.Option(help="Draw among the likeliest of this share only.")
]
MaxTokens = Annotated[
    int | None, typer.Option(help="Written at most (as learnt).", min=1)
]
Seed = Annotated[int | None, typer.Option(help="Of what is drawn (0).")]
WISHES = tuple("beams length_penalty temperature top_k top_p max_tokens seed".split())
MASK = "[MASK]"


def predict(
    context_: typer.Context,
    model: Model,
    text: Texts = None,
    file: File = None,
    context: Context = None,
    json: Json = False,
    on_fault: WhenFaulty = "stop",
    beams: Beams = None,
    length_penalty: LengthPenalty = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
) -> None:
    """Ask a fine-tuned model.

    Of a text it tells the class, the number or the names; to a question, the answer; or
    it writes what it has learnt to write.

    Without TEXT and --file it reads lines from its input, and answers each as soon as
    it is there. Blank lines are passed over.

    \b
    A line is, as the model's task wants it:
      a text, or two with a TAB between               classes and numbers
      words with white space between                  names
      a question, a TAB and a context                 answers
      a question, with --context FILE                 answers from one text
      a text                                          to write from
      with --json also an object, as bertcore finetune reads them

    \b
      bertcore predict my-topics "A river in the north of Portugal."
      bertcore predict my-topics --file texts.txt.gz --json > answers.jsonl
      printf 'One text.\\tAnother.\\n' | bertcore predict my-pairs
      bertcore predict my-answers "Who wrote it?" --context report.txt
      bertcore predict my-sounds "hello" --beams 4
      bertcore predict my-summaries --file texts.txt --temperature 0.7 --top-p 0.9

    The share before a class is its probability, as the model sees it. The options from
    --beams on are for models that write.
    """
    if text and file is not None:
        message = "TEXT and --file; give one of the two"
        raise typer.BadParameter(message, ctx=context_)
    given = context_.params
    wishes = {name: given[name] for name in WISHES if given[name] is not None}
    _ask(model, text, file, context, json, on_fault == "skip", wishes)


def _ask(
    model: str,
    texts: list[str] | None,
    file: Path | None,
    context: Path | None,
    json: bool,
    skip: bool,
    wishes: dict[str, Any],
) -> None:
    """Show the answers, one by one."""
    from bertcore.command import answering
    from bertcore.command.answering import Form

    predictor = answering.predictor_of(model)
    answering.ask_to_write(predictor, wishes)
    always = file is not None and ending_of(file) in (".jsonl", ".json")
    form = Form(
        predictor.kind,
        "always" if always else "perhaps" if json else "never",
        _text_of(context, predictor.kind),
    )
    show = answering.as_object if json else answering.shown
    groups: Iterable[list[Any]]
    if texts:
        groups = [answering.texts_given(texts)]
    elif file is not None:
        groups = answering.groups_in(file.expanduser())
    else:
        groups = answering.arriving(sys.stdin.buffer)
        if sys.stdin.buffer.isatty():
            say("a text a line, please; Ctrl-D ends", error=True)
            skip = True
    with _quiet_pipe():
        for row, answer in answering.answers(predictor, groups, form, skip):
            typer.echo(show(row, answer))


def _text_of(context: Path | None, kind: str) -> str | None:
    """The context of all questions, if one was given."""
    if context is None:
        return None
    if kind != "answers":
        raise ValueError(f"a model for {kind} reads no context; leave --context out")
    path = context.expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no file {context}; give --context a text in UTF-8")
    text = read_text(path)
    if not text.strip():
        raise ValueError(f"{context} is empty; give --context a text")
    return text


@contextmanager
def _quiet_pipe() -> Iterator[None]:
    """Who reads the answers may have had enough, as `head` has: that is no fault."""
    try:
        yield
    except BrokenPipeError:
        # Python writes what is left when it ends, and must not complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fill_mask(
    text: Annotated[str, typer.Argument(help=f"With {MASK}, once or more often.")],
    model: Annotated[
        str, typer.Option(help="A run, a model's folder or a hub name.")
    ] = OUR_MODEL,
    top: Annotated[int, typer.Option(help="How many guesses.", min=1)] = 5,
) -> None:
    """Which pieces a model expects where the text says [MASK].

    Without --model a small English one guesses, which comes with the course.

    \b
      bertcore fill-mask "The capital of France is [MASK]."
      bertcore fill-mask "The [MASK] barks." --model my-run
      bertcore fill-mask "Paris is the [MASK] of [MASK]." --top 3 --model my-model
    """
    from bertcore.command.answering import guesses

    hidden = list(guesses(text, model, top))
    for number, found in enumerate(hidden, 1):
        if len(hidden) > 1:
            typer.echo(f"{MASK} {number}")
        for piece, share in found:
            typer.echo(f"{share:>7.1%}  {piece}")


def parameters(
    model: Annotated[
        str, typer.Argument(help="A preset (tiny … large), a folder or a hub name.")
    ],
) -> None:
    """Count parameters, part by part; of a variant, those of its masked LM.

    \b
      bertcore parameters base
    """
    from bertcore import BertConfig
    from bertcore.model.config import PRESETS
    from bertcore.model.variants.families import family_of

    if model in PRESETS:
        rows = _all_of_bert(BertConfig.preset(model))
    else:
        published = read_json(find_file(model, "config.json"))
        family = family_of(published)
        config = family.config.from_dict(published)
        rows = (
            _all_of_bert(config) if family.name == "bert" else _counted(family, config)
        )
    for name, count in rows.items():
        typer.echo(f"{name:<22}{count:>14,}")


def _all_of_bert(config: "BertConfig") -> dict[str, int]:
    counts = config.parameter_counts()
    body = sum(counts[part] for part in ("embeddings", "encoder", "pooler"))
    return {**counts, "Bert": body, "BertForPreTraining": sum(counts.values())}


def _counted(family: "Family", config: "BertConfig") -> dict[str, int]:
    import torch

    from bertcore.model import counts

    with torch.device("meta"):
        model = family.masked_lm(config)
    found = counts.parameters(model)
    return {**found, family.masked_lm.__name__: sum(found.values())}


def info() -> None:
    """Versions, device, and where weights are."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    typer.echo(f"bertcore {__version__}, torch {torch.__version__}, {device}")
    typer.echo(f"{ENCODER}, from {describe(ENCODER)}")


def benchmark(
    plan: Annotated[
        Literal["minute", "mini", "base"], typer.Option(help="Whose model to train.")
    ] = "mini",
    seconds: Annotated[float, typer.Option(help="Of training.", min=0.0)] = 10.0,
    pass_size: Annotated[
        int | None, typer.Option(help="Texts in an update (GPU: 256, CPU: 4).", min=1)
    ] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile first, on a GPU.")
    ] = False,
) -> None:
    """How fast this machine multiplies, copies and trains.

    The share of peak is that of the products which the machine did in the test before
    that went into useful ones: padding is not. The texts are tales, the model has the
    size of a plan, and what it learnt is thrown away.

    \b
      bertcore benchmark
      bertcore benchmark --plan base --seconds 30 --compile

    \b
    Beside the transformers library, from a checkout of the course:
      python benchmarks/pretraining.py
    """
    from bertcore.command.session import speed

    for line in speed(plan, seconds, pass_size, compile):
        say(line)


COMMANDS = {
    "predict": predict,
    "fill-mask": fill_mask,
    "benchmark": benchmark,
    "parameters": parameters,
    "info": info,
}
