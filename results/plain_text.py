"""Text for people: of a study, so that nothing in it can steer what shows it, and numbers of things."""


def plain(text: str) -> str:
    """`text` with every control, format and other unprintable character written as its escape, such as \\x1b."""
    if text.isprintable():  # nearly always
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def plain_lines(text: str) -> str:
    """The same, but line ends stay line ends: for texts of several lines, such as tracebacks."""
    return "\n".join(map(plain, text.splitlines()))


def count(number: int, thing: str) -> str:
    """``1 trial``, ``1,200 trials``."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
