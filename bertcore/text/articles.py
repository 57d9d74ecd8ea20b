"""Articles: labelled rows made of Wikipedia's introductions (chapters 7 and 10)."""

from collections.abc import Callable

from bertcore.text.corpus import Document, introductions
from bertcore.text.labelled_readers import pair_descriptions, parts, unread
from bertcore.text.rows import Row, Source, TaskSet, Text
from bertcore.text.task_shelf import task_set

_NO_TOPIC = "Uncategorized"
_FEW = 100  # documents: then it is the stand-in


def topics() -> TaskSet:
    """Introductions of Wikipedia, each with the topic of its article: 11 classes.

    The 1,000 articles that are "Uncategorized" are left out; no two introductions are
    alike. The articles that test are among those that `english` holds out, so our
    packaged model has not read them. Texts are whole, 77 words on average: the model
    cuts. Without the package, the two dozen introductions of this course stand in,
    split in order 12, 6 and 6: enough to see the code run.
    """
    return _articles(
        "topics",
        lambda document: document.topic != _NO_TOPIC,
        lambda part: [Text(document.text, document.topic) for document in part],
    )


def descriptions() -> TaskSet:
    """A few words, and an introduction of Wikipedia: is it what they describe?

    Each article's own short description stands before its introduction, which "fits",
    or by chance before that of another article on the same topic: "other". Articles
    without a description or a topic are left out. Split by a digest of the title, and
    then paired, so no text is in two parts; the test is chosen as for `topics`.
    Without the package, the two dozen introductions of this course stand in, as there.
    """
    return _articles(
        "descriptions",
        lambda document: bool(document.description) and document.topic != _NO_TOPIC,
        pair_descriptions,
    )


def summaries() -> TaskSet:
    """Introductions of Wikipedia, each with the few words that describe its article.

    The 171 articles without a description are left out. A description has 6 words on
    average and 16 at most. One in ten of those that test is also that of an article to
    train on, such as "Country in Central Europe"; and one in seven of all stands in its
    text, word for word. The test is chosen as for `topics`. Without the package, the
    two dozen introductions of this course stand in, as there.
    """
    return _articles(
        "summaries",
        lambda document: bool(document.description),
        lambda part: [Source(d.text, d.description) for d in part],
    )


def _articles(
    name: str,
    wanted: Callable[[Document], bool],
    rows: Callable[[list[Document]], list[Row]],
) -> TaskSet:
    """The rows of the documents that are wanted, split by a digest of the title."""
    corpus = introductions()
    found = [document for document in corpus.documents if wanted(document)]
    split = found[:12], found[12:18], found[18:]
    if len(found) >= _FEW:
        split = parts(found, lambda document: document.title)
        split = unread(split, lambda document: document.title)
    return task_set(name, tuple(map(rows, split)), corpus.source, corpus.licence)
