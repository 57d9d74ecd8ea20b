"""Tensors in, tensors out: BERT's parts, its heads and its published weights."""
