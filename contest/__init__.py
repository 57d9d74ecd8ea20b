"""Contest: models against each other, at the same cost (chapter 8b).

`race` gives all the same time; in a `speedrun` the model wins that needs the least
compute, by the rules of contest/README.md. It stands beside the package and uses it as
anybody could: `python -m contest --help`, from the repository's root.
"""
