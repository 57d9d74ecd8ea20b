"""Examples and a model to losses and checkpoints: may import `text` and `model`."""
