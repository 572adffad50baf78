"""Names that people gave to files, as plain characters."""


def escaped(name: str) -> str:
    r"""A name in plain characters: `\n` for a newline, `\xff` for a byte alone."""
    return "".join(map(_escaped, name))


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    if 0xDC80 <= ord(character) <= 0xDCFF:  # as Python holds a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
