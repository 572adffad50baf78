"""One-command experiments.

`table2`, `table3`, `table4` and `figure2` are the paper's, published and measured;
each of the others writes its metrics into a folder beside its README. RESULTS.md has
them all (`results`).
"""
