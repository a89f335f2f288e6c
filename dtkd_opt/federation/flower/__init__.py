"""Flower as the engine of a federation: each user is a client of its own.

Clients are SuperNodes, processes of this machine around a SuperLink, or those of Flower's
simulation engine (Ray); both run the same app through the same SuperLink. Flower is used as its
documentation says: by the commands `flower-superlink`, `flower-supernode`, `flower-superexec` and
`flwr run`, and by the packages `flwr.app`, `flwr.serverapp` and `flwr.clientapp`. Others use
:func:`dtkd_opt.federation.flower.engine.flower`.
"""
