"""Chapter 9: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "forecast": [
        # hours
        """
def forecast(speed, minutes, corpus, mask_rate):
    tokens = speed * minutes * 3600
    return tokens / corpus, tokens * mask_rate
""",
        # minutes taken for seconds
        """
def forecast(speed, minutes, corpus, mask_rate):
    tokens = speed * minutes
    return tokens / corpus, tokens * mask_rate
""",
        # upside down
        """
def forecast(speed, minutes, corpus, mask_rate):
    tokens = speed * minutes * 60
    return corpus / tokens, tokens * mask_rate
""",
        # whole passes only
        """
def forecast(speed, minutes, corpus, mask_rate):
    tokens = speed * minutes * 60
    return tokens // corpus, tokens * mask_rate
""",
        # labels of one pass
        """
def forecast(speed, minutes, corpus, mask_rate):
    tokens = speed * minutes * 60
    return tokens / corpus, corpus * mask_rate
""",
        # what stays in sight
        """
def forecast(speed, minutes, corpus, mask_rate):
    tokens = speed * minutes * 60
    return tokens / corpus, tokens * (1 - mask_rate)
""",
        # the released rate, whatever is given
        """
def forecast(speed, minutes, corpus, mask_rate):
    tokens = speed * minutes * 60
    return tokens / corpus, tokens * 0.15
""",
        # the other way round
        """
def forecast(speed, minutes, corpus, mask_rate):
    tokens = speed * minutes * 60
    return tokens * mask_rate, tokens / corpus
""",
    ],
    "find_learning_rate": [
        # the best of the three, though it may lie at an end
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    scores = {}
    for rate in (first / factor, first, first * factor):
        losses = [short_run(rate, seed) for seed in range(seeds)]
        losses = sorted(x if x == x else float("inf") for x in losses)
        scores[rate] = losses[seeds // 2]
    return min(scores, key=scores.get)
""",
        # one seed
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    scores = {}
    def score(rate):
        loss = short_run(rate, 0)
        scores[rate] = loss if loss == loss else float("inf")
    for rate in (first / factor, first, first * factor):
        score(rate)
    while True:
        rates = sorted(scores)
        best = min(rates, key=scores.get)
        if best == rates[0]:
            score(best / factor)
        elif best == rates[-1]:
            score(best * factor)
        else:
            return best
""",
        # no number passes for the lowest one
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    scores = {}
    def score(rate):
        losses = sorted(short_run(rate, seed) for seed in range(seeds))
        scores[rate] = losses[seeds // 2]
    for rate in (first / factor, first, first * factor):
        score(rate)
    for _ in range(20):
        rates = sorted(scores)
        best = rates[0]
        for rate in rates:
            if not scores[rate] >= scores[best]:
                best = rate
        if best == rates[0]:
            score(best / factor)
        elif best == rates[-1]:
            score(best * factor)
        else:
            return best
    return best
""",
        # a single lucky run decides
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    scores = {}
    def score(rate):
        losses = [short_run(rate, seed) for seed in range(seeds)]
        scores[rate] = min([x for x in losses if x == x] or [float("inf")])
    for rate in (first / factor, first, first * factor):
        score(rate)
    rates = sorted(scores)
    return min(rates, key=scores.get)
""",
        # goes on upwards only
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    scores = {}
    def score(rate):
        losses = [short_run(rate, seed) for seed in range(seeds)]
        losses = sorted(x if x == x else float("inf") for x in losses)
        scores[rate] = losses[seeds // 2]
    for rate in (first / factor, first, first * factor):
        score(rate)
    while min(scores, key=scores.get) == max(scores):
        score(max(scores) * factor)
    return min(scores, key=scores.get)
""",
        # goes on downwards only
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    scores = {}
    def score(rate):
        losses = [short_run(rate, seed) for seed in range(seeds)]
        losses = sorted(x if x == x else float("inf") for x in losses)
        scores[rate] = losses[seeds // 2]
    for rate in (first / factor, first, first * factor):
        score(rate)
    while min(sorted(scores), key=scores.get) == min(scores):
        score(min(scores) / factor)
    return min(scores, key=scores.get)
""",
        # all rates are run anew each time
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    def score(rate):
        losses = [short_run(rate, seed) for seed in range(seeds)]
        losses = sorted(x if x == x else float("inf") for x in losses)
        return losses[seeds // 2]
    while True:
        rates = [first / factor, first, first * factor]
        scores = [score(rate) for rate in rates]
        best = scores.index(min(scores))
        if best == 1:
            return first
        first = rates[best]
""",
        # the highest rate that does not diverge
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    rate = first
    for _ in range(20):
        losses = [short_run(rate, seed) for seed in range(seeds)]
        if all(x == x and x < 20 for x in losses):
            rate = rate * factor
        else:
            return rate / factor
    return rate
""",
        # the mean, which one unlucky run decides
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    scores = {}
    def score(rate):
        losses = [short_run(rate, seed) for seed in range(seeds)]
        losses = [x if x < float("inf") else float("inf") for x in losses]
        scores[rate] = sum(losses) / seeds
    for rate in (first / factor, first, first * factor):
        score(rate)
    for _ in range(20):
        rates = sorted(scores)
        best = min(rates, key=scores.get)
        if best == rates[0]:
            score(best / factor)
        elif best == rates[-1]:
            score(best * factor)
        else:
            return best
    return best
""",
        # the best seed of each rate
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    scores = {}
    def score(rate):
        losses = [short_run(rate, seed) for seed in range(seeds)]
        losses = [x if x < float("inf") else float("inf") for x in losses]
        scores[rate] = min(losses)
    for rate in (first / factor, first, first * factor):
        score(rate)
    for _ in range(20):
        rates = sorted(scores)
        best = min(rates, key=scores.get)
        if best == rates[0]:
            score(best / factor)
        elif best == rates[-1]:
            score(best * factor)
        else:
            return best
    return best
""",
        # the worst seed of each rate
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    scores = {}
    def score(rate):
        losses = [short_run(rate, seed) for seed in range(seeds)]
        losses = [x if x < float("inf") else float("inf") for x in losses]
        scores[rate] = max(losses)
    for rate in (first / factor, first, first * factor):
        score(rate)
    for _ in range(20):
        rates = sorted(scores)
        best = min(rates, key=scores.get)
        if best == rates[0]:
            score(best / factor)
        elif best == rates[-1]:
            score(best * factor)
        else:
            return best
    return best
""",
        # runs that broke are left out of the median
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    scores = {}
    def score(rate):
        losses = [short_run(rate, seed) for seed in range(seeds)]
        losses = sorted(x for x in losses if x < float("inf"))
        scores[rate] = losses[len(losses) // 2] if losses else float("inf")
    for rate in (first / factor, first, first * factor):
        score(rate)
    for _ in range(20):
        rates = sorted(scores)
        best = min(rates, key=scores.get)
        if best == rates[0]:
            score(best / factor)
        elif best == rates[-1]:
            score(best * factor)
        else:
            return best
    return best
""",
    ],
    "one_change": [
        # the second goes on with the model of the first
        """
def one_change(texts, config, base, name, value):
    first = run.start_run(texts, base, config, settings=settings, evaluations=1).run()
    cards = [first.card()]
    how = base.replace(**{name: value})
    second = run.start_run(texts, how, config, settings=settings, evaluations=1,
                           model=first.model).run()
    return [*cards, second.card()]
""",
        # another seed, too
        """
def one_change(texts, config, base, name, value):
    cards = []
    for number, how in enumerate((base, base.replace(**{name: value}))):
        how = how.replace(seed=base.seed + number)
        trained = run.start_run(texts, how, config, settings=settings, evaluations=1)
        cards.append(trained.run().card())
    return cards
""",
        # the change is forgotten
        """
def one_change(texts, config, base, name, value):
    cards = []
    for _ in range(2):
        trained = run.start_run(texts, base, config, settings=settings, evaluations=1)
        cards.append(trained.run().card())
    return cards
""",
        # one card
        """
def one_change(texts, config, base, name, value):
    how = base.replace(**{name: value})
    trained = run.start_run(texts, how, config, settings=settings, evaluations=1)
    return [trained.run().card()]
""",
        # nothing is trained
        """
def one_change(texts, config, base, name, value):
    cards = []
    for how in (base, base.replace(**{name: value})):
        trained = run.start_run(texts, how, config, settings=settings, evaluations=1)
        trained.evaluate()
        cards.append(trained.card())
    return cards
""",
        # both are changed
        """
def one_change(texts, config, base, name, value):
    cards = []
    for _ in range(2):
        how = base.replace(**{name: value})
        trained = run.start_run(texts, how, config, settings=settings, evaluations=1)
        cards.append(trained.run().card())
    return cards
""",
        # the changed one first
        """
def one_change(texts, config, base, name, value):
    cards = []
    for how in (base.replace(**{name: value}), base):
        trained = run.start_run(texts, how, config, settings=settings, evaluations=1)
        cards.append(trained.run().card())
    return cards
""",
        # the changed one is trained for longer
        """
def one_change(texts, config, base, name, value):
    cards = []
    for number, how in enumerate((base, base.replace(**{name: value}))):
        how = how.replace(steps=base.steps + number)
        trained = run.start_run(texts, how, config, settings=settings, evaluations=1)
        cards.append(trained.run().card())
    return cards
""",
        # nothing is held out, so nothing is known of unseen texts
        """
def one_change(texts, config, base, name, value):
    cards = []
    for how in (base, base.replace(**{name: value})):
        alone = texts._replace(held_out=None)
        trained = run.start_run(alone, how, config, settings=settings, evaluations=1)
        cards.append(trained.run().card())
    return cards
""",
    ],
}

# 0-based: those that the visible checks do not see.
PASS_THE_VISIBLE_CHECK = {}
