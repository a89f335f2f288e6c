"""The methods: one file and one signature each, one way to run them, one result.

`solve` runs a method by the rules of `stop` and makes its `result`; `search` is what a method works
on; `registry` has the methods by name, and `settings` those of a file. The methods themselves
(`price`, `exact`, …) load solvers and are imported on first use.
"""
