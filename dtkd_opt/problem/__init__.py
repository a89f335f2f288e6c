"""What a plan costs: equations, options, evaluation, random instances.

`physics` has the equations, `demands` the loads of each choice, `options` the admissible
choices of all users as arrays, `evaluate` the true figures of a plan, `generate` random instances,
`dominance` and `server_ranking` what follows from the options alone.
"""
