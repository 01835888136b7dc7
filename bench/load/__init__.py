"""A population for trials and measurements: patients, and what hospitals share of them.

Nothing here is of a real person, and nothing is random: the same numbers and seed give the same.
"""
