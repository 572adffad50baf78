"""The report of a finished run: one HTML page, made from the run's files alone.

Nothing here imports jax, so that a run can be reported again on any computer.
"""

from bmjax.report.page import write_report as write_report
