"""Tables as CSV files that a spreadsheet opens as data: no cell of text is taken for a formula."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pandas.api.types import is_numeric_dtype

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    r"""Write a table without its index, as UTF-8; text that begins like a formula has a `'` before it.

    Numbers stay numbers, negative ones too. The names of columns are treated like text. Every line break in a text is
    `\n`.

    Raises:
        OSError: it cannot be written there.
    """
    columns = {
        _as_data(name): column if is_numeric_dtype(column) else column.map(_as_data) for name, column in frame.items()
    }
    pd.DataFrame(columns).to_csv(path, index=False)


def _as_data(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    told = f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
    return told.replace("\r\n", "\n").replace("\r", "\n")  # a lone \r is not quoted, and would begin a row
