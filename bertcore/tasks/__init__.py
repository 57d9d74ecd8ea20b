"""What a BERT can be fine-tuned for, a module for each kind of task (chapter 10)."""
