"""Words: what is said of a class in a sentence."""


def an(model: type) -> str:
    """The name of a class with its article.

    >>> an(type("EncoderDecoder", (), {})), an(bool)
    ('an EncoderDecoder', 'a bool')
    """
    name = model.__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
