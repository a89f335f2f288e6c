"""The methods, by name; all are called as method(search, seed, params)."""
