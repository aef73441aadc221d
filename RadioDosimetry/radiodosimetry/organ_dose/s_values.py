"""S-values of a stylised adult."""

from __future__ import annotations

from .s_value_table import SValueTable, read_s_values, s_values_csv, s_values_record_json

__all__ = ["SValueTable", "read_s_values", "s_values_csv", "s_values_record_json"]
