"""`Chain`: a function as stages, and the chain rule as the product of their Jacobians."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp  # type: ignore[import-untyped]

from .evaluation import Evaluator, short
from .functions import Function, free_letter
from .intermediates import Stage, find_stages
from .parser import check_name, read, read_expressions, read_variables
from .printing import (
    aligned,
    derivative_lines,
    latex,
    latex_matrix,
    latex_tuple,
    legend,
    tuple_text,
)
from .vocabulary import public

Array = npt.NDArray[np.float64]

MOST_OPERATIONS = 60  # beyond it two forms of an entry are not compared: SymPy would take long


def chain_of(
    expressions: str | Iterable[str],
    variables: str | Iterable[str],
    stages: Iterable[Mapping[str, str] | Iterable[str]] | None,
) -> Chain:
    """What `calculus.chain` returns."""
    symbols = read_variables(variables)
    scalar = isinstance(expressions, str)
    if stages is None:
        formulas = read_expressions(expressions, symbols)
        letter = free_letter("ghuvpqrs", symbols)
        found, notes = find_stages(formulas, symbols, letter)
    else:
        found, inputs = _read_stages(stages, symbols)
        formulas = read_expressions(expressions, inputs)
        found.append((inputs, formulas, ()))
        notes = {}
    letter = free_letter("fFqQ", [s for inputs, _, _ in found for s in inputs])
    names = [letter] if scalar else [f"{letter}{i + 1}" for i in range(len(formulas))]
    return Chain(
        [
            Function(outer, inputs, scalar and not outputs, [str(s) for s in outputs] or names)
            for inputs, outer, outputs in found
        ],
        notes,
    )


def _read_stages(stages: Any, symbols: Sequence[Any]) -> tuple[list[Stage], tuple[Any, ...]]:
    if isinstance(stages, (str, Mapping)) or not isinstance(stages, Iterable):
        raise TypeError(
            "stages must be a list with a dict or a list of 'name = formula' for each stage, "
            f"got {type(stages).__name__}"
        )
    found: list[Stage] = []
    inputs, seen = tuple(symbols), {s.name for s in symbols}
    for i, stage in enumerate(stages, 1):
        pairs = list(_pairs(stage, f"stages, stage {i}"))
        if not pairs:
            raise ValueError(f"stages, stage {i} has no formula")
        outputs = []
        for name, _ in pairs:
            check_name(name, f"stages, stage {i}")
            if name in seen and not any(s.name == name for s in inputs):
                raise ValueError(f"stages, stage {i}: the name {name!r} is in use; choose another")
            outputs.append(sp.Symbol(name))
        if len(set(outputs)) < len(outputs):
            raise ValueError(f"stages, stage {i} gives a name more than once")
        allowed = {s.name: s for s in inputs}
        formulas = []
        for name, text in pairs:
            formulas.append(_read_in_stage(text, allowed, seen, f"stages, stage {i}, {name}"))
        for output, formula in zip(outputs, formulas, strict=True):
            if output.name in seen and formula != output:
                raise ValueError(
                    f"stages, stage {i}: {output} is the name of an input, so it can only be "
                    f"passed on unchanged, {output} = {output}"
                )
        found.append((tuple(inputs), tuple(formulas), tuple(outputs)))
        inputs, seen = tuple(outputs), seen | {s.name for s in outputs}
    return found, inputs


def _read_in_stage(text: Any, allowed: Mapping[str, Any], seen: set[str], what: str) -> Any:
    try:
        return read(text, allowed, what)
    except ValueError as error:
        earlier = sorted(name for name in seen - set(allowed) if f"'{name}' is not" in str(error))
        if not earlier:
            raise
        name = earlier[0]
        raise ValueError(
            f"{error}\n{name} belongs to an earlier stage: pass it on, {name} = {name}"
        ) from None


def _pairs(stage: Any, what: str) -> Iterable[tuple[Any, Any]]:
    if isinstance(stage, Mapping):
        yield from stage.items()
        return
    if isinstance(stage, str) or not isinstance(stage, Iterable):
        raise TypeError(
            f"{what} must be a dict or a list of 'name = formula', got {type(stage).__name__}"
        )
    for line in stage:
        if not isinstance(line, str):
            raise TypeError(f"{what} must have str 'name = formula', got {type(line).__name__}")
        name, equals, text = line.partition("=")
        if not equals:
            raise ValueError(f"{what}: {line!r:.80} must be 'name = formula'")
        yield name.strip(), text


class Chain:
    """The chain rule for one function, step by step; made by `calculus.chain`.

    Attributes
    ----------
    stages : tuple of Function
        The innermost first. Each stage is a function of the one before it, the first of the
        variables; the last gives the function itself.
    variables : tuple of sympy.Symbol
        The n variables.
    intermediates : dict from sympy.Symbol to sympy.Expr
        g1, g2, ... with their formulas, in terms of the stage before.
    notes : dict from sympy.Symbol to str
        Which intermediates are placeholders, and why.
    outer, inner : sympy.Matrix
        The Jacobians of the outermost and the innermost stage. With two stages these are all;
        with more, `jacobians` has those between.
    product : sympy.Matrix
        The product of all Jacobians, outermost first, before the substitution.
    """

    def __init__(self, stages: Sequence[Function], notes: Mapping[Any, str]) -> None:
        self.stages = tuple(stages)
        self.variables = self.stages[0].variables
        self.notes = dict(notes)
        self._values: dict[Any, Any] = {}
        for stage, names in zip(self.stages[:-1], self._outputs(), strict=True):
            new = {g: f.xreplace(self._values) for g, f in zip(names, stage.formulas, strict=True)}
            self._values.update(new)
        last = self.stages[-1]
        formulas = [f.xreplace(self._values) for f in last.formulas]
        self.function = Function(formulas, self.variables, last.scalar, last.names)
        product = sp.Matrix(last.derivatives())
        for stage in reversed(self.stages[:-1]):
            product = product * stage.derivatives()
        self._product = product

    def _outputs(self) -> list[tuple[Any, ...]]:
        return [stage.variables for stage in self.stages[1:]]

    @property
    def intermediates(self) -> dict[Any, Any]:
        return {
            g: f
            for stage, names in zip(self.stages[:-1], self._outputs(), strict=True)
            for g, f in zip(names, stage.expressions, strict=True)
        }

    @property
    def outer(self) -> Any:
        return self.stages[-1].jacobian()

    @property
    def inner(self) -> Any:
        return self.stages[0].jacobian()

    @property
    def product(self) -> Any:
        return sp.Matrix(self._product.applyfunc(public))

    def jacobians(self, at: Any = None) -> tuple[Any, ...]:
        """The Jacobian of every stage, the innermost first.

        Parameters
        ----------
        at : sequence of n numbers, optional
            The point in the variables; each stage is evaluated where the stages before it lead.

        Returns
        -------
        tuple of sympy.Matrix or of numpy.ndarray
            Rows are the functions of a stage, columns its inputs.

        Raises
        ------
        TypeError, ValueError, OverflowError
            As for `Function.jacobian`.
        """
        if at is None:
            return tuple(stage.jacobian() for stage in self.stages)
        point = self.function.point(at)
        result = []
        for i, stage in enumerate(self.stages):
            labels = [f"d{f}/d{v}" for f in stage.names for v in stage.variables]
            before = self.stages[:i]

            def prepare(at: Evaluator, before: tuple[Function, ...] = before) -> None:
                for one, names in zip(before, self._outputs(), strict=False):
                    at.define(names, one.formulas)

            matrix = stage.derivatives()
            result.append(self.function.matrix_numbers(prepare, matrix, labels, point))
        return tuple(result)

    def jacobian(self, at: Any = None) -> Any:
        """The product after the substitution: the Jacobian in the variables alone.

        Parameters
        ----------
        at : sequence of n numbers, optional
            The point; a plain number will do when n is 1.

        Returns
        -------
        sympy.Matrix or numpy.ndarray
            (k, n). Its entries are written as `function` writes them where SymPy sees quickly that
            both are the same.

        Raises
        ------
        TypeError, ValueError, OverflowError
            As for `Function.jacobian`.
        """
        if at is not None:
            return self.function.jacobian(at)
        return self._substituted().applyfunc(public)

    def __call__(self, *values: Any) -> Any:
        """The value of the whole function at a point, as of a `Function`."""
        return self.function(*values)

    def _substituted(self) -> Any:
        direct = self.function.derivatives()
        product = self._product.xreplace(self._values)
        entries = [_same_form(p, d) for p, d in zip(product, direct, strict=True)]
        return sp.Matrix(*product.shape, entries)

    def latex(self) -> str:
        """LaTeX of all steps: an aligned block.

        Examples
        --------
        >>> from chainrule import calculus
        >>> "g_{1} &= x^{2} + y" in calculus.chain("sin(x^2 + y)", "x y").latex()
        True
        """
        lines = []
        for stage in self.stages:
            for name, formula in zip(stage.names, stage.formulas, strict=True):
                lines.append(f"{latex(sp.Symbol(name))} &= {latex(formula)}")
        lines += [
            f"{_fraction(stage.names, stage.variables)} &= {_matrix(stage)}"
            for stage in reversed(self.stages)
        ]
        whole = _fraction(self.stages[-1].names, self.variables)
        factors = " ".join(_matrix(stage) for stage in reversed(self.stages))
        lines.append(f"{whole} &= {factors}")
        lines.append(f"&= {latex_matrix(self._product)}")
        lines.append(f"&= {latex_matrix(self._substituted())}")
        return aligned(lines)

    def __repr__(self) -> str:
        return f"<chain of {len(self.stages)} stages: {self.function!r}>"

    def __str__(self) -> str:
        f = tuple_text(self.stages[-1].names)
        x = tuple_text(self.variables)
        lines = [
            f"{name} = {short(formula, 200)}"
            for name, formula in zip(self.function.names, self.function.formulas, strict=True)
        ]
        lines += ["", "1. Name the functions inside, from the innermost on."]
        for stage in self.stages:
            width = max(len(f"{n} = {short(e, 200)}") for n, e in _named(stage))
            for name, formula in _named(stage):
                text = f"{name} = {short(formula, 200)}"
                note = self.notes.get(sp.Symbol(name), "") if stage is not self.stages[-1] else ""
                lines.append(f"   {text.ljust(width)}   {note}".rstrip())
        lines += ["", "2. Differentiate each stage by its own inputs."]
        labels = []
        for stage in reversed(self.stages):
            labels.append(f"d{tuple_text(stage.names)}/d{tuple_text(stage.variables)}")
            matrix = stage.derivatives()
            lines += derivative_lines(labels[-1], matrix, stage.names, stage.variables)
        lines += ["", "3. Multiply, the outermost first.", f"   d{f}/d{x} = {' '.join(labels)}"]
        names = self.stages[-1].names
        lines += derivative_lines(" " * len(f"d{f}/d{x}"), self._product, names, self.variables)
        lines += ["", "4. Put the intermediate functions back in."]
        result = self._substituted()
        lines += derivative_lines(f"d{f}/d{x}", result, names, self.variables)
        lines += legend([*self.function.formulas, *self._product])
        return "\n".join(lines)


def _named(stage: Function) -> list[tuple[str, Any]]:
    return list(zip(stage.names, stage.formulas, strict=True))


def _matrix(stage: Function) -> str:
    return latex_matrix(stage.derivatives())


def _fraction(names: Sequence[str], variables: Sequence[Any]) -> str:
    f = latex_tuple([sp.Symbol(name) for name in names])
    return rf"\frac{{\partial {f}}}{{\partial {latex_tuple(variables)}}}"


def _same_form(product: Any, direct: Any) -> Any:
    """The entry as `direct` writes it, when that is plainly the same."""
    if product == direct:
        return direct
    if product.count_ops() + direct.count_ops() > MOST_OPERATIONS:
        return product
    return direct if sp.expand(product - direct) == 0 else product
