"""Air and noise around streets: where emissions go, what people breathe, what they hear at home."""


class AirError(ValueError):
    """A network, a grid or a setting that dispersion or noise cannot work with; the message says what is allowed."""
