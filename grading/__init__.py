"""The course's instructor tools: releases of chapters, and a grader that trusts nobody.

`command` is what an instructor types. `chapters` reads the tagged notebooks, `handins`
what students wrote. `examiner` knows seed, cases and right values; it talks through
`wire` to a `worker`, which runs students' code inside a `box`. `results` writes files,
`similarity` finds near copies, and `autograders` packs all this for platforms. `harden`
gives solutions back with one of the changes that `edits` makes.
"""
