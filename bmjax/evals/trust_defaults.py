"""What is asked of a run's names by default; apart, so that help is quick."""

DOUBTFUL_ERROR = 0.05  # share of wrong names among those that are not doubtful; ours
SET_LEVEL = 0.9  # with 0.95 a class needs 19 validation cells instead of 9
