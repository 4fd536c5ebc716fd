"""The printed quote, read back from its PDF by another library."""

import hashlib
import io
import re
import subprocess
import sys
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from quotekit.quotes.document import (
    Client,
    Company,
    DocumentLine,
    QuoteDocument,
    render,
)
from quotekit.quotes.logos import LogoError
from quotekit.quotes.pricing import Line, Terms, calculate
from tests.unit.quotes import samples

ROOT = Path(__file__).parents[3]
D = Decimal
# how a hand would write 1234.5: thousands and decimal mark, blanks left out
MARKS = {"en": (",", "."), "de": (".", ","), "fr": ("", ","), "es": (".", ","), "pt": (".", ",")}


def read(pdf):
    return PdfReader(io.BytesIO(pdf.content))


def text_of(pdf):
    return "\n".join(page.extract_text() for page in read(pdf).pages)


def squeezed(text):
    """Without any white space: where a PDF breaks lines is not what is tested here."""
    return re.sub(r"[\s\u200b]+", "", text)


def by_hand(amount, language):
    thousands, mark = MARKS[language]
    return f"{amount:,}".replace(".", "#").replace(",", thousands).replace("#", mark)


def one_line(**changes):
    _, document = samples.priced(1, samples.terms())
    return replace(document, lines=(replace(document.lines[0], **changes),))


# --- the figures


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("language", MARKS)
def test_the_paper_shows_the_calculators_amounts_to_the_cent(language, inclusive):
    totals, document = samples.priced(
        12, samples.terms("EUR", tax_inclusive=inclusive), language=language
    )

    text = squeezed(text_of(render(document)))

    amounts = [totals.discount_amount, totals.total, totals.deposit_amount]
    amounts += [part for row in totals.tax_breakdown for part in (row.net, row.tax)]
    amounts += [part for one in totals.lines for part in (one.unit_price, one.line_total)]
    amounts += [one.discount_amount for one in totals.lines if one.discount_amount]
    assert len(amounts) > 30
    missing = [one for one in [totals.subtotal, *amounts] if by_hand(one, language) not in text]
    assert missing == []


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "1,234"), ("KWD", "1,234.000")])
def test_amounts_have_the_decimals_of_their_currency(currency, amount):
    totals = calculate([Line(D(1), D(1234))], Terms(currency))
    row = DocumentLine("Work", D(1), totals.lines[0].unit_price, totals.lines[0].line_total)

    text = text_of(render(samples.document(totals, [row], Terms(currency))))

    assert amount in text
    assert f"{amount}." not in text


def test_cost_and_markup_have_no_field_and_leave_no_trace():
    totals = calculate([Line(D(1), D("987.65"))], Terms("EUR", markup_rate=D("13.37")))
    row = DocumentLine("Work", D(1), totals.lines[0].unit_price, totals.lines[0].line_total)

    pdf = render(samples.document(totals, [row], Terms("EUR")))

    text = squeezed(text_of(pdf)).lower()
    assert "1,119.70" in text
    assert not [secret for secret in ("987", "13.37", "132.05", "markup", "cost") if secret in text]
    names = {
        field.name
        for kind in (QuoteDocument, DocumentLine, Company, Client)
        for field in fields(kind)
    }
    assert not [name for name in names if "cost" in name or "markup" in name]


def test_optional_lines_stand_apart_and_say_whether_they_count():
    _, document = samples.priced(10, samples.terms())

    text = text_of(render(document))

    options = text[text.index("Optional items") :]
    assert options.count("☑") == options.count("□") == 1
    assert "Selected, included in the total" in options
    assert "Not selected, not included in the total" in options
    assert options.count("Green waste disposal") == text.count("Green waste disposal") == 2


def test_each_choice_of_a_group_stands_apart_and_says_whether_it_counts():
    totals = calculate([Line(D(1), D(40))], Terms(currency="USD"))
    price = totals.lines[0].unit_price
    rows = [
        DocumentLine(f"Work {name}", D(1), price, price, optional=True, selected=name == "Better")
        for name in ("Good", "Better")
    ]
    rows = [replace(row, group="Lawn", choice=row.name.removeprefix("Work ")) for row in rows]

    text = text_of(render(samples.document(totals, rows, Terms(currency="USD"))))

    good, better = text.index("Lawn: Good"), text.index("Lawn: Better")
    assert good < text.index("Work Good") < better < text.index("Work Better")
    assert "Not selected, not included in the total" in text[good:better]
    assert "Selected, included in the total" in text[better:]
    assert "Not selected" not in text[better:]
    assert "Optional items" not in text


def test_a_single_rate_needs_no_column_and_no_tax_no_row():
    document = replace(one_line(tax_rate=D(0)), tax_breakdown=(), tax_amount=D(0))

    assert "Tax" not in text_of(render(document))


# --- state


def test_a_quote_without_a_number_says_that_it_is_a_draft():
    _, document = samples.priced(3, samples.terms(), language="de")

    draft = read(render(replace(document, number=None)))

    assert draft.pages[0].extract_text().count("Entwurf") == 1
    assert draft.pages[0].extract_text().count("ENTWURF") == 1
    assert "Entwurf" in draft.metadata.title
    assert "ENTWURF" not in text_of(render(document))
    assert "ENTWURF" in text_of(render(replace(document, draft=True)))


@pytest.mark.parametrize("watermark", [True, False])
def test_the_free_plan_is_named_on_every_page(watermark):
    _, document = samples.priced(40, samples.terms(), watermark=watermark)

    pages = read(render(document)).pages

    assert len(pages) > 1
    assert all(("Made with QuoteKit" in page.extract_text()) is watermark for page in pages)


# --- pages


def test_five_hundred_lines_fill_pages_that_repeat_the_header_and_are_counted():
    _, document = samples.priced(500, samples.terms())
    named = tuple(replace(line, name=f"Line {at:03}") for at, line in enumerate(document.lines))

    pdf = render(replace(document, lines=named))

    pages = [page.extract_text() for page in read(pdf).pages]
    assert pdf.pages == len(pages) > 15
    assert re.findall(r"Line \d{3}", "".join(pages)) == sorted(
        (line.name for line in named), key=lambda name: (int(name[5:]) % 5 == 4, name)
    )
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
        if "Line " in page:
            assert "Unit price" in page


@pytest.mark.parametrize(("language", "width"), [("en", 595), ("en-US", 612), ("de-AT", 595)])
def test_paper_is_a4_unless_the_region_prints_on_letter(language, width):
    box = read(render(replace(one_line(), language=language))).pages[0].mediabox

    assert int(box.width) == width


def test_paper_can_be_chosen():
    box = read(render(replace(one_line(), paper="us-letter"))).pages[0].mediabox

    assert (int(box.width), int(box.height)) == (612, 792)


# --- text somebody typed


HOSTILE = (
    '#set page(width: 1cm) #eval("1") $x^2$ \\u{41} \\ "quoted" `raw` *bold* _it_ @ref <label> '
    "// comment /* block */ = heading #panic() ]]] }}} ``` &amp; {name} %s"
)


@pytest.mark.parametrize("field", ["name", "description", "unit"])
def test_code_in_a_line_is_printed_as_text(field):
    assert squeezed(HOSTILE) in squeezed(text_of(render(one_line(**{field: HOSTILE}))))


@pytest.mark.parametrize("field", ["notes", "terms"])
def test_code_in_notes_and_terms_is_printed_as_text(field):
    assert squeezed(HOSTILE) in squeezed(text_of(render(replace(one_line(), **{field: HOSTILE}))))


def test_code_in_names_and_addresses_is_printed_as_text():
    document = one_line()
    company = replace(document.company, name=HOSTILE, address=HOSTILE, logo=None)
    client = replace(document.client, name=HOSTILE, address=HOSTILE)

    pdf = render(replace(document, company=company, client=client, number=HOSTILE))

    assert squeezed(text_of(pdf)).count(squeezed(HOSTILE)) == 6
    assert HOSTILE in read(pdf).metadata.title


def test_other_scripts_and_emoji_are_drawn():
    said = "Привет Ωμέγα שלום Երևան თბილისი 🌳 ☎ ₪"

    text = squeezed(text_of(render(one_line(name="Arbre", description=said))))

    for word in said.replace("שלום", "םולש").split():  # a PDF holds Hebrew as it is seen
        assert word in text or word[::-1] in text
    assert "□" not in text


def test_a_character_no_font_can_draw_becomes_a_box():
    assert "Tree □□ ok" in text_of(render(one_line(name="Tree 日本 ok")))


def test_control_and_direction_characters_do_not_reach_the_paper():
    typed = "a\x00b\x07c\u202e1.00\u202cd\ufeffe\ufffef\ud800g\r\nh\u2028i"

    text = text_of(render(one_line(name=typed)))

    assert "abc1.00def" in text
    assert not set(text) & set("\x00\x07\u202e\u202c\ufeff\ufffe")


def test_words_wider_than_their_column_are_broken_and_none_is_lost():
    lines = one_line(name="W" * 300, unit="M" * 40, description="i" * 400)
    wide = replace(lines, client=replace(lines.client, name="Q" * 200, address="Z" * 200))

    text = text_of(render(wide)).replace("\u200b", "")

    for letter, typed in {"W": 300, "Q": 200, "Z": 200}.items():
        runs = [len(run) for run in re.findall(f"{letter}{{4,}}", text)]
        assert sum(runs) == typed
        assert max(runs) < 40


def test_ordinary_words_are_left_whole():
    mail = "amelia.whitfield@mail.example"

    text = text_of(render(one_line(description=f"Write to {mail}")))

    assert text.count(mail) == 2
    assert "\u200b" not in text


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60), st.text(max_size=200), st.text(max_size=60))
def test_whatever_is_typed_is_printed(name, description, client):
    document = one_line(name=name, description=description)

    pdf = render(replace(document, client=replace(document.client, name=client), notes=description))

    assert pdf.pages >= 1
    assert "Page 1 of" in text_of(pdf)


# --- the file


def test_the_same_document_is_the_same_file_in_another_process():
    program = (
        "from tests.unit.quotes import samples; from quotekit.quotes.document import render;"
        "print(render(samples.priced(30, samples.terms())[1]).sha256)"
    )
    render(samples.priced(3, samples.terms("JPY"), language="fr")[1])

    here = render(samples.priced(30, samples.terms())[1])

    for seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'layers/shared'}", "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        )
        assert there.stdout.strip() == here.sha256
    assert hashlib.sha256(here.content).hexdigest() == here.sha256


def test_the_time_in_the_file_is_the_quotes_and_not_the_clocks():
    created = read(render(replace(one_line(), issued_on=date(2024, 2, 29)))).metadata.creation_date

    assert created == datetime(2024, 2, 29, tzinfo=UTC)


def test_the_file_is_tagged_for_readers_who_hear_it():
    document = replace(one_line(), language="de")

    reader = read(render(document))

    root = reader.trailer["/Root"]
    marked = root["/Metadata"].get_data().decode()
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "de-DE"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert "<pdfuaid:part>1</pdfuaid:part>" in marked
    assert reader.metadata.title == "Angebot Q-2026-0042 - Greenfield Garden Studio"
    kinds, alternatives = tags(root["/StructTreeRoot"])
    assert {"/H1", "/H2", "/Table", "/THead", "/TH", "/TD", "/Figure"} <= kinds
    assert alternatives == ["Logo von Greenfield Garden Studio"]


def tags(node):
    kinds, alternatives = set(), []
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if "/S" in node:
            kinds.add(node["/S"])
        if "/Alt" in node:
            alternatives.append(node["/Alt"])
        children = node.get("/K", [])
        children = children if isinstance(children, list) else [children]
        found = [child.get_object() for child in children]
        waiting += [child for child in found if isinstance(child, dict)]
    return kinds, alternatives


def test_every_font_is_in_the_file():
    _, document = samples.priced(3, samples.terms())
    line = replace(document.lines[0], name="Ελλάδα שלום مرحبا 🌳")

    reader = read(render(replace(document, lines=(line,))))

    faces = [
        face["/DescendantFonts"][0].get_object()
        for page in reader.pages
        for face in (font.get_object() for font in page["/Resources"]["/Font"].values())
    ]
    names = {face["/BaseFont"].split("+")[1] for face in faces}
    assert len({"/FontFile2", "/FontFile3"} & set().union(*(f["/FontDescriptor"] for f in faces)))
    assert all({"/FontFile2", "/FontFile3"} & set(face["/FontDescriptor"]) for face in faces)
    assert {name.split("-")[0] for name in names} == {
        "Inter",
        "NotoSansHebrew",
        "NotoSansArabic",
        "NotoEmoji",
    }


# --- the company's look


def test_the_logo_is_in_the_file_once():
    assert len(read(render(one_line())).pages[0].images) == 1


@pytest.mark.parametrize("size", [30, 60, 200])
def test_a_broken_logo_is_named(size):
    document = one_line()
    broken = replace(document.company, logo=samples.logo()[:size])

    with pytest.raises(LogoError):
        render(replace(document, company=broken))


@pytest.mark.parametrize("colour", ["#ffff00", "#ffffff", "#777777", "#000000", None, "red", "#12"])
def test_text_in_the_brands_colour_can_be_read(colour):
    document = one_line()

    content = read(render(replace(document, company=replace(document.company, colour=colour))))

    painted = re.findall(
        rb"([\d.]+) ([\d.]+) ([\d.]+) (?:scn|rg)", content.pages[0].get_contents().get_data()
    )
    inks = [tuple(float(part) for part in ink) for ink in painted]
    texts = [contrast(ink) for ink in inks[1:]]  # the first is the stripe, in the colour as given
    assert len(set(texts)) > 1
    assert min(texts) >= 4.5


def contrast(ink):
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in ink]
    return 1.05 / (
        sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
        + 0.05
    )


def test_typst_is_loaded_only_to_print():
    program = "import sys, quotekit.quotes.document; sys.exit('typst' in sys.modules)"

    assert (
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": str(ROOT / "layers/shared")},
            check=False,
        ).returncode
        == 0
    )
