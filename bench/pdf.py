"""One quote printed by QuoteKit and by three other libraries: `python bench/pdf.py`.

Each engine lives in a process of its own. Cold is import and first document together; then all
engines print in turn, and no document says the same as another, so that no cache answers.
Everyone is given finished strings except QuoteKit, which prices the lines and formats its figures;
QuoteKit alone writes a tagged file.
"""

import itertools
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
PEERS: Final = ROOT / ".local/tools/bench/bin/python"
FONTS: Final = ROOT / "layers/shared/quotekit/quotes/print/fonts"
SIZES: Final = (5, 25, 100)
ROUNDS: Final = 15
COLUMNS: Final = ("Description", "Quantity", "Unit price", "Tax", "Amount")
COMPANY: Final = ("Greenfield Garden Studio", "14 Orchard Lane, Portland, OR 97205")
CLIENT: Final = ("Amelia Whitfield", "882 Riverside Drive, Portland, OR 97219")
TERMS: Final = (
    "Payment within 14 days of the invoice. Plants carry a one-year growth guarantee. " * 3
)

type Print = Callable[[int], bytes]


def rows(count: int, variant: int) -> list[tuple[str, str, int, int]]:
    """Name, description, quantity and unit price in cents."""
    return [
        (
            f"Work {variant}-{at}",
            f"Scarify, aerate and overseed section {at} of garden {variant}, clippings taken away",
            at + 2,
            1999 + 37 * at + variant,
        )
        for at in range(count)
    ]


def money(cents: int) -> str:
    return f"€{cents / 100:,.2f}"


def table(count: int, variant: int) -> tuple[list[list[str]], list[tuple[str, str]]]:
    lines = rows(count, variant)
    subtotal = sum(quantity * price for _, _, quantity, price in lines)
    tax = round(subtotal * 0.19)
    body = [
        [name, text, str(quantity), money(price), "19%", money(quantity * price)]
        for name, text, quantity, price in lines
    ]
    totals = [("Subtotal", subtotal), ("Tax 19%", tax), ("Total", subtotal + tax)]
    return body, [(name, money(cents)) for name, cents in totals]


# --- the engines


def quotekit(count: int) -> Print:
    sys.path.insert(0, str(ROOT / "layers/shared"))
    from datetime import date
    from decimal import Decimal

    from quotekit.quotes.document import Client, Company, DocumentLine, QuoteDocument, render
    from quotekit.quotes.pricing import Line, Terms, calculate

    def print_one(variant: int) -> bytes:
        lines = rows(count, variant)
        priced = calculate(
            [Line(Decimal(quantity), Decimal(price) / 100) for _, _, quantity, price in lines],
            Terms("EUR", tax_rate=Decimal(19)),
        )
        said = tuple(
            DocumentLine(name, Decimal(quantity), one.unit_price, one.line_total, text)
            for (name, text, quantity, _), one in zip(lines, priced.lines, strict=True)
        )
        return render(
            QuoteDocument(
                company=Company(*COMPANY),
                client=Client(*CLIENT),
                number=f"Q-2026-{variant:04}",
                issued_on=date(2026, 3, 2),
                valid_until=date(2026, 4, 1),
                currency="EUR",
                language="en",
                lines=said,
                subtotal=priced.subtotal,
                discount_amount=priced.discount_amount,
                tax_amount=priced.tax_amount,
                total=priced.total,
                tax_breakdown=priced.tax_breakdown,
                terms=TERMS,
            )
        ).content

    return print_one


def weasyprint(count: int) -> Print:
    from weasyprint import CSS, HTML
    from weasyprint.text.fonts import FontConfiguration

    fonts = FontConfiguration()
    style = CSS(
        string=f"""
        @font-face {{ font-family: Inter; src: url(file://{FONTS}/Inter-Regular.otf) }}
        @font-face {{ font-family: Inter; font-weight: 600;
                      src: url(file://{FONTS}/Inter-SemiBold.otf) }}
        @page {{ size: A4; margin: 18mm 20mm 22mm;
                 @bottom-right {{ content: "Page " counter(page) " of " counter(pages) }} }}
        body {{ font: 9.5pt Inter }} table {{ width: 100%; border-collapse: collapse }}
        td, th {{ padding: 2mm 0; border-bottom: .5pt solid #d8dde3; text-align: right }}
        td:first-child, th:first-child {{ text-align: left }} small {{ color: #5b6470 }}
        """,
        font_config=fonts,
    )

    def print_one(variant: int) -> bytes:
        body, totals = table(count, variant)
        head = "".join(f"<th>{name}</th>" for name in COLUMNS)
        lines = "".join(
            f"<tr><td><b>{name}</b><br><small>{text}</small></td>"
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
            for name, text, *cells in body
        )
        ends = "".join(f"<tr><td>{name}</td><td>{amount}</td></tr>" for name, amount in totals)
        page = (
            f"<h1>Quote Q-2026-{variant:04}</h1><p><b>{COMPANY[0]}</b><br>{COMPANY[1]}"
            f"<p><b>{CLIENT[0]}</b><br>{CLIENT[1]}<table><thead><tr>{head}</tr></thead>"
            f"<tbody>{lines}</tbody></table><table>{ends}</table><h2>Terms</h2><p>{TERMS}"
        )
        content: bytes = HTML(string=page).write_pdf(stylesheets=[style], font_config=fonts)
        return content

    return print_one


def reportlab(count: int) -> Print:
    import io

    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase.pdfmetrics import registerFont, registerFontFamily
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

    registerFont(TTFont("Vera", "Vera.ttf"))  # ReportLab cannot embed Inter, a CFF font
    registerFont(TTFont("VeraBd", "VeraBd.ttf"))
    registerFontFamily("Vera", normal="Vera", bold="VeraBd", italic="Vera", boldItalic="VeraBd")
    plain = ParagraphStyle("plain", fontName="Vera", fontSize=9, leading=12)
    title = ParagraphStyle("title", fontName="VeraBd", fontSize=20, leading=26)
    style = [
        ("FONT", (0, 0), (-1, -1), "Vera", 9),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, colors.lightgrey),
        ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]

    def number(canvas: Any, document: Any) -> None:
        canvas.setFont("Vera", 7.5)
        canvas.drawRightString(538, 40, f"Page {document.page}")

    def print_one(variant: int) -> bytes:
        body, totals = table(count, variant)
        lines = [
            (Paragraph(f"<b>{name}</b><br/><font size='8'>{text}</font>", plain), *cells)
            for name, text, *cells in body
        ]
        buffer = io.BytesIO()
        SimpleDocTemplate(buffer, pagesize=A4, leftMargin=57, rightMargin=57).build(
            [
                Paragraph(f"Quote Q-2026-{variant:04}", title),
                Paragraph("<br/>".join(COMPANY), plain),
                Paragraph("<br/>".join(CLIENT), plain),
                Table(
                    [COLUMNS, *lines], repeatRows=1, style=style, colWidths=[220, 60, 70, 50, 80]
                ),
                Table(totals, style=style, hAlign="RIGHT"),
                Paragraph("Terms", title),
                Paragraph(TERMS, plain),
            ],
            onFirstPage=number,
            onLaterPages=number,
        )
        return buffer.getvalue()

    return print_one


def fpdf2(count: int) -> Print:
    from fpdf import FPDF
    from fpdf.fonts import FontFace

    class Sheet(FPDF):  # type: ignore[misc]
        def footer(self) -> None:
            self.set_y(-15)
            self.set_font("Inter", size=7.5)
            self.cell(0, 8, f"Page {self.page_no()} of {{nb}}", align="R")

    def print_one(variant: int) -> bytes:
        body, totals = table(count, variant)
        sheet = Sheet()
        sheet.add_font("Inter", "", FONTS / "Inter-Regular.otf")
        sheet.add_font("Inter", "B", FONTS / "Inter-SemiBold.otf")
        sheet.add_page()
        sheet.set_font("Inter", "B", 20)
        sheet.cell(0, 12, f"Quote Q-2026-{variant:04}", new_x="LMARGIN", new_y="NEXT")
        sheet.set_font("Inter", size=9)
        sheet.multi_cell(0, 5, "\n".join((*COMPANY, *CLIENT)), new_x="LMARGIN", new_y="NEXT")
        widths, align = (90, 20, 27, 18, 30), ("L", "R", "R", "R", "R")
        with sheet.table(
            col_widths=widths,
            text_align=align,
            borders_layout="HORIZONTAL_LINES",
            line_height=5,
            headings_style=FontFace(emphasis="BOLD"),
        ) as grid:
            grid.row(COLUMNS)
            for name, text, *cells in body:
                grid.row((f"{name}\n{text}", *cells))
        for name, amount in totals:
            sheet.cell(0, 6, f"{name}   {amount}", align="R", new_x="LMARGIN", new_y="NEXT")
        sheet.multi_cell(0, 5, f"Terms\n{TERMS}")
        return bytes(sheet.output())

    return print_one


ENGINES: Final = {
    "QuoteKit": (quotekit, Path(sys.executable)),
    "ReportLab": (reportlab, PEERS),
    "WeasyPrint": (weasyprint, PEERS),
    "fpdf2": (fpdf2, PEERS),
}


# --- measuring


def work(engine: str, count: int) -> None:
    """Answer each number on stdin with the time and size of that document."""
    began = time.perf_counter()
    print_one = ENGINES[engine][0](count)
    for request in itertools.chain(["0"], iter(sys.stdin.readline, "")):
        at = began if request == "0" else time.perf_counter()
        content = print_one(int(request))
        took = (time.perf_counter() - at) * 1000
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps([took, len(content), peak]), flush=True)


class Worker:
    def __init__(self, engine: str, count: int) -> None:
        self.process = subprocess.Popen(
            [ENGINES[engine][1], __file__, engine, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.times: list[float] = []
        self.size = self.peak = 0

    def read(self) -> float | None:
        """How long the document took in ms; None when the engine has died."""
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            return None
        took, self.size, self.peak = json.loads(answer)
        return float(took)

    def ask(self, variant: int) -> None:
        assert self.process.stdin is not None
        print(variant, file=self.process.stdin, flush=True)
        took = self.read()
        assert took is not None, "an engine ended in the middle"
        self.times.append(took)

    def stop(self) -> str:
        _, complaint = self.process.communicate()
        return complaint.strip().rpartition("\n")[2]


def measure(count: int) -> None:
    workers, cold = {}, {}
    for engine in ENGINES:
        worker = Worker(engine, count)
        first = worker.read()
        if first is None:
            print(f"| {count} | {engine} | skipped: {worker.stop()[:80]} | | | | |")
        else:
            workers[engine], cold[engine] = worker, first
    for turn in range(1, ROUNDS + 1):
        for worker in workers.values():
            worker.ask(turn)
    ours = statistics.median(workers["QuoteKit"].times)
    for engine, worker in workers.items():
        worker.stop()
        warm = statistics.median(worker.times)
        print(
            f"| {count} | {engine} | {cold[engine]:.0f} | {warm:.1f} | {warm / ours:.1f} "
            f"| {worker.size // 1024} | {worker.peak} |"
        )


def main() -> None:
    print(
        f"Python {platform.python_version()}, {platform.machine()}, {ROUNDS} interleaved rounds\n"
    )
    print("| lines | engine | cold ms | warm ms (median) | ratio to QuoteKit | KiB | peak RSS MB |")
    print("|---|---|---|---|---|---|---|")
    for count in SIZES:
        measure(count)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        work(sys.argv[1], int(sys.argv[2]))
    else:
        main()
