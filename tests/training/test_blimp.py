"""BLiMP's form of minimal pairs, with a dozen of our own; no network is used."""

import json
import lzma
from collections.abc import Mapping
from pathlib import Path

import pytest

from bertcore import BertForMaskedLM
from bertcore.training.scoring import (
    BlimpScores,
    MinimalPair,
    Share,
    judge,
    read_pairs,
    score_texts,
)
from tests.training import small

# Paradigm -> its category in the files, and pairs of sentences.
PARADIGMS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "verb_agreement": (
        "subject_verb_agreement",
        [
            ("Anna sees a dog.", "Anna see a dog."),
            ("Ben has two cats.", "Ben have two cats."),
            ("The dogs sleep.", "The dogs sleeps."),
            ("A bird sings.", "A bird sing."),
        ],
    ),
    "reflexive": (
        "anaphor_agreement",
        [
            ("Anna sees herself.", "Anna sees himself."),
            ("Ben found himself.", "Ben found herself."),
            ("The boys know themselves.", "The boys know himself."),
            ("Clara asks herself.", "Clara asks itself."),
        ],
    ),
    "who_can": (
        "s-selection",
        [
            ("A boy was seen by Ben.", "A boy was seen by that rock."),
            ("Clara feared a dog.", "The stone feared a dog."),
            ("A cat ate the fish.", "A spoon ate the fish."),
            ("The girl hoped to win.", "The lamp hoped to win."),
        ],
    ),
}


def rows(paradigm: str) -> list[dict[str, str]]:
    term, pairs = PARADIGMS[paradigm]
    return [
        {
            "sentence_good": good,
            "sentence_bad": bad,
            "field": "syntax",
            "linguistics_term": term,
            "UID": paradigm,
        }
        for good, bad in pairs
    ]


def write(path: Path, records: list[Mapping[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in records), "utf8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file for each paradigm, as BLiMP's own repository has them."""
    for name in PARADIGMS:
        write(tmp_path / "data" / f"{name}.jsonl", rows(name))
    (tmp_path / "data" / "README.md").write_text("Not a pair.")
    return tmp_path / "data"


def test_folders_and_files_hold_the_same_pairs(folder: Path, tmp_path: Path) -> None:
    found = read_pairs(folder)
    assert len(found.pairs) == 12 and found.equal == 0
    assert found.source == "BLiMP (Warstadt et al. 2020), data"
    together = [row for name in sorted(PARADIGMS) for row in rows(name)]
    one = tmp_path / "all.jsonl.xz"
    with lzma.open(one, "wt", encoding="utf8") as file:
        file.writelines(f"{json.dumps(row)}\n" for row in together)
    (tmp_path / "table").mkdir()
    import pandas

    pandas.DataFrame(together).to_parquet(tmp_path / "table" / "all.parquet")
    for other in (one, tmp_path / "table"):
        others = read_pairs(other)
        assert [p[:4] for p in others.pairs] == [p[:4] for p in found.pairs]
    first = found.pairs[0]
    place = str(folder / "reflexive.jsonl")
    good, bad = PARADIGMS["reflexive"][1][0]
    expected = ("reflexive", "anaphor agreement", good, bad, f"{place}, line 1")
    assert first == expected
    # The paper has twelve categories, and this is of its argument structure.
    assert {p.term for p in found.pairs if p.paradigm == "who_can"} == {
        "argument structure"
    }


def test_the_hub_has_a_config_for_each_paradigm(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder as the hub keeps it, under a name that is asked of the hub."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    configs = "".join(
        f"- config_name: {n}\n  data_files: {n}.jsonl\n" for n in PARADIGMS
    )
    (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    names, load = datasets.get_dataset_config_names, datasets.load_dataset
    monkeypatch.setattr(
        datasets, "get_dataset_config_names", lambda _: names(str(folder))
    )
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda _, *rest, **how: load(str(folder), *rest, **how),
    )
    found = read_pairs("nyu-mll/blimp").pairs
    assert {p[:4] for p in found} == {p[:4] for p in read_pairs(folder).pairs}
    assert found[0].place == "nyu-mll/blimp, verb_agreement, row 1"


def test_a_sample_is_the_same_whatever_else_there_is(folder: Path) -> None:
    everything = read_pairs(folder).pairs
    some = read_pairs(folder, 2).pairs
    assert [pair.paradigm for pair in some] == [
        n for n in sorted(PARADIGMS) for _ in "ab"
    ]
    assert set(some) < set(everything) and len(set(some)) == 6
    alone = read_pairs(folder / "who_can.jsonl", 2).pairs
    assert alone == [pair for pair in some if pair.paradigm == "who_can"]
    assert read_pairs(folder, 99).pairs == everything
    with pytest.raises(ValueError, match="pairs_per_paradigm=0; give 1 or more"):
        read_pairs(folder, 0)


def test_equal_sentences_are_left_out_and_counted(folder: Path) -> None:
    same = rows("who_can")[0] | {"sentence_bad": rows("who_can")[0]["sentence_good"]}
    write(folder / "who_can.jsonl", [same, *rows("who_can")])
    found = read_pairs(folder)
    assert found.equal == 1 and len(found.pairs) == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"UID": None},
            "line 2: 'UID' is empty; a pair has the texts UID, linguistics_",
        ),
        ({"sentence_bad": " "}, "line 2: 'sentence_bad' is empty; a pair has"),
        (
            {"sentence_good": ["A dog."]},
            "line 2: 'sentence_good' is no text; a pair has",
        ),
        (
            {"linguistics_term": ...},
            "line 2: no 'linguistics_term'; a pair has the texts",
        ),
        ({"sentence_good": ...}, "line 2: no 'sentence_good'; a pair has the texts"),
    ],
)
def test_pairs_that_lack_something(change, message: str, folder: Path) -> None:
    first, second, *rest = rows("who_can")
    second = {k: v for k, v in (second | change).items() if v is not ...}
    write(folder / "who_can.jsonl", [first, second, *rest])
    with pytest.raises(ValueError, match=f"who_can.jsonl, {message}"):
        read_pairs(folder)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no minimal pairs; give BLiMP's files"):
        read_pairs(tmp_path)
    with pytest.raises(FileNotFoundError, match="no file or folder .*none; check the"):
        read_pairs(tmp_path / "none")
    table = tmp_path / "pairs.csv"
    table.write_text("sentence_good,sentence_bad\nA dog.,Dog a.\n")
    with pytest.raises(ValueError, match="pairs.csv, line 2: no 'UID'; a pair has the"):
        read_pairs(table)


def model() -> BertForMaskedLM:
    run = small.run(small.recipe(pairs=False, steps=3))
    list(run.records())
    return run.model


def test_the_better_sentence_has_the_higher_score(folder: Path) -> None:
    """What the pairs' own totals say, in shares of paradigms and categories."""
    trained, pairs = model(), read_pairs(folder).pairs
    judged = list(judge(pairs, trained, small.tokenizer()))
    expected = [
        good.total - bad.total
        for pair in pairs
        for good, bad in [score_texts(pair[2:4], trained, small.tokenizer())]
    ]
    assert [pair for pair, _ in judged] == pairs
    assert [margin for _, margin in judged] == pytest.approx(expected, abs=1e-4)
    scores = BlimpScores.of(judged)
    right = [margin > 0 for margin in expected]
    assert scores.overall == Share(sum(right), 12) and 0 < sum(right) < 12
    assert [*scores.terms] == [
        "anaphor agreement", "argument structure", "subject verb agreement"
    ]  # fmt: skip
    assert scores.paradigms["who_can"] == Share(sum(right[8:]), 4)
    results = scores.results()
    assert results["pairs"] == 12 and results["ties"] == 0
    assert results["argument structure"] == Share(sum(right[8:]), 4).percent
    assert results["paradigms"]["who_can"] == 25 * sum(right[8:])
    json.dumps(results)


def test_a_tie_is_wrong() -> None:
    """Sentences that are the same pieces to the model, here without capitals."""
    pair = MinimalPair("case", "names", "Anna has a dog.", "anna has a dog.", "line 1")
    scores = BlimpScores.of(judge([pair], model(), small.tokenizer()))
    assert scores.ties == 1 and scores.overall == Share(0, 1)


def test_a_sentence_that_is_too_long_is_named(folder: Path) -> None:
    long = rows("who_can")[1] | {"sentence_good": "a dog " * 40}
    write(folder / "who_can.jsonl", [long])
    pairs = read_pairs(folder / "who_can.jsonl").pairs
    with pytest.raises(ValueError, match="who_can.jsonl, line 1 has .* 32 positions"):
        list(judge(pairs, model(), small.tokenizer()))


def test_the_intervals_are_wilsons() -> None:
    """By his formula, with 1.96 standard errors."""
    for right, pairs in ((0, 8), (7, 20), (841, 1340), (20, 20)):
        share, z = right / pairs, 1.959964
        middle = (share + z**2 / (2 * pairs)) / (1 + z**2 / pairs)
        half = (share * (1 - share) / pairs + z**2 / (4 * pairs**2)) ** 0.5
        half *= z / (1 + z**2 / pairs)
        expected = [100 * x for x in (middle - half, share, middle + half)]
        assert Share(right, pairs).percent == pytest.approx(expected, abs=0.01)
