"""Views beside the panel: slices, charts and tables, drawn by Slicer's own slice logic and displayable managers."""
