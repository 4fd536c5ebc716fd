"""What may reach the paper, character by character."""

import unicodedata

import pytest

from quotekit.quotes.glyphs import SUBSTITUTE, covered, printable


def test_letters_of_the_five_languages_and_their_signs_are_drawn():
    letters = "aäàáâãçéèêëíïñóôõöúüœæßÄÖÜ€£¥$%§«»„“”’…–—•·×−½²³°№✓☑□"  # noqa: RUF001

    assert printable(letters) == letters


def test_scripts_of_the_shipped_fonts_are_drawn():
    names = "Привет Ωμέγα שלום مرحبا देवनागरी ไทย Երևան თბილისი 🌳"

    assert printable(names) == names


def test_a_letter_and_its_mark_become_one_character():
    assert printable("e\u0301") == "é"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_every_line_end_is_one(end):
    assert printable(f"a{end}b") == "a\nb"


def test_no_control_or_direction_character_is_left_even_where_a_font_has_it():
    others = [point for point in range(0x110000) if unicodedata.category(chr(point)) == "Cc"]
    directions = [0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069, 0xFEFF]
    line_ends = "\t\n\v\f\r\x85"

    hidden = "".join(chr(point) for point in others + directions if chr(point) not in line_ends)

    assert covered() & {ord(one) for one in hidden}
    assert printable(hidden) == ""


def test_what_no_font_has_becomes_a_box_or_nothing():
    assert printable("日") == SUBSTITUTE
    assert printable("\ud800") == SUBSTITUTE
    assert printable("\U000e0041") == ""


def test_the_box_itself_can_be_drawn():
    assert ord(SUBSTITUTE) in covered()
