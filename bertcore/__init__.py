"""BERT from scratch: raw text in, predictions out, every part readable.

The names below are the public surface. They load on first use, so that
`import bertcore` stays light and the tokenizer needs no torch.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "BertConfig": "bertcore.model.config",
    "Bert": "bertcore.model.bert",
    "BertForPreTraining": "bertcore.model.bert",
    "BertForMaskedLM": "bertcore.model.bert",
    "BertForSequenceClassification": "bertcore.model.bert",
    "BertForTokenClassification": "bertcore.model.bert",
    "BertForQuestionAnswering": "bertcore.model.bert",
    "Decoder": "bertcore.model.decoder",
    "EncoderDecoder": "bertcore.model.decoder",
    "Search": "bertcore.model.generate",
    "generate": "bertcore.model.generate",
    "Tokenizer": "bertcore.text.wordpiece",
    "SentenceEncoder": "bertcore.sentences",
    "encode": "bertcore.sentences",
}
_PARTS = ("book", "model", "sentences", "sources", "tasks", "text", "training")
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    """Import a public name from its module the first time it is asked for."""
    if name in _PARTS:
        return import_module(f"bertcore.{name}")
    if name not in _HOME:
        raise AttributeError(f"bertcore has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
