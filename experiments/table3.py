"""Table 3 of the paper: supervised training with and without mixup, five folds.

    python -m experiments.table3 --published
    python -m experiments.table3 --data=FOLDER --workdir=DIR [--folds=0,1]

Two systems, five folds each: ten runs.
"""

import sys

from experiments.tables.command import main

if __name__ == "__main__":
    sys.exit(main("table3", __doc__))
