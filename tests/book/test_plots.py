"""Pictures carry words, take the page's colour and do not clash."""

import re

import pytest

from bertcore.book import plots
from bertcore.book.diagram import architecture
from bertcore.model.config import BertConfig

ALT = "A line that rises from left to right."


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("background", ["#ffffff", "#14181e", "#121212"])
@pytest.mark.parametrize("colour", plots.PALETTE.values())
def test_palette_is_legible_on_both_pages(colour: str, background: str) -> None:
    """WCAG 1.4.11 asks a contrast of 3 for graphics."""
    low, high = sorted((luminance(colour), luminance(background)))
    assert (high + 0.05) / (low + 0.05) >= 3.5


def line() -> plots.Figure:
    figure, (axes,) = plots.panels(3, 2)
    axes.plot([0, 1], [0, 1], label="line")
    axes.set_xlabel("steps")
    axes.text(0.5, 0.5, "middle")
    return figure


def test_picture_is_inline_and_named() -> None:
    page = plots.show(line(), ALT, "A caption & more")._repr_html_()
    assert page.count("<svg") == 1 and "<?xml" not in page and "<style" not in page
    assert f'aria-label="{ALT}"' in page and 'role="img"' in page
    assert "<figcaption>A caption &amp; more</figcaption>" in page
    assert "#000000" not in page and "currentColor" in page
    assert "http" not in re.sub(r"http://www\.w3\.org/\S+", "", page)


def test_names_in_two_pictures_do_not_clash() -> None:
    one = plots.show(line(), ALT).svg
    two = plots.show(line(), ALT + " Again.").svg
    names = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, two)]
    assert names[0] and not names[0] & names[1]
    for svg, known in zip((one, two), names, strict=True):
        used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
        assert used <= known


def test_the_same_figure_gives_the_same_text() -> None:
    assert plots.show(line(), ALT).svg == plots.show(line(), ALT).svg


def test_alternative_text_must_say_something() -> None:
    with pytest.raises(ValueError, match="tells a reader who cannot see the picture"):
        plots.show(line(), "loss plot")


def test_diagram_shows_the_numbers_of_its_config() -> None:
    picture = architecture(BertConfig.preset("mini"))
    for number in ("× 4", "30,522 × 256", "4 heads of 64", "256 → 1,024 → 256"):
        assert number in picture.svg
    assert "4 equal encoder layers" in picture.alt
    assert repr(picture).startswith("[picture: BERT from text to predictions")


def test_strip_marks_continuations_and_special_pieces() -> None:
    strip = plots.strip(["[CLS]", "head", "##land", "a"], [101, 1, 2, 3])
    colours = [colour for _, _, colour in strip.boxes]
    assert colours[0] == plots.GREY
    assert colours[1] == colours[2] != colours[3]
    assert repr(strip) == "[CLS]/101 head/1 ##land/2 a/3"
    assert "&lt;" in plots.strip(["<b>"], [1])._repr_html_()


def test_heatmap_wants_a_name_for_each_row_and_column() -> None:
    _, (axes,) = plots.panels()
    with pytest.raises(ValueError, match="1 row names and 3 column names .* 2 × 3"):
        plots.heatmap(axes, [[0, 1, 2], [1, 2, 3]], ["a"], ["b", "c", "d"])


def test_bars_and_heatmap_take_any_sign() -> None:
    figure, axes = plots.panels(columns=2)
    plots.bars(axes[0], ["a", "b"], [-0.2, -0.1])
    plots.heatmap(axes[1], [[0.0, 1.0]], ["r"], ["c", "d"], numbers=".1f")
    assert plots.show(figure, "Two bars below zero and two cells.").svg


def test_an_image_keeps_its_values_and_stays_small() -> None:
    figure, (axes,) = plots.panels(2, 2)
    values = [[i / 300 + j / 300 for j in range(128)] for i in range(128)]
    plots.image(axes, values, (0, 1))
    assert axes.images[0].get_array().tolist() == values
    assert axes.images[0].get_clim() == (0, 1)
    picture = plots.show(figure, alt="A slope from dark to bright.")
    assert len(picture._repr_html_()) < 60_000
