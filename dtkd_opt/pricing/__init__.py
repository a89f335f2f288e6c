"""What prices of the pools tell: bounds, responses, allocations.

`uplink` is the universal curve of uploads, `response` what options buy at given prices,
`lagrangian` the bound that prices prove, `bundle` (with `masters`) the best prices, `allocation`
(with `constrained_allocation`) the best shares of a fixed choice, `equal_shares` a first choice and
first prices. Import from these modules: `bundle` loads solvers, the others do not.
"""
