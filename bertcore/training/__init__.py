"""Examples and a model to losses and checkpoints: above `text`, `model`, `tasks`."""
