"""Table 4 of the paper: SwAV and SupCon, each with a linear classifier.

    python -m experiments.table4 --published
    python -m experiments.table4 --demo
    python -m experiments.table4 --data=FOLDER --workdir=DIR [--pretrain-on=all]

The paper has one 80/20 split; --folds=0-4 gives five folds, which it never ran. SwAV is
pretrained on the training part, or on all images; the two are never mixed.
"""

import sys

from experiments.tables.command import main

if __name__ == "__main__":
    sys.exit(main("table4", __doc__))
