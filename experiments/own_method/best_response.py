"""Best response: every user takes what is cheapest at the prices of the last allocation."""

import numpy as np

import dtkd_opt as do
from dtkd_opt.records.fields import Count


class BestResponse(do.Record):
    """`best-response`: its fields are its settings, checked wherever they are given."""

    rounds: Count = 20

    def __call__(self, search: do.Search, seed: int) -> do.Termination:
        """Some rounds, or until nobody changes; the search keeps the best plan and its bound."""
        options, choice = search.options, do.equal_share_choice(search.options)
        for _ in range(search.stop.iterations or self.rounds):
            search.check_time()
            value = search.try_incumbent(choice).prices * options.capacity
            value = np.maximum(value, 1e-6 * value.sum() + 1e-9)  # unused pools are not free
            response = do.price(options, value / options.capacity).choice
            if np.array_equal(response, choice):
                break
            choice = response
        return "heuristic_end"
