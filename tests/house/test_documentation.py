"""What the README must say, and the size a door may have."""

import ast
import re
from pathlib import Path

import pytest

from quotekit import errors
from quotekit.settings import documented

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOORS = sorted((ROOT / "functions").glob("*/app.py"))
MODULES = sorted(
    path for root in ("layers/shared", "local") for path in (ROOT / root).rglob("*.py")
)


@pytest.mark.parametrize("setting", list(documented()), ids=lambda setting: setting.variable)
def test_every_setting_is_in_the_readme_with_its_default(setting) -> None:
    row = f"| `{setting.variable}` | {setting.default} | {setting.description} |"

    assert row in README


def test_every_error_code_is_in_the_readme_with_its_status() -> None:
    tree: list[type[errors.QuoteKitError]] = [errors.QuoteKitError]
    tree += errors.QuoteKitError.__subclasses__()

    missing = [e.code for e in tree if f"{e.code} | {e.status.value}" not in README]

    assert missing == []


SHOWN = re.findall(r"\[(test_\w+)\]\((tests/[\w/]+\.py)\)", README)


def test_each_row_beside_other_tools_names_a_test() -> None:
    section = README.partition("## Beside other tools")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]

    assert len(rows) == len(SHOWN) > 10


@pytest.mark.parametrize(("name", "file"), SHOWN)
def test_the_test_that_the_readme_names_is_there(name: str, file: str) -> None:
    assert re.search(rf"^(    )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


PAGES = [
    path
    for pattern in ("*.md", "*/README.md", "bench/*.md", "docs/**/*.md")
    for path in sorted(ROOT.glob(pattern))
    if not path.relative_to(ROOT).parts[0].startswith(".")
]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]+)?\)")


def anchors(page: Path) -> set[str]:
    """Where a link may lead on a page, as GitHub names its headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = [re.sub(r"[^\w -]", "", heading.strip().lower()) for heading in headings]
    return {f"#{heading.replace(' ', '-')}" for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        there = page.parent / path if path else page
        assert there.exists(), path
        assert anchor == "" or there.suffix != ".md" or anchor in anchors(there), (path, anchor)


@pytest.mark.parametrize("door", DOORS, ids=lambda path: path.parent.name)
def test_a_door_has_one_shape(door: Path) -> None:
    source = door.read_text()
    tree = ast.parse(source)

    assert len(source.splitlines()) <= 120
    assert ast.get_docstring(tree), "says its trigger"
    last = tree.body[-1]
    assert isinstance(last, ast.FunctionDef)
    assert last.name == "lambda_handler"
    decorators = [ast.unparse(decorator) for decorator in last.decorator_list]
    assert [name.partition("(")[0] for name in decorators] == [
        "logger.inject_lambda_context",
        "metrics.log_metrics",
    ]


@pytest.mark.parametrize("door", DOORS, ids=lambda path: path.parent.name)
def test_a_door_imports_the_house_and_libraries_only(door: Path) -> None:
    allowed = {"app.py", "requirements.txt", "Makefile", "__pycache__"}

    assert {path.name for path in door.parent.iterdir()} <= allowed


def test_modules_and_functions_keep_to_their_size() -> None:
    long_modules = [
        str(path.relative_to(ROOT)) for path in MODULES if len(path.read_text().splitlines()) > 300
    ]
    long_functions = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in [*MODULES, *DOORS]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and length(node) > 40
    ]

    assert long_modules == []
    assert long_functions == []


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring and signature."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
