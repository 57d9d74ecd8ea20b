"""Contest: models against each other, at the same cost (chapter 8b).

`race.Race` gives all the same time; in `speedrun.Speedrun` the one wins that needs the
least compute, by the rules of data/leaderboard/README.md.
"""
