"""Factors that a gradient may be wrong by, and what they tell: of the 2, of m, of n_L."""

from __future__ import annotations

from collections.abc import Iterator

TWICE, HALF = "the same term added twice", "one factor 1/2 too many"
TWO = {  # why dC/da may be twice too large, or half, by the loss
    "mse": (
        "the 2 of the square, or a 1/2 in the cost, or the same term added twice",
        "the 2 of the square is missing, or the cost has no 1/2",
    ),
    "huber": (f"the slope of e^2/2 is e, not 2 e; or {TWICE}", HALF),
    "log_cosh": (TWICE, HALF),
    "gaussian_nll": (
        f"the 1/2 of gaussian_nll is missing, or {TWICE}",
        "D = m n_L/2 counts the columns of Y, not the outputs; or the 1/2 stands twice",
    ),
}
OF_MEAN = "the mean over the outputs stands for their sum"


def constants(m: int | None, n: int | None, loss: str = "mse") -> Iterator[tuple[float, str]]:
    """Factors that have a reason, and the reason. m samples, n outputs."""
    square = loss == "mse"
    twice, half = TWO.get(loss, (TWICE, HALF))
    yield 2.0, twice
    yield 0.5, half
    if m and m > 1:
        yield m, f"{m} is m: the sum over the samples stands for their mean"
        yield 1 / m, f"1/{m} is 1/m: the mean over the samples stands for their sum"
        if square:
            yield m / 2, "m/2: 2/m is missing"
            yield 2 / m, "2/m: once too often"
    if n and n > 1:
        row = loss == "cross_entropy"
        yield n, f"{n} is n_L: the sum over the outputs stands for their mean"
        yield 1 / n, f"1/{n} is 1/n_L: {'D is m, not m n_L' if row else OF_MEAN}"
        if square:
            yield n / 2, "n_L/2: 2/n_L is missing"
            yield 2 / n, "2/n_L: once too often"
    if m and n and m > 1 and n > 1:
        yield m * n, "m n_L: the sum over samples and outputs stands for their mean"
        yield 1 / (m * n), "1/(m n_L): the mean over samples and outputs, once too often"
        if square:
            yield m * n / 2, "m n_L/2: the 2/(m n_L) of (BP1) is missing"
            yield 2 / (m * n), "2/(m n_L): once too often"
        yield m / n, "m/n_L: n_L stands where m should"
        yield n / m, "n_L/m: m stands where n_L should"


PARTIAL = {2.0: "something is added twice", 0.5: "one factor 1/2 too many", -1.0: "a sign is wrong"}


def reasons(
    c: float, m: int | None, n: int | None, whole: bool = True, loss: str = "mse"
) -> list[str]:
    """Why a gradient, or a part of it, may be c times what it should be (empty: not known)."""
    if c == -1 and whole:
        return ["the sign: is it a^L - Y or Y - a^L? Descent goes against the gradient"]
    if c == -1:
        return [PARTIAL[c]]
    same = dict.fromkeys(
        why if whole else PARTIAL.get(value, why) if i < 2 else why
        for i, (value, why) in enumerate(constants(m, n, loss))
        if value == abs(c)
    )
    return [*(["the sign"] if c < 0 and same else []), *same]


TIMES = "times what {it} should be"


def times(c: float) -> str:
    return f"{{is}} {c:.4g} {TIMES}"
