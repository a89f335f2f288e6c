"""The contents of files: validated records in SI units, their JSON and Parquet forms, schemas.

An instance (`instance`, with `elements`, `users` and `accuracy`), a plan (`plan`), a solution
(`solution`), a certificate (`certificate`) and a calibration (`calibration`); `fields` has the
types of their values, `columns` many records as arrays, `files` and `parquet` how they are read and
written, `schema` their JSON Schemas, `outputs` the checks before a file is written. Everything else
in the package builds on these; they need nothing but `errors`.
"""
