"""Recorded runs: every card is complete, and prose quotes what it holds."""

import json
import re

import pytest

from bertcore.cards import make_card, processor_name, revision, write_card
from tests.conftest import ROOT

CARDS = sorted((ROOT / "data" / "runs").glob("*.json"))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_card_says_what_ran_and_on_what(path) -> None:
    card = json.loads(path.read_text(encoding="utf8"))
    for key in ("what", "data", "results", "device", "versions", "revision"):
        assert card[key], key
    assert not card["revision"].endswith("-dirty"), "record from a clean checkout"


def quoted(card: str) -> tuple[str, dict]:
    """The lines of a README that name a card, in order, and the card's results."""
    pages = (ROOT / name / "README.md" for name in ("benchmarks", "bertcore"))
    text = "\n".join(page.read_text(encoding="utf8") for page in pages)
    lines = [line for line in text.splitlines() if card in line]
    path = ROOT / "data" / "runs" / card
    return "\n".join(lines), json.loads(path.read_text(encoding="utf8"))["results"]


def test_the_readme_quotes_the_card() -> None:
    """In this order: ids cold and warm, places cold and warm, then two trainings."""
    paragraph, results = quoted("wordpiece-speed.json")
    ours = [
        results[f"{what}, {state}: ratio"][1]
        for what in ("ids, theirs without places", "ids and places")
        for state in ("cold", "warm")
    ]
    theirs = [1 / results[f"train {size}: ratio"][1] for size in (8192, 30522)]
    expected = [*(round(n, 1) for n in ours), *(round(n, 2) for n in theirs)]
    assert [float(n) for n in re.findall(r"([\d.]+) times", paragraph)] == expected


def test_the_readme_quotes_the_card_of_the_body() -> None:
    paragraph, results = quoted("body-speed.json")
    expected = [
        round(results[f"ours, {kind}: ratio"][1], 1) for kind in ("padded", "packed")
    ]
    assert [float(n) for n in re.findall(r"([\d.]+) times", paragraph)] == expected
    fill = results["share of the padded batch that is text"][1]
    assert f"{100 * fill:.0f} %" in paragraph


def test_the_readme_quotes_the_card_of_the_examples() -> None:
    """In this order: masking beside the loop, the collator, its tensors; preparing."""
    paragraph, results = quoted("examples-speed.json")
    masking = [
        results[f"mask, {other}: ratio"][1]
        for other in ("loop", "collator", "its tensors")
    ]
    expected = [*map(round, masking), round(results["prepare, all: ratio"][1], 1)]
    assert [float(n) for n in re.findall(r"([\d.]+) times", paragraph)] == expected
    speed = results["gather, ids alone: M tokens a second"][1]
    assert f"{speed:.0f} million tokens a second" in paragraph


def test_the_readme_quotes_the_cards_of_updates() -> None:
    """Long and short pairs with 30,522 pieces, then with 8,192; then fine-tuning."""
    pretraining, results = quoted("pretraining-speed.json")
    finetuning, fine = quoted("finetuning-speed.json")
    paragraph = f"{pretraining}\n{finetuning}"
    cases = [f"{v} {kind}" for v in ("30,522", "8,192") for kind in ("long", "short")]
    ratios = [results[f"{case}: + fused AdamW"][1] for case in cases]
    fills = [100 * results[f"{case}: share that is text"][1] for case in cases]
    used = min(results[f"{case}: + fused AdamW, of peak"][1] for case in cases)
    for way in ("ours, packed", "transformers, padded to the longest"):
        ratios.append(fine[way][1])
    share = fine["share of the padded rows that is text"][1]
    expected = [round(ratio, 1) for ratio in ratios]
    assert [float(n) for n in re.findall(r"([\d.]+) times", paragraph)] == expected
    shares = [*fills, 100 * used, 100 * share]
    found = [int(n) for n in re.findall(r"(\d+) %", paragraph)]
    assert found == [round(share) for share in shares]


def test_the_readme_quotes_the_card_of_writing() -> None:
    """In this order: the cache for one text, for eight, and the library with beams."""
    paragraph, results = quoted("generation-speed.json")
    found = [
        round(results["1 text: ours, no cache / ours"][1], 1),
        round(results["8 texts: ours, no cache / ours"][1], 1),
        round(results["16 texts, 4 beams: transformers / ours"][1], 2),
    ]
    assert [float(n) for n in re.findall(r"([\d.]+) times", paragraph)] == found


def test_the_readme_quotes_the_card_of_scoring() -> None:
    """Short sentences, with a call for each piece, for each sentence; longer ones."""
    paragraph, results = quoted("scoring-speed.json")
    found = [value[1] for name, value in results.items() if name.endswith(": ratio")]
    expected = [round(ratio, 1) for ratio in found]
    assert [float(n) for n in re.findall(r"([\d.]+) times", paragraph)] == expected
    assert found[0] >= 5


def test_the_readme_quotes_the_card_of_blimp() -> None:
    """The share of pairs, the ends of its interval, and how many pairs there were."""
    paragraph, results = quoted("blimp-english-mini.json")
    low, share, high = results["overall"]
    assert f"in {share:.1f} % of {results['pairs']:,} pairs" in paragraph
    assert f"{low:.1f} to {high:.1f} %" in paragraph
    assert len(results["paradigms"]) == 67 and results["pairs"] % 67 == 0
    card = json.loads((ROOT / "data/runs/blimp-english-mini.json").read_text("utf8"))
    assert card["setting"]["model"] == "bert-from-scratch/english-mini"


def test_the_readme_quotes_the_card_of_our_model() -> None:
    paragraph, results = quoted("pretraining-mini-english.json")
    assert f"{results['tokens'] / 1e6:.0f} million tokens" in paragraph
    assert f"{results['training_seconds']:.0f} seconds" in paragraph
    for loss in (results["held_out"]["masked_lm"], results["unigram_loss"]):
        assert f"{loss:.2f}" in paragraph
    model = ROOT / "data" / "models" / "english-mini"
    card = json.loads((model / "card.json").read_text("utf8"))
    assert card["results"] == results


def test_the_readme_quotes_the_card_of_going_on() -> None:
    """New texts before and after, then old ones: learnt, and forgotten."""
    paragraph, results = quoted("adaptation-novels.json")
    found = results["before_and_after"]
    bits = [
        found[texts][when]["bits_per_character"]
        for texts in ("new texts", "old texts")
        for when in ("before", "after")
    ]
    expected = [f"{each:.2f}" for each in bits]
    assert re.findall(r"\d\.\d\d", paragraph) == expected
    assert f"In {results['steps']} updates" in paragraph
    assert bits[1] < bits[0] and bits[2] < bits[3]


def test_a_card_is_written_with_what_it_depends_on(tmp_path) -> None:
    card = make_card("a test", "no data", {"seconds": 1.5}, ["einops"], seed=7)
    assert card["setting"] == {"seed": 7} and card["versions"]["einops"]
    assert card["device"] == processor_name() and card["revision"] == revision()
    write_card(tmp_path / "new" / "card.json", card)
    assert json.loads((tmp_path / "new" / "card.json").read_text()) == card


def test_the_readme_quotes_the_card_of_the_student() -> None:
    """Its size, and what it, the same alone, and the teacher have right."""
    paragraph, results = quoted("distillation-sentiment.json")
    path = ROOT / "data/runs/distillation-sentiment.json"
    counts = json.loads(path.read_text("utf8"))["setting"]["parameters"]
    expected = [f"{100 * counts['student'] / counts['teacher']:.0f}"]
    for way in ("distilled", "alone", "teacher"):
        expected.append(f"{results[way][1]:.1f}")
    assert re.findall(r"([\d.]+) %", paragraph) == expected
    assert counts["student"] * 3 <= counts["teacher"]
    assert results["distilled"][0] > results["alone"][2]  # not by a seed


def test_chapter_8b_shows_the_code_that_was_timed() -> None:
    chapter = (ROOT / "chapters" / "08b-modern.ipynb").read_text(encoding="utf8")
    cells = json.loads(chapter)["cells"]
    (shown,) = ("".join(c["source"]) for c in cells if c["id"] == "in-blocks")
    assert shown in (ROOT / "benchmarks" / "local.py").read_text(encoding="utf8")


def test_the_live_model_quotes_its_card() -> None:
    """Losses, shares right, agreement; then seconds and memory, as medians."""
    page = (ROOT / "live.md").read_text(encoding="utf8")
    path = ROOT / "data" / "runs" / "live-int8.json"
    results = json.loads(path.read_text(encoding="utf8"))["results"]
    kinds = "float32", "int8"
    losses = [f"{results[f'{kind}: loss, nats']:.3f}" for kind in kinds]
    right = " and ".join(f"{100 * results[f'{k}: share right']:.1f} %" for k in kinds)
    for said in (
        f"{results['hidden pieces']:,} hidden pieces",
        f"{losses[0]} nats with the model's own weights and {losses[1]} with",
        right,
        f"{100 * results['same likeliest piece']:.1f} % of them",
        f"needed {results['seconds to load'][1]:.1f} seconds",
        f"{results['seconds, 16 tokens again'][1]:.2f} seconds to fill",
        f"from {results['memory before, MB'][1]:.0f} to "
        f"{results['memory at most, MB'][1]:.0f} MB",
    ):
        assert said in page, said
