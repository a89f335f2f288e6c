"""The commands of the command line, one file a subject; `dtkd_opt.cli` puts them together."""
