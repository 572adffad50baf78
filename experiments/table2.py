"""Table 2 of the paper: ResNeXt-50 trained for 20 epochs, beside Matek et al. 2021.

    python -m experiments.table2 --published
    python -m experiments.table2 --data=FOLDER --workdir=DIR

Its one system was trained on one 80/20 split.
"""

import sys

from experiments.tables.command import main

if __name__ == "__main__":
    sys.exit(main("table2", __doc__))
