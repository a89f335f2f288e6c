"""Reports for people: `summary` prints a result as tables, `figures` is the style of figures."""
