"""How long work runs: jobs in processes or on Dask, a journal of their rows, signals, threads.

`workers` yields what runs jobs, `Journal` keeps their rows on disk, `run_pending` runs those that
have none yet; `KeepOnCtrlC` keeps what was found, `one_thread` fixes the order of torch's sums and
`torch_seed` its random numbers.
"""
