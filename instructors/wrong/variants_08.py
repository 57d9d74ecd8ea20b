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
    ],
}
