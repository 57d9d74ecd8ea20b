"""Options: those of a command, made from the dataclasses that they set.

A field is an option: of its name and type, with the first sentence that the docstring
says of it. So what can be set in Python can be set in a shell.
"""

import re
from collections.abc import Callable, Collection, Iterable
from inspect import Parameter, Signature, getdoc, signature
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

Command = Callable[..., None]


def field_options(
    kind: type,
    panel: str | None = None,
    first: Collection[str] = (),
    leave_out: Collection[str] = (),
    usual: bool = True,
) -> list[Parameter]:
    """An option for each field of a dataclass; one that is not given is None.

    Args:
        kind: the dataclass; its docstring has a section "Args:".
        panel: the title in the help over all but the first; None is the command's own.
        first: fields whose options stand among the command's own, in this order.
        leave_out: fields that are no options.
        usual: whether the help says the default.
    """
    said, hints = field_docs(kind), get_type_hints(kind)
    names = (*first, *(name for name in hints if name not in {*first, *leave_out}))
    made = []
    for name in (name for name in names if name in kind.__dataclass_fields__):
        flag, default = flag_of(name), getattr(kind, name)
        either = hints[name] in (bool, bool | None)
        both = f"{flag}/--no-{flag[2:]}" if either else flag
        shown = usual and default is not None and default is not False
        value = f"{default:g}" if isinstance(default, float) else default
        how = typer.Option(
            both,
            help=f"{said[name]} ({value})." if shown else f"{said[name]}.",
            rich_help_panel=None if name in first else panel,
        )
        hint = Annotated[hints[name] | None, how]
        made.append(
            Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        )
    return made


def with_options(*groups: Iterable[Parameter]) -> Callable[[Command], Command]:
    """A decorator: a command that takes `**others` has these options, too."""

    def decorated(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        own = [
            each.replace(annotation=hints[each.name], kind=Parameter.KEYWORD_ONLY)
            for each in signature(command).parameters.values()
            if each.kind is not Parameter.VAR_KEYWORD
        ]
        parameters = [*own, *(each for group in groups for each in group)]

        # typer reads both of them.
        command.__signature__ = Signature(parameters)
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorated


def given_options(context: typer.Context) -> dict[str, Any]:
    """What was given to a command, and what has a value by default."""
    return {k: v for k, v in context.params.items() if v is not None}


def field_docs(kind: type) -> dict[str, str]:
    """The first sentence that a docstring says of each field, without its full stop."""
    _, _, section = getdoc(kind).partition("\nArgs:\n")
    section, *_ = re.split(r"\n(?=\S)", section)
    entries = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", section, re.MULTILINE)
    found = {}
    for name, text in entries:
        sentence, *_ = re.split(r"\.(?:\s|$)", " ".join(text.split()))
        found[name] = (sentence[0].upper() + sentence[1:]).replace("`", "")
    return found


def flag_of(name: str) -> str:
    """
    >>> flag_of("mask_rate"), flag_of("from_")  # which Python keeps for itself
    ('--mask-rate', '--from')
    """
    return f"--{name.rstrip('_').replace('_', '-')}"


def typed(message: str, names: Collection[str]) -> str:
    """A message about fields, with those that are options as one types them.

    >>> typed("batch=16 is no multiple of pass_size=5", ["batch", "pass_size"])
    '--batch 16 is no multiple of --pass-size 5'
    >>> typed("give pairs=False, or no field='body' and no steps=None", ["pairs",
    ...     "field", "steps"])
    'give --no-pairs, or no --field body and no --steps'
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match.groups()
        if value in ("True", "False"):
            return flag_of(name if value == "True" else f"no_{name}")
        plain = re.sub(r"^'([\w.-]+)'$", r"\1", value)  # nothing that a shell reads
        return flag_of(name) + (f" {plain}" if value != "None" else "")

    # Where two runs are compared ("it has batch=16, not 32") it is no option.
    pattern = rf"\b({'|'.join(names)})=([^\s,;:)]++)(?!, not )"
    return re.sub(pattern, flag, message) if names else message


class PanelCommand(TyperCommand):
    """A command whose help shows its options under the titles of their panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write them, in the order in which the titles first occur."""
        panels: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            usual = f"{parameter.param_type_name.capitalize()}s"
            if record is not None:
                title = getattr(parameter, "rich_help_panel", None) or usual
                panels.setdefault(title, []).append(record)
        for title, records in panels.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
