"""Best response: every user takes what is cheapest at the prices of the last allocation."""

import numpy as np

from dtkd_opt.methods.search import Search
from dtkd_opt.pricing.equal_shares import equal_share_choice
from dtkd_opt.pricing.lagrangian import price
from dtkd_opt.records.fields import Count, Record
from dtkd_opt.records.solution import Termination


class BestResponse(Record):
    """`best-response`: its fields are its settings, checked wherever they are given."""

    rounds: Count = 20

    def __call__(self, search: Search, seed: int) -> Termination:
        """Some rounds, or until nobody changes; the search keeps the best plan and its bound."""
        options, choice = search.options, equal_share_choice(search.options)
        for _ in range(search.stop.iterations or self.rounds):
            search.check_time()
            value = search.try_incumbent(choice).prices * options.capacity
            value = np.maximum(value, 1e-6 * value.sum() + 1e-9)  # unused pools are not free
            response = price(options, value / options.capacity).choice
            if np.array_equal(response, choice):
                break
            choice = response
        return "heuristic_end"
