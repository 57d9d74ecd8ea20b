"""The corpora in packages: what is in them, and that data/README.md says so."""

import re
import sys

import pytest

from bertcore.text import corpora as corpora_module
from bertcore.text.corpora import CORPORA, Corpus, bible, running_text, wikitext
from bertcore.text.wordpiece import Tokenizer
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def corpora() -> dict[str, Corpus]:
    return {name: shelved.load() for name, shelved in CORPORA.items()}


@pytest.mark.parametrize("name", CORPORA)
def test_documents_and_words(name: str, corpora: dict[str, Corpus]) -> None:
    shelved, corpus = CORPORA[name], corpora[name]
    assert len(corpus.documents) == shelved.documents
    assert sum(len(d.text.split()) for d in corpus.documents) == shelved.words
    assert shelved.package in corpus.source
    assert corpus.licence == shelved.licence
    for document in corpus.documents:
        assert document.title
        assert document.text
        if name != "introductions":
            assert all(line == line.strip() != "" for line in document.text.split("\n"))


@pytest.mark.parametrize("name", CORPORA)
def test_the_table_in_the_readme(name: str) -> None:
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf8")
    shelved = CORPORA[name]
    (row,) = (
        line
        for line in readme.splitlines()
        if f"| {shelved.package} {shelved.version} |" in line
    )
    assert f"{shelved.documents:,} " in row
    assert f"{shelved.words:,} words" in row
    assert f"| {shelved.megabytes} MB |" in row
    assert shelved.licence.split(":")[0].split(",")[0] in row
    load = name if name != "bible-kjv" else 'bible("kjv")'
    assert load.removesuffix("-web") + ("" if '"' in load else "(") in readme


def test_checksums_in_the_readme() -> None:
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf8")
    for name in ("requirements-data.txt", "requirements-corpora.txt"):
        pins = re.findall(
            r"^([\w-]+)==\S+ \\\n +--hash=sha256:(\w{64})$",
            (ROOT / name).read_text(encoding="utf8"),
            re.MULTILINE,
        )
        assert pins
        for package, digest in pins:
            assert re.search(rf"^{package} +{digest}$", readme, re.MULTILINE), package


def test_the_shelf_is_pinned() -> None:
    pins = "".join(
        (ROOT / name).read_text(encoding="utf8")
        for name in ("requirements-data.txt", "requirements-corpora.txt")
    )
    for shelved in CORPORA.values():
        assert f"{shelved.package}=={shelved.version} \\" in pins


def test_the_packages_are_read_and_never_run(corpora: dict[str, Corpus]) -> None:
    assert not {shelved.module for shelved in CORPORA.values()} & set(sys.modules)
    assert "pythonbible" not in sys.modules


def test_wikitext(corpora: dict[str, Corpus]) -> None:
    first = corpora["wikitext"].documents[0]
    assert first.title == "Valkyria Chronicles III"
    assert "lit. Valkyria of the Battlefield 3), commonly" in first.text
    assert "a tactical role-playing video game" in first.text
    text = "\n".join(d.text for d in corpora["wikitext"].documents)
    assert not re.search(r" @[-,.]@ |^= = ", text, re.MULTILINE)
    assert [len(wikitext(split).documents) for split in ("valid", "test")] == [60, 60]


def test_running_text_has_the_same_pieces(real_tokenizer: Tokenizer) -> None:
    text = 'The game \'s ( 2 @,@ 000 ) role @-@ players , 50 % of them : " Go ! " Why ?'
    plain = 'The game\'s (2,000) role-players, 50% of them: " Go! " Why?'
    assert running_text(text) == plain
    spaced = text.replace(" @,@ ", ",").replace(" @-@ ", "-")
    assert real_tokenizer.encode(plain) == real_tokenizer.encode(spaced)


def test_speeches(corpora: dict[str, Corpus]) -> None:
    documents = corpora["speeches"].documents
    assert documents[0].title == "George Washington, 1790-01-08"
    assert documents[0].text.startswith("Fellow-Citizens of the Senate")
    assert {document.description for document in documents} == {"spoken", "written"}
    assert [document.title[-10:-6] for document in documents][-1] == "2026"


def test_factbook(corpora: dict[str, Corpus]) -> None:
    documents = {d.title: d for d in corpora["factbook"].documents}
    assert len(documents) == 256
    assert {"Eritrea", "Côte d'Ivoire", "World", "European Union"} <= set(documents)
    assert documents["Eritrea"].topic == "africa"
    assert documents["Eritrea"].text.startswith("Eritrea won independence from")
    lines = [line for d in documents.values() for line in d.text.split("\n")]
    assert len(lines) == len(set(lines))
    assert not any(re.search(r"</?\w+>|&\w+;", line) for line in lines)


def test_bible(corpora: dict[str, Corpus]) -> None:
    web, kjv = corpora["bible-web"].documents, corpora["bible-kjv"].documents
    titles = [d.title.replace("Solomon", "Songs") for d in kjv]
    assert [d.title for d in web] == titles
    assert web[0].title == "Genesis 1"
    assert web[0].text.startswith("In the beginning God created the heavens and the")
    for documents in (web, kjv):
        assert sum(d.text.count("\n") + 1 for d in documents) == 31_102
    (psalm,) = (d for d in web if d.title == "Psalms 3")
    assert psalm.text.endswith("Your blessing be on your people. Selah.")
    for document in (*web, *kjv):
        assert not re.search(r"[`\[\]]|Psalm \d|^\d", document.text, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in CORPORA if name != "introductions"])
def test_a_package_that_is_missing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora_module, "module_folder", lambda module: None)
    pin = f"{CORPORA[name].package}=={CORPORA[name].version}"
    with pytest.raises(FileNotFoundError, match=f"'{name}'.*--no-deps {pin}$"):
        CORPORA[name].load()


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="split='dev'; give train, valid, test"):
        wikitext("dev")
    with pytest.raises(ValueError, match="version='niv'; give web or kjv"):
        bible("niv")
