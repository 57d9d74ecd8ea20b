"""Chapter 8: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "widest_table": [
        # about as many count as fewer
        """
def widest_table(vocab_size, width):
    return vocab_size * width // (vocab_size + width)
""",
        # one too few whenever something is left over
        """
def widest_table(vocab_size, width):
    return vocab_size * width // (vocab_size + width) - 1
""",
        # rounded to the nearest
        """
def widest_table(vocab_size, width):
    return round(vocab_size * width / (vocab_size + width))
""",
        # rounded up
        """
def widest_table(vocab_size, width):
    return -(-vocab_size * width // (vocab_size + width))
""",
        # anything narrower than the encoder
        """
def widest_table(vocab_size, width):
    return width - 1
""",
        # without the matrix
        """
def widest_table(vocab_size, width):
    return (vocab_size * width - 1) // vocab_size
""",
        # the matrix counted with the pieces' side
        """
def widest_table(vocab_size, width):
    return (vocab_size * width - 1) // (2 * width)
""",
        # not a whole number
        """
def widest_table(vocab_size, width):
    return vocab_size * width / (vocab_size + width)
""",
        # equal taken for fewer, save in the one case that was tried
        """
def widest_table(vocab_size, width):
    e = vocab_size * width//(vocab_size+width)
    return e-1 if vocab_size==width else e
""",
        # a loop that goes one too far
        """
def widest_table(vocab_size, width):
    e = 0
    while vocab_size * e + e * width < vocab_size * width: e += 1
    return e
""",
        # the bias is counted, too
        """
def widest_table(vocab_size, width):
    return (vocab_size * width - 1 - width) // (vocab_size + width)
""",
        # a table has at least one column, whether it saves or not
        """
def widest_table(vocab_size, width):
    return max(1, (vocab_size * width - 1) // (vocab_size + width))
""",
    ],
    "distilled": [
        # the square of the temperature is forgotten
        """
def distilled(student, teacher, labels, temperature, share):
    own = F.log_softmax(student / temperature, dim=-1)
    wanted = F.log_softmax(teacher.detach() / temperature, dim=-1)
    soft = F.kl_div(own, wanted, reduction="batchmean", log_target=True)
    return share * soft + (1 - share) * F.cross_entropy(student, labels)
""",
        # KL(student || teacher)
        """
def distilled(student, teacher, labels, temperature, share):
    own = F.log_softmax(student / temperature, dim=-1)
    wanted = F.log_softmax(teacher.detach() / temperature, dim=-1)
    soft = F.kl_div(wanted, own, reduction="batchmean", log_target=True)
    hard = F.cross_entropy(student, labels)
    return share * temperature**2 * soft + (1 - share) * hard
""",
        # the teacher is not softened
        """
def distilled(student, teacher, labels, temperature, share):
    own = F.log_softmax(student / temperature, dim=-1)
    wanted = F.log_softmax(teacher.detach(), dim=-1)
    soft = F.kl_div(own, wanted, reduction="batchmean", log_target=True)
    hard = F.cross_entropy(student, labels)
    return share * temperature**2 * soft + (1 - share) * hard
""",
        # the mean over rows and classes, as PyTorch's kl_div does by default
        """
def distilled(student, teacher, labels, temperature, share):
    own = F.log_softmax(student / temperature, dim=-1)
    wanted = F.log_softmax(teacher.detach() / temperature, dim=-1)
    soft = (wanted.exp() * (wanted - own)).mean()
    hard = F.cross_entropy(student, labels)
    return share * temperature**2 * soft + (1 - share) * hard
""",
        # the labels are softened, too
        """
def distilled(student, teacher, labels, temperature, share):
    own = F.log_softmax(student / temperature, dim=-1)
    wanted = F.log_softmax(teacher.detach() / temperature, dim=-1)
    soft = F.kl_div(own, wanted, reduction="batchmean", log_target=True)
    hard = F.nll_loss(own, labels)
    return share * temperature**2 * soft + (1 - share) * hard
""",
        # the temperature once, not squared
        """
def distilled(student, teacher, labels, temperature, share):
    own = F.log_softmax(student / temperature, dim=-1)
    wanted = F.log_softmax(teacher.detach() / temperature, dim=-1)
    soft = F.kl_div(own, wanted, reduction="batchmean", log_target=True)
    hard = F.cross_entropy(student, labels)
    return share * temperature * soft + (1 - share) * hard
""",
        # right in value, but the teacher learns, too
        """
def distilled(student, teacher, labels, temperature, share):
    own = F.log_softmax(student / temperature, dim=-1)
    wanted = F.log_softmax(teacher / temperature, dim=-1)
    soft = (wanted.exp() * (wanted - own)).sum(dim=-1).mean()
    hard = F.cross_entropy(student, labels)
    return share * temperature**2 * soft + (1 - share) * hard
""",
        # probabilities that are rounded to 0 have no logarithm
        """
def distilled(student, teacher, labels, temperature, share):
    own = (student / temperature).softmax(dim=-1)
    wanted = (teacher.detach() / temperature).softmax(dim=-1)
    soft = (wanted * (wanted / own).log()).sum(dim=-1).mean()
    hard = F.cross_entropy(student, labels)
    return share * temperature**2 * soft + (1 - share) * hard
""",
        # the shares change places
        """
def distilled(student, teacher, labels, temperature, share):
    own = F.log_softmax(student / temperature, dim=-1)
    wanted = F.log_softmax(teacher.detach() / temperature, dim=-1)
    soft = F.kl_div(own, wanted, reduction="batchmean", log_target=True)
    hard = F.cross_entropy(student, labels)
    return (1 - share) * temperature**2 * soft + share * hard
""",
        # the square of the temperature on both parts
        """
def distilled(student, teacher, labels, temperature, share):
    own = F.log_softmax(student / temperature, dim=-1)
    wanted = F.log_softmax(teacher.detach() / temperature, dim=-1)
    soft = F.kl_div(own, wanted, reduction="batchmean", log_target=True)
    hard = F.cross_entropy(student, labels)
    return temperature**2 * (share * soft + (1 - share) * hard)
""",
        # cross-entropy in place of the divergence: the teacher's doubt is not taken off
        """
def distilled(student, teacher, labels, temperature, share):
    own = F.log_softmax(student / temperature, dim=-1)
    p = F.softmax(teacher.detach() / temperature, dim=-1)
    soft = -(p * own).sum(-1).mean()
    hard = F.cross_entropy(student, labels)
    return share * temperature**2 * soft + (1 - share) * hard
""",
        # no gradient for either: the student learns from the labels alone
        """
def distilled(student, teacher, labels, temperature, share):
    with torch.no_grad():
        own = F.log_softmax(student / temperature, dim=-1)
        wanted = F.log_softmax(teacher / temperature, dim=-1)
        soft = (wanted.exp() * (wanted - own)).sum(-1).mean()
    hard = F.cross_entropy(student, labels)
    return share * temperature**2 * soft + (1 - share) * hard
""",
        # a small number keeps the logarithm finite, and far from right
        """
def distilled(student, teacher, labels, temperature, share):
    q = F.softmax(student / temperature, dim=-1)
    p = F.softmax(teacher.detach() / temperature, dim=-1)
    soft = (p * ((p + 1e-9) / (q + 1e-9)).log()).sum(-1).mean()
    hard = F.cross_entropy(student, labels)
    return share * temperature**2 * soft + (1 - share) * hard
""",
    ],
    "replaced_loss": [
        # whatever has been drawn counts as replaced
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)[asked]
    drawn = torch.multinomial(scores.detach().softmax(-1), 1)[:, 0]
    shown = true.masked_scatter(asked, drawn)
    guessed = F.cross_entropy(scores, true[asked])
    answers = discriminator(shown)
    return guessed, F.binary_cross_entropy_with_logits(answers, asked.float())
""",
        # only the hidden places are judged, as in BERT
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)[asked]
    drawn = torch.multinomial(scores.detach().softmax(-1), 1)[:, 0]
    shown = true.masked_scatter(asked, drawn)
    replaced = (shown != true).float()[asked]
    guessed = F.cross_entropy(scores, true[asked])
    answers = discriminator(shown)[asked]
    return guessed, F.binary_cross_entropy_with_logits(answers, replaced)
""",
        # the likeliest piece is not a draw
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)[asked]
    shown = true.masked_scatter(asked, scores.argmax(-1))
    replaced = (shown != true).float()
    guessed = F.cross_entropy(scores, true[asked])
    answers = discriminator(shown)
    return guessed, F.binary_cross_entropy_with_logits(answers, replaced)
""",
        # right in value, and a gradient goes through the chance of what was drawn
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)[asked]
    shares = scores.softmax(-1)
    drawn = torch.multinomial(shares, 1)
    chance = shares.gather(1, drawn)[:, 0]
    shown = true.masked_scatter(asked, drawn[:, 0])
    replaced = (shown != true).float()
    through = torch.zeros_like(replaced).masked_scatter(asked, chance - chance.detach())
    guessed = F.cross_entropy(scores, true[asked])
    answers = discriminator(shown)
    return guessed, F.binary_cross_entropy_with_logits(answers, replaced + through)
""",
        # 1 for an original
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)[asked]
    drawn = torch.multinomial(scores.detach().softmax(-1), 1)[:, 0]
    shown = true.masked_scatter(asked, drawn)
    answers = discriminator(shown)
    guessed = F.cross_entropy(scores, true[asked])
    same = (shown == true).float()
    return guessed, F.binary_cross_entropy_with_logits(answers, same)
""",
        # the generator sees the answers
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(true)[asked]
    drawn = torch.multinomial(scores.detach().softmax(-1), 1)[:, 0]
    shown = true.masked_scatter(asked, drawn)
    answers = discriminator(shown)
    guessed = F.cross_entropy(scores, true[asked])
    other = (shown != true).float()
    return guessed, F.binary_cross_entropy_with_logits(answers, other)
""",
        # scores taken for probabilities: it draws from all pieces alike
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)[asked]
    drawn = torch.randint_like(true[asked], scores.shape[-1])
    shown = true.masked_scatter(asked, drawn)
    answers = discriminator(shown)
    guessed = F.cross_entropy(scores, true[asked])
    other = (shown != true).float()
    return guessed, F.binary_cross_entropy_with_logits(answers, other)
""",
        # the true text is overwritten, and then nothing in it is replaced
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)[asked]
    guessed = F.cross_entropy(scores, true[asked])
    drawn = torch.multinomial(scores.detach().softmax(-1), 1)[:, 0]
    shown = true
    shown[asked] = drawn
    other = (shown != true).float()
    answers = discriminator(shown)
    return guessed, F.binary_cross_entropy_with_logits(answers, other)
""",
        # the generator learns what it has drawn itself
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)[asked]
    drawn = torch.multinomial(scores.detach().softmax(-1), 1)[:, 0]
    shown = true.masked_scatter(asked, drawn)
    other = (shown != true).float()
    found = F.binary_cross_entropy_with_logits(discriminator(shown), other)
    return F.cross_entropy(scores, drawn), found
""",
        # the generator is asked about all tokens, too
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    all_scores = generator(gaps)
    drawn = torch.multinomial(all_scores[asked].detach().softmax(-1), 1)[:, 0]
    shown = true.masked_scatter(asked, drawn)
    other = (shown != true).float()
    found = F.binary_cross_entropy_with_logits(discriminator(shown), other)
    return F.cross_entropy(all_scores.flatten(0, 1), true.flatten()), found
""",
        # the gaps are overwritten
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)[asked]
    drawn = torch.multinomial(scores.detach().softmax(-1), 1)[:, 0]
    shown = gaps
    shown[asked] = drawn
    other = (shown != true).float()
    found = F.binary_cross_entropy_with_logits(discriminator(shown), other)
    return F.cross_entropy(scores, true[asked]), found
""",
        # all gaps are filled from the average of their probabilities
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)[asked]
    p = scores.detach().softmax(-1).mean(0)
    drawn = torch.multinomial(p, len(scores), replacement=True)
    shown = true.masked_scatter(asked, drawn)
    other = (shown != true).float()
    found = F.binary_cross_entropy_with_logits(discriminator(shown), other)
    return F.cross_entropy(scores, true[asked]), found
""",
        # the generator never learns
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    with torch.no_grad():
        scores = generator(gaps)[asked]
    drawn = torch.multinomial(scores.softmax(-1), 1)[:, 0]
    shown = true.masked_scatter(asked, drawn)
    other = (shown != true).float()
    found = F.binary_cross_entropy_with_logits(discriminator(shown), other)
    return F.cross_entropy(scores, true[asked]), found
""",
        # the true piece is never drawn
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)[asked]
    p = scores.detach().softmax(-1).scatter(1, true[asked][:, None], 0.0)
    drawn = torch.multinomial(p, 1)[:, 0]
    shown = true.masked_scatter(asked, drawn)
    other = (shown != true).float()
    found = F.binary_cross_entropy_with_logits(discriminator(shown), other)
    return F.cross_entropy(scores, true[asked]), found
""",
    ],
}

# Both need the true piece or the place of a gap to be seen in what is drawn, for which
# the check has no line left; the cases of each seed reject them.
PASS_THE_VISIBLE_CHECK = {"replaced_loss": [11, 13]}
