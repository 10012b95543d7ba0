"""The officer's page says what the program does."""

from __future__ import annotations

import pytest

from tests.support.officer import PAGE, rewritten, tables


def test_the_pages_tables_are_the_programs() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert rewritten(page) == page, "python -m tests.support.officer"


def test_every_cell_has_words() -> None:
    """A key without words is said as itself."""
    assert "activity." not in "".join(tables().values())
    assert "condition." not in "".join(tables().values())
    assert "moment." not in "".join(tables().values())


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table lights-fr"):
        rewritten("")
