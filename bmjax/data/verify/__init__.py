"""Is a folder of images whole, and what it says it is? Nothing in it is changed."""

from bmjax.data.verify.kinds import KINDS, Finding, Weight
from bmjax.data.verify.verify_report import ClassCount, Report, verify
from bmjax.data.verify.verify_summary import summarize, to_json

__all__ = [
    "KINDS",
    "ClassCount",
    "Finding",
    "Report",
    "Weight",
    "summarize",
    "to_json",
    "verify",
]
