"""Tools beside the server: check, accuracy, bench, export-triton. Each prints a table or JSON."""
