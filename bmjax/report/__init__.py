"""The pages of finished runs, made from their files alone: one run, or several.

Nothing here imports jax, so that a run can be reported again on any computer.
"""

from bmjax.report.comparison_page import write_comparison as write_comparison
from bmjax.report.run_page import write_report as write_report
