"""How a part ends besides a success or an error."""


class NotRun(Exception):
    """A part cannot run here: a sentence says what is missing. It is no failure."""


def check_line(name: str, found: float, bound: float) -> dict[str, str | float | bool]:
    """One line of a check: what was found, and up to where it may go."""
    return {
        "check": name,
        "found": float(found),
        "bound": float(bound),
        "holds": bool(found <= bound),
    }
