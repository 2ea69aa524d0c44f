"""Lines, arrows and words of a drawing, collected in the order in which they lie above each other."""

from dataclasses import dataclass, field

from results.markup import Markup, element, join

Point = tuple[float, float]


@dataclass
class Layer:
    """Lines below, shapes and words above them. Sizes are in pixels, y grows downwards."""

    lines: list[Markup] = field(default_factory=list)
    shapes: list[Markup] = field(default_factory=list)

    def flow(self, *through: Point) -> None:
        """Draw a line of data through the points."""
        self.lines.append(element("polyline", class_="flow", points=points(*through)))

    def arrow(self, *through: Point) -> None:
        """Draw a line of data through the points that ends in a tip, which points down."""
        x, y = through[-1]
        self.flow(*through[:-1], (x, y - 5))
        self.lines.append(element("polygon", class_="tip", points=points((x - 4, y - 7), (x + 4, y - 7), (x, y))))

    def text(self, x: float, y: float, kinds: str, *parts: object, tip: str = "") -> None:
        """Write words on the base line ``y``, with the full story as their tooltip."""
        content = (element("title", tip), *parts) if tip else parts
        self.shapes.append(element("text", *content, x=px(x), y=px(y), class_=kinds))

    def put(self, other: "Layer", class_: str) -> None:
        """Lay a finished layer onto this one as a group."""
        self.shapes.append(element("g", join(*other.lines, *other.shapes), class_=class_))


def rect(x: float, y: float, width: float, height: float, class_: str, **attributes: object) -> Markup:
    """Return a rectangle."""
    return element("rect", class_=class_, x=px(x), y=px(y), width=px(width), height=px(height), **attributes)


def points(*each: Point) -> str:
    """The points as SVG attributes write them."""
    return " ".join(f"{px(x)},{px(y)}" for x, y in each)


def px(number: float) -> str:
    """A length as SVG attributes write it, to a tenth of a pixel."""
    return f"{number:.1f}".removesuffix(".0")
