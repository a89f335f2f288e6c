"""Words, tables and figures for people, made from records.

For others: :mod:`summary` (tables of a solution, the live line of long work) and :mod:`figures`.
"""
