"""Decoder: BERT learns to write (chapter 7)."""

from bertcore.model.decoder.decoder import Decoder
from bertcore.model.decoder.encoder_decoder import EncoderDecoder
from bertcore.model.decoder.generate import Written, generate, stream
from bertcore.model.decoder.layer import DecoderLayer
from bertcore.model.decoder.memory import Memory
from bertcore.model.decoder.search import Search

__all__ = [
    "Decoder",
    "DecoderLayer",
    "EncoderDecoder",
    "Memory",
    "Search",
    "Written",
    "generate",
    "stream",
]
