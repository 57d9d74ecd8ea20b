"""Variants: RoBERTa, ALBERT, DistilBERT, ELECTRA, DeBERTa, ModernBERT (chapter 8).

Each is a module to read beside BERT's own. `families.FAMILIES` has all of their
classes by the name that a `config.json` gives them.
"""
