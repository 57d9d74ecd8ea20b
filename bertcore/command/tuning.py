"""Tuning: `bertcore finetune` from its options to a folder and a table."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from bertcore.cards import write_card
from bertcore.command import say
from bertcore.command.answering import doubt
from bertcore.command.options import flag_of
from bertcore.command.session import Job, PretrainingJob, together
from bertcore.files import read_json, write_json, write_text
from bertcore.model.config import BertConfig
from bertcore.model.variants.families import family_at
from bertcore.sources import OUR_MODEL, find_file, many
from bertcore.tasks import find_task
from bertcore.tasks.loading import first_rows, is_named, read_set
from bertcore.tasks.rows import Columns, TaskSet
from bertcore.tasks.sets import sounds_tokenizer
from bertcore.text.fast_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.training.devices import World, device_name, precision_for
from bertcore.training.engine import CARD, CHECKPOINTS, rows_digest
from bertcore.training.finetuning import FineTuning
from bertcore.training.loop import ComputeSettings, default_workers
from bertcore.training.predictor import TASK, read_task
from bertcore.training.recipe import Tuning
from bertcore.training.run import MODEL, RunDescription, asking, model_files

FAULTS = "faults.txt"
ASKED = "finetuning.json"  # while a run goes on: what was asked for, and what is done
FORMAT = "bertcore fine-tuning 1"
# Each session may choose these anew; the others say what is learnt.
# REPEATED ones change no model.
REPEATED = ("out", "replace", "baselines", "digest", "checkpoint_activations")
FREE = (*REPEATED, "precision", "seeds")
OF_TUNING = tuple(Tuning.__dataclass_fields__)
# Sets whose texts are not English, as the vocabularies of published models are.
OWN_PIECES = {"sounds": sounds_tokenizer}
_POSITIONS = 64  # of the small model that learns them, if no other is given


def resumed(folder: Path, given: Mapping[str, Any]) -> Job:
    """What goes on in a folder: a run of `bertcore pretrain`, or of `finetune`.

    Raises:
        FileNotFoundError: if the folder is not that of a run.
        ValueError: if an option is for the other command.
    """
    if not (folder / ASKED).is_file():
        RunDescription.read(folder)  # or say that there is none
        return PretrainingJob(folder, given)
    others = [flag_of(name) for name in given if name not in FREE]
    if others:
        raise ValueError(
            f"{folder} is a run of bertcore finetune, which does not take "
            f"{' and '.join(others)} when it goes on; leave it out"
        )
    return TuningJob({**_read(folder)["asked"], **given, "out": folder})


def _read(folder: Path) -> dict[str, Any]:
    """What is needed to go on; ValueError if another version wrote it."""
    content = read_json(folder / ASKED)
    if content.get("format") != FORMAT:
        raise ValueError(
            f"{folder / ASKED} says format={content.get('format')!r}; this version of "
            f"bertcore reads {FORMAT!r}: give another --out"
        )
    return content


class TuningFolder:
    """The folder of `bertcore finetune`: the best model so far, and how to go on.

    `finished` has the scores on the test rows by seed; `card` is that of the model, and
    empty if there is none yet. While the run goes on, `finetuning.json` keeps them.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        """`given` are the options that were given, or that have a value by default."""
        self.path = Path(given["out"]).expanduser()
        self.finished: dict[int, dict[str, float]] = {}
        self.card: dict[str, Any] = {}
        self.is_new = True  # or goes on: no finished model is replaced
        self.pass_size: int | None = None  # as it was fitted to the processes
        self.asked = {**Tuning().to_dict(), **given, "out": str(given["out"])}
        for name in ("task", "model"):  # so that another session finds them, too
            place = Path(given.get(name) or "").expanduser()
            if given.get(name) and not is_named(given[name]) and place.exists():
                self.asked[name] = str(place.resolve())

    @property
    def seed(self) -> int:
        """That of the model."""
        return self.card["setting"]["tuning"]["seed"]

    def open(self, leads: bool) -> None:
        """Read what is there: nothing, an earlier result to replace, or this very run.

        The process that leads may write.

        Raises:
            ValueError: if there is something else, or a run with other options.
        """
        path, model = self.path, self.asked.get("model")
        if model and path.resolve() == Path(model).expanduser().resolve():
            raise ValueError(
                f"--out {path} is the folder of --model, too; give another name"
            )
        held = {each.name for each in path.iterdir()} if path.is_dir() else set()
        self.is_new = not {TASK, CARD} <= held
        if path.is_file() or (held - {FAULTS} and self.is_new and ASKED not in held):
            raise ValueError(
                f"{path} holds something else than an earlier bertcore finetune; "
                "give a new --out"
            )
        if ASKED not in held:
            return
        before = _read(path)
        if not before["finished"] and CHECKPOINTS not in held:
            if leads:  # it was cut off before anything was learnt: begin anew
                (path / ASKED).unlink()
            return
        if apart := _apart(before["asked"], self.asked, FREE):
            raise ValueError(
                f"the run in {path} has {apart}. To go on with it as it is: "
                f"bertcore resume {path}; for another run give another --out"
            )
        self.is_new, self.pass_size = True, before["pass_size"]
        self.finished = {int(seed): each for seed, each in before["finished"].items()}
        if before["kept"]:
            self.card = read_json(path / CARD)

    def check_replaced(self, data: TaskSet) -> None:
        """ValueError if a finished model would be lost to other options or rows."""
        self.asked["digest"] = rows_digest([*data.train, *data.valid])
        if self.is_new or self.asked.get("replace"):
            return
        # An older card, or one of Python's finetune, does not say what was asked for.
        then = read_json(self.path / CARD).get("setting", {}).get("asked", {})
        free = (*REPEATED, "on_fault")  # which the digest of the rows tells
        apart = _apart(then, self.asked, free) if then else "of unknown options"
        if not apart and then["digest"] != self.asked["digest"]:
            apart = "of other rows"
        if apart:
            raise ValueError(
                f"{self.path} holds a finished model ({apart}); give another --out, or "
                "--replace to lose it"
            )

    def write(self) -> None:
        """What is needed to go on."""
        content = {
            "format": FORMAT,
            "asked": self.asked,
            "pass_size": self.pass_size,
            "kept": bool(self.card),
            "finished": self.finished,
        }
        write_json(self.path / ASKED, content)

    def clear(self) -> None:
        """What was needed to go on; a folder that is left empty goes, too."""
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)
        (self.path / ASKED).unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()


def _apart(then: Mapping[str, Any], now: Mapping[str, Any], free: Sequence[str]) -> str:
    """What was asked for then and not now, in words; "" if all is the same."""
    names = (name for name in dict.fromkeys([*then, *now]) if name not in free)
    return "; ".join(
        f"{name}={then.get(name)}, not {now.get(name)}"
        for name in names
        if then.get(name) != now.get(name)
    )


class TuningJob(Job):
    """Fine-tuning from one seed, or from several; the folder holds the best model."""

    remedy = (
        "give --checkpoint-activations or a smaller --pass-size, which change nothing "
        "of what is learnt in an update, or --length"
    )

    def __init__(self, given: Mapping[str, Any]) -> None:
        """`given` are the options that were given, or that have a value by default."""
        self.given, self.folder = given, TuningFolder(given)

    def runs(self, world: World, device: torch.device) -> Iterator[FineTuning]:
        """A run for each seed that has not ended."""
        together(lambda: self._prepare(world), world, device)
        asked = self.given.get("precision")
        precision = getattr(torch, asked) if asked else precision_for(device)
        workers = default_workers(device)
        again = self.given.get("checkpoint_activations", False)
        settings = ComputeSettings(
            device, precision, world, checkpoint_activations=again, workers=workers
        )
        if world.leads:
            self._announce(device)
        new = [seed for seed in self.seeds if seed not in self.folder.finished]
        for seed in new:
            run = together(lambda s=seed: self._run(s, settings), world, device)
            if world.leads:
                self.folder.write()
                if seed == new[0]:
                    say(what_learns(self.start.name, run))
                if len(self.seeds) > 1:
                    say(f"seed {seed}")
                if run.progress.step:
                    say(f"goes on from step {run.progress.step:,}")
            yield run

    def _prepare(self, world: World) -> None:
        """All that can be wrong is found here, before anything is written."""
        given = self.given
        self.start = starting_model(given["task"], given.get("model"))
        self.folder.open(world.leads)
        tuning = Tuning(**{key: given[key] for key in OF_TUNING if key in given})
        # A run that goes on counts its rows in passes of the size that it began with.
        size = self.folder.pass_size or tuning.pass_size
        if size is None and world.size > 1 and tuning.batch % world.size == 0:
            size = tuning.batch // world.size
        tuning = tuning.replace(pass_size=size)
        recipe = tuning.recipe(tuning.batch)
        if recipe.passes % world.size:
            raise ValueError(
                f"an update of {recipe.batch} rows in passes of {recipe.one_pass} "
                f"cannot be shared among {world.size} processes; give a --batch that "
                f"{world.size} divides, and no --pass-size"
            )
        columns = {n: given[n] for n in Columns.__dataclass_fields__ if n in given}
        rows = read_set(
            given["task"],
            given.get("kind"),
            given["on_fault"],
            columns,
            given.get("encoding"),
        )
        self.rows = rows._replace(data=first_rows(rows.data, given.get("rows")))
        self.data = self.rows.data  # the sound ones
        self.folder.check_replaced(self.data)
        self.start.check_kind(self.data.kind)
        task = find_task(self.data.kind)
        task.check_tuning(tuning)
        task.check_scores([*self.data.valid[:1], *self.data.test[:1]])
        self.tuning, self.folder.pass_size = tuning, recipe.one_pass
        self.seeds = range(tuning.seed, tuning.seed + given["seeds"])

    def _announce(self, device: torch.device) -> None:
        """What is trained on what; and, on stderr, what one should know before."""
        data, faults, note = self.rows
        listed = self.folder.path / FAULTS
        listed.parent.mkdir(parents=True, exist_ok=True)
        listed.unlink(missing_ok=True)  # of another run's rows
        notes = [f"left out: {fault}" for fault in faults]
        if faults:
            write_text(listed, "".join(f"{fault}\n" for fault in faults))
            notes.append(f"{many(len(faults), 'fault')}, listed in {listed}")
        notes += [*note.splitlines(), *filter(None, [self.start.note])]
        notes += filter(None, [doubt(len(data.test))])
        in_windows = data.kind == "answers" or self.tuning.windows
        if self.tuning.stride is not None and not in_windows:
            notes.append("--stride is for windows: of answers, or with --windows")
        if not data.valid:
            notes.append("no rows to validate, so the last weights are kept")
        if not data.test:
            notes.append("no rows to test, so there will be no scores")
        elif self.given["baselines"] and find_spec("sklearn") is None:
            notes.append(
                "to count words, for comparison, needs scikit-learn; run: pip install "
                "scikit-learn, or give --no-baselines"
            )
        for each in notes:
            say(f"bertcore: {each}", error=True)
        say(device_name(device))
        say(rows_in_words(data))
        say(f"{data.source}; licence: {data.licence}")

    def _run(self, seed: int, settings: ComputeSettings) -> FineTuning:
        return FineTuning(
            self.rows,
            self.start.weights,
            self.tuning.replace(seed=seed),
            settings=settings,
            tokenizer=self.start.tokenizer,
            checkpoints=self.folder.path / CHECKPOINTS / f"seed-{seed}",
        )

    # What came of the runs ---------------------------------------------------------

    def keep(self, run: FineTuning) -> None:
        """Write a run's model if no seed before did better; score it, if it ended."""
        seed, main = run.tuning.seed, run.predictor.task.decides(run.predictor)
        folder = self.folder
        best = folder.card["results"].get("validation") if folder.card else None
        better = best and run.best and run.best.scores[main] > best[main]
        # Of the same seed the model is that of an earlier session.
        first = not folder.card or folder.seed == seed
        if run.progress.step and (first or better):
            # One that diverged before it was evaluated is no model to keep.
            if run.best is not None or not run.progress.faults:
                run.save(folder.path)
            folder.card = run.card()
            write_card(folder.path / CARD, folder.card)
        if run.ended:
            test = self.data.test
            folder.finished[seed] = run.score(test) if test else {}
            shutil.rmtree(run.checkpoints, ignore_errors=True)
        folder.write()

    def report(self, stopped: bool) -> None:
        """Where the run stands, what it left, and what to do with it."""
        folder, path, card = self.folder, self.folder.path, self.folder.card
        if not card:
            folder.clear()
            say("bertcore: stopped before the first update; nothing is kept", True)
            return
        results = card["results"]
        which = [f"seed {folder.seed}"] if len(self.seeds) > 1 else []
        if "epochs" in results:
            which.append(f"epoch {results['epochs']:.3g}")
        where = f"{path} is the model{' of ' if which else ''}{', '.join(which)}"
        sums = many(results["steps"], "update")
        if stopped:
            say(
                f"bertcore: stopped; {where}, after {sums}, {results['progress']:.0%} "
                f"of its run; go on with: bertcore resume {path}",
                error=True,
            )
            return
        scored = {seed: scores for seed, scores in folder.finished.items() if scores}
        compared = scored and self.given["baselines"]
        baselines = simple_scores(self.data) if compared else {}
        results |= {"test": folder.finished[folder.seed], "baselines": baselines}
        if len(folder.finished) > 1:
            results["seeds"] = {str(n): scores for n, scores in folder.finished.items()}
        card["setting"]["asked"] = folder.asked
        write_card(path / CARD, card)
        folder.clear()
        if scored:
            outcomes = list(scored.values())
            lines = table(len(self.data.test), self.start.name, outcomes, baselines)
            say("\n".join(lines))
        if chosen := find_task(self.data.kind).chosen_in_words(read_task(path)[1]):
            say(chosen)
        time = f"{results['tokens']:,} tokens, {results['training_seconds']:,.0f} s"
        say(f"finished: {sums}, {time}; {where}")
        say(f"what next: {asking(path)}")


def what_learns(name: str, run: FineTuning) -> str:
    """How many parameters learn, in how many updates, and how much they read."""
    count = sum(p.numel() for p in run.model.parameters())
    learnt = sum(p.numel() for p in run.model.parameters() if p.requires_grad)
    learns = f"{learnt:,} of {count:,}" if learnt < count else f"all {count:,}"
    recipe, reading = run.recipe, run.predictor.reading
    writes = "search" in run.predictor.settings
    written = f", {reading.target} to write" if writes else ""
    return (
        f"{name}: {learns} parameters learn; {many(recipe.steps, 'update')} of "
        f"{recipe.batch}, up to {reading.length} tokens at once{written}"
    )


def simple_scores(data: TaskSet) -> dict[str, dict[str, float]]:
    """Scores on the test rows of means that learn little, by their names."""
    task = find_task(data.kind)
    ways = {"majority": task.majority}
    if find_spec("sklearn") is not None:
        ways[task.counted] = task.bag_of_words
        say("counting words, to compare …", error=True)
    found = {}
    for name, way in ways.items():
        try:
            found[name] = task.score(data.test, way(data, data.test))
        except ValueError as error:  # too few rows, or all alike
            fault = str(error).splitlines()[0]
            say(f"bertcore: no {name} to compare: {fault}", error=True)
    return found


def rows_in_words(data: TaskSet) -> str:
    """How many rows, and of which classes."""
    found = (
        f"{many(len(data.train), 'row')} to train on, {len(data.valid):,} to validate, "
        f"{len(data.test):,} to test"
    )
    if labels := find_task(data.kind).labels_in_words(data.labels):
        found += f"; {labels}"
    return f"{data.name}, {data.kind}: {found}"


def table(
    count: int,
    name: str,
    outcomes: Sequence[Mapping[str, float]],
    baselines: Mapping[str, Mapping[str, float]],
) -> list[str]:
    """Scores on so many test rows in lines, those of the model last.

    `outcomes` are its scores, from one seed at least; `baselines` those of each.
    """
    columns = list(outcomes[0])
    rows = {
        which: [f"{scores[column]:.3f}" for column in columns]
        for which, scores in baselines.items()
    }
    ways = {name: median}
    if len(outcomes) > 1:
        ways = {f"{name}, median of {len(outcomes)}": median}
        ways |= {"  lowest": min, "  highest": max}
    for which, way in ways.items():
        each = ([scores[column] for scores in outcomes] for column in columns)
        rows[which] = [f"{way(values):.3f}" for values in each]
    head = many(count, "test row")
    wide = max(map(len, (head, *rows)))
    heads = [column.replace("_", " ") for column in columns]
    widths = [max(6, len(column)) for column in heads]
    lines = []
    for which, cells in ((head, heads), *rows.items()):
        shown = "  ".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
        lines.append(f"{which:<{wide}}  {shown}")
    return lines


class StartingModel(NamedTuple):
    """What `FineTuning` starts from, what it is called, and what to say of it."""

    weights: str | BertConfig
    tokenizer: AnyTokenizer
    name: str
    family: str = "bert"
    note: str = ""

    def check_kind(self, kind: str) -> None:
        """ValueError if a model of this family cannot learn this kind of task."""
        families = find_task(kind).families
        if self.family not in families:
            raise ValueError(
                f"{self.name} is of the family {self.family}, which cannot learn "
                f"{kind}; give --model one of {', '.join(families)}, or leave it out"
            )


def starting_model(task: str, model: str | None) -> StartingModel:
    """The weights to start from, or for a task with pieces of its own only sizes.

    Args:
        task: its name, or a path.
        model: a run of `bertcore pretrain`, a model's folder or a hub name; by default
            ours, or for a task with pieces of its own a small one of random weights.

    Raises:
        FileNotFoundError: if there is no such model, or the run has no checkpoint yet.
        ValueError: if it is of no family that bertcore reads.
    """
    if model is None and task in OWN_PIECES:
        pieces = OWN_PIECES[task]()
        config = BertConfig.preset(
            "tiny", vocab_size=len(pieces), max_positions=_POSITIONS
        )
        note = (
            f"{task} has {len(pieces)} pieces of its own, which no published model "
            "knows; so this starts from random weights, "
            f"{many(config.layers, 'layer')} to read and {config.layers} to write, "
            f"{config.hidden_size} wide"
        )
        return StartingModel(config, pieces, "random weights", note=note)
    name = model or OUR_MODEL
    weights = model_files(name)
    # Of its own family, as in Python: a RoBERTa has other tables and other pieces.
    published = read_json(find_file(weights, "config.json"))
    family = published.get("model_type")
    if family != "encoder-decoder":
        family = family_at(weights).name
    so_far = weights != name and Path(weights).name != MODEL
    note = f"{name} has not ended: this starts from {weights}" if so_far else ""
    return StartingModel(weights, load_tokenizer(weights), name, family, note)
