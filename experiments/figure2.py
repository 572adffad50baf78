"""Figure 2 of the paper: t-SNE of SwAV's features of the test part.

    python -m experiments.figure2 --demo
    python -m experiments.figure2 --data=FOLDER --workdir=DIR

Takes SwAV's run from the workdir of table4, or makes it. The paper gives neither the
settings of its figure nor which images it shows.
"""

import sys

from experiments.tables.command import main

if __name__ == "__main__":
    sys.exit(main("figure2", __doc__))
