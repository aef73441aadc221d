"""Organ doses: stylised adults, S-values, MIRD sums and effective dose."""

from .s_value_table import SValueTable, read_s_values, s_values_csv

__all__ = ["SValueTable", "read_s_values", "s_values_csv"]
