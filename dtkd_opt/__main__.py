"""`python -m dtkd_opt` is the command `dtkd-opt`."""

from dtkd_opt.commands.main import main

main()
