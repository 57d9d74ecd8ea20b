"""Chapter 8: plausible wrong solutions. The checks must reject each of them."""

WRONG = {
    "shared": [
        # equal at first, and then each learns by itself
        """
def shared(layer, times):
    return nn.ModuleList(deepcopy(layer) for _ in range(times))
""",
        # the weights of one, but of another one
        """
def shared(layer, times):
    fresh = deepcopy(layer)
    for weight in fresh.parameters():
        nn.init.normal_(weight, std=0.02)
    return nn.ModuleList([fresh] * times)
""",
    ],
    "roberta_positions": [
        # places, as with padding on the right only
        """
def roberta_positions(input_ids, pad_id):
    places = torch.arange(input_ids.shape[1]) + pad_id + 1
    return torch.where(input_ids == pad_id, pad_id, places)
""",
        # counted from 0
        """
def roberta_positions(input_ids, pad_id):
    real = input_ids != pad_id
    return (real.cumsum(dim=1) - 1).masked_fill(~real, pad_id)
""",
        # padding has the number of the piece before it
        """
def roberta_positions(input_ids, pad_id):
    return (input_ids != pad_id).cumsum(dim=1) + pad_id
""",
        # one off: the first piece has the padding's number
        """
def roberta_positions(input_ids, pad_id):
    real = input_ids != pad_id
    return (real.cumsum(dim=1) - 1) * real + pad_id
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
    ],
    "test_electra": [
        # values alone: it sees no gradient and no table
        """
def test_electra(model):
    torch.manual_seed(0)
    mask = (torch.arange(12) < torch.tensor([[12], [8], [5]])).long().repeat(99, 1)
    true = torch.randint(4, model.pieces, mask.shape) * mask
    asked = (torch.rand(mask.shape) < 0.4) & (mask == 1)
    gaps = true.masked_fill(asked, 3)
    shown, guessed, found = model.step(gaps, asked, true, mask)
    scores = model.generator(gaps, attention_mask=mask)
    answers = model.discriminator(shown, attention_mask=mask)[mask == 1]
    replaced = (shown != true)[mask == 1].float()
    right = F.binary_cross_entropy_with_logits(answers, replaced)
    assert torch.allclose(guessed, F.cross_entropy(scores[asked], true[asked]))
    assert torch.allclose(found, right, atol=1e-5)
""",
        # no gradient at all in the generator: it rejects what the tables must learn
        """
def test_electra(model):
    torch.manual_seed(0)
    mask = (torch.arange(12) < torch.tensor([[12], [8], [5]])).long().repeat(99, 1)
    true = torch.randint(4, model.pieces, mask.shape) * mask
    asked = (torch.rand(mask.shape) < 0.4) & (mask == 1)
    gaps = true.masked_fill(asked, 3)
    shown, guessed, found = model.step(gaps, asked, true, mask)
    weights = list(model.generator.parameters())
    for gradient in torch.autograd.grad(found, weights, allow_unused=True):
        assert gradient is None or not gradient.any()
    answers = model.discriminator(shown, attention_mask=mask)[mask == 1]
    replaced = (shown != true)[mask == 1].float()
    right = F.binary_cross_entropy_with_logits(answers, replaced)
    assert torch.allclose(found, right, atol=1e-5)
""",
        # the faults of the list, and tables: it does not look at what is drawn
        """
def test_electra(model):
    torch.manual_seed(0)
    mask = (torch.arange(12) < torch.tensor([[12], [8], [5]])).long().repeat(99, 1)
    true = torch.randint(4, model.pieces, mask.shape) * mask
    asked = (torch.rand(mask.shape) < 0.4) & (mask == 1)
    gaps = true.masked_fill(asked, 3)
    shown, guessed, found = model.step(gaps, asked, true, mask)
    tables = [part.bert.embeddings.tables.parameters()
              for part in (model.generator, model.discriminator)]
    assert all(one is other for one, other in zip(*tables))
    own = [weight for name, weight in model.generator.named_parameters()
           if "tables" not in name]
    options = {"allow_unused": True, "retain_graph": True}
    for gradient in torch.autograd.grad(found, own, **options):
        assert gradient is None or not gradient.any()
    scores = model.generator(gaps, attention_mask=mask)
    answers = model.discriminator(shown, attention_mask=mask)[mask == 1]
    replaced = (shown != true)[mask == 1].float()
    right = F.binary_cross_entropy_with_logits(answers, replaced)
    assert torch.allclose(guessed, F.cross_entropy(scores[asked], true[asked]))
    assert torch.allclose(found, right, atol=1e-5)
""",
    ],
}
