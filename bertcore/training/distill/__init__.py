"""Distill: a small model learns from a large one (chapter 8).

`distillation.Distillation` is a run on labelled rows, and on others; `pretraining` has
the objective for masked pieces; `student.student_of` makes the beginning of a student.
"""
