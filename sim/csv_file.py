"""Tables as CSV files that a spreadsheet opens as data: no cell of text is taken for a formula."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pandas.api.types import is_numeric_dtype

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table without its index, as UTF-8; text that begins like a formula has a `'` before it.

    Numbers stay numbers, negative ones too. The names of columns are treated like text.

    Raises:
        OSError: it cannot be written there.
    """
    columns = {
        _as_data(name): column if is_numeric_dtype(column) else column.map(_as_data) for name, column in frame.items()
    }
    pd.DataFrame(columns).to_csv(path, index=False)


def _as_data(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
