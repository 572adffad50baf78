"""Is a folder of images whole, and what it says it is? Nothing in it is changed."""

from bmjax.data.verify.kinds import FINDING_KINDS, Finding, Weight
from bmjax.data.verify.verify_report import ClassCount, Report, verify
from bmjax.data.verify.verify_summary import summarize_report, to_json

__all__ = [
    "FINDING_KINDS",
    "ClassCount",
    "Finding",
    "Report",
    "Weight",
    "summarize_report",
    "to_json",
    "verify",
]
