"""Variants: BERT's heirs, from RoBERTa to ModernBERT (chapters 8 and 8b).

Each is a module to read beside BERT's own. `families.FAMILIES` has all of their
classes by the name that a `config.json` gives them.
"""
