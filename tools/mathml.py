"""TeX to MathML for the book's pages: docutils' converter, mended where it errs.

A page with MathML needs no script and no font from elsewhere, and a screen reader can
read it. What the converter would show wrongly, and cannot be mended, is refused.
"""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import functions, tex2mathml

ENVIRONMENT = re.compile(
    r"\s*\\begin\{(equation|align|gather)(\*?)\}(.*)\\end\{\1\2\}\s*", re.DOTALL
)
APPLY = "\u2061"  # the invisible operator that stands after a function's name
BRACES = "⏞⏟"
ROWS = {"math", "mrow", "mtd", "msqrt", "mstyle"}
SCRIPTS = {"msub", "msup", "msubsup"}


def to_mathml(tex: str, block: bool) -> str:
    r"""Return TeX as one MathML element.

    >>> to_mathml(r"\sqrt{d}", block=False)
    '<math><msqrt><mi>d</mi></msqrt></math>'

    Raises:
        MathError: the expression holds something that MathML would not show as TeX
            does; the message names it.
    """
    if environment := ENVIRONMENT.fullmatch(tex):
        tex = environment[3]
    tex = re.sub(r"\\dots(?![A-Za-z])", r"\\ldots ", tex).strip()
    try:
        xml = tex2mathml(tex, as_block=block)
    except (AttributeError, IndexError, TypeError) as error:
        raise MathError("Incomplete expression.") from error
    xml = re.sub(r"\s*\n\s*", "", xml).replace("&ApplyFunction;", APPLY)
    tree = ElementTree.fromstring(xml.replace(' xmlns="', ' data-was="', 1))
    tree.attrib.pop("data-was", None)
    refuse_misread(tree)
    for element in reversed(list(tree.iter())):  # children before their parents
        mend_scripts(element)
    for element in list(tree.iter()):
        if element.tag in ROWS:
            space_functions(element)
    return ElementTree.tostring(tree, encoding="unicode", short_empty_elements=False)


def refuse_misread(tree: Element) -> None:
    """Raise MathError for what the converter takes literally without a word."""
    for element in tree.iter():
        text = element.text or ""
        if "\\" in text:
            raise MathError(f"A command inside text: {text}")
        if element.tag == "mo" and text == "'":
            raise MathError(r"A prime: write x^\prime for x'.")
        if element.tag == "mi" and text == "*":
            raise MathError(r"\operatorname* is not known: write \operatorname.")


def mend_scripts(element: Element) -> None:
    """Put indices where TeX has them: beside an accent, under or over a brace."""
    base = element[0] if len(element) else element
    if element.tag == "munderover" and base.tag != "mo":  # \hat{m}_t
        _, index, accent = element
        accented = Element("mover", accent="true")
        accented[:] = [base, accent]
        element.tag, element[:] = "msub", [accented, index]
    elif element.tag == "msup" and base.tag == "msub":  # the same with ^2
        element.tag, element[:] = "msubsup", [*base, element[1]]
    elif element.tag in SCRIPTS and base.tag in {"munder", "mover"}:  # \underbrace_
        if base[1].text in BRACES:
            element.tag = base.tag
    elif element.tag in SCRIPTS and base.tag == "mo":  # \rVert_2
        base.set("stretchy", "false")


def space_functions(row: Element) -> None:
    """Set thin spaces around the names of functions, as TeX does: p log p, log(p)."""
    old = [element for element in row if element.text != APPLY]
    row[:] = []
    for left, right in zip([None, *old], old, strict=False):
        after = left is not None and names_function(left) and not operates(right)
        before = left is not None and names_function(right) and not operates(left)
        if after or before:
            SubElement(row, "mspace", width="0.1667em")
        row.append(right)


def names_function(element: Element) -> bool:
    """Whether the element is log, exp, ..., with or without indices."""
    core = element[0] if element.tag in SCRIPTS else element
    return core.tag == "mi" and core.text in functions.values()


def operates(element: Element) -> bool:
    """Whether the element brings its own space or begins with a bracket."""
    if element.tag in {"mrow", "math"} and len(element):
        return operates(element[0])
    return element.tag in {"mo", "mspace", "mtext"}
