"""Is the self-test worth anything? Break the C++ core, one line at a time, and see it fail.

    python tests/mutants.py                all (half an hour on two quiet cores): `make mutants`
    python tests/mutants.py --only 3,17    those
    python tests/mutants.py --list         what they are

The source tree is copied once, built once, and each mutant is an incremental build of that copy,
followed by `python -m chainrule selftest` on it. Needs CMake, Ninja, pybind11, NumPy and a C++
compiler. Exit code 1 when a mutant survives, does not apply or does not build.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("CMakeLists.txt", "pyproject.toml", "cpp", "python")
TIMEOUT = 300  # seconds for a self-test that takes some 5


@dataclass(frozen=True)
class Mutant:
    """`old`, which occurs once in cpp/`file`, becomes `new`: the mistake that `why` names."""

    file: str
    why: str
    old: str
    new: str

    def mutated(self, root: Path = ROOT) -> str:
        text = (root / "cpp" / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}: {text.count(self.old)} times: {self.old}")
        return text.replace(self.old, self.new)


# fmt: off
MUTANTS = (
    # A small network: blocks of samples through all layers.
    Mutant("network.cpp", "the row of ones is missing",
           "ld_, T(1));", "ld_, T(0));"),
    Mutant("network.cpp", "D is that of twice the samples",
           "static_cast<T>(1 / going.D)};", "static_cast<T>(0.5 / going.D)};"),
    Mutant("network.cpp", "the weights of other samples",
           "? desk.weight + samples.begin : nullptr", "? desk.weight : nullptr"),
    Mutant("network.hpp", "the weights of the first samples for every batch",
           "weight[order != nullptr ? order[i] : i]", "weight[i]"),
    Mutant("objective.cpp", "the constant of half_mean is wrong",
           "? 2 * elements : elements", "? elements : elements"),
    Mutant("objective.cpp", "the mean over the rows counts the outputs",
           "if (reduction == Reduction::mean_rows) return weight;", ""),
    Mutant("objective.cpp", "cross_entropy is divided by m n_L",
           "per(loss) == LossPer::row ? weight : weight", "weight"),
    Mutant("objective.cpp", "eps stands for its logarithm",
           "p = std::max(std::log(p), -1e30);", "p = std::max(p, -1e30);"),
    Mutant("objective.cpp", "every output has the first one's quantile",
           "numbers.size() == 1 ? numbers[0] : numbers[j]", "numbers[0]"),
    Mutant("network.cpp", "f' of the layer above",
           "ld_, panel}, net_.f[l - 1],", "ld_, panel}, net_.f[l],"),
    Mutant("network.cpp", "f' at the samples of another thread, last layer",
           "desk.z[L] != nullptr ? desk.z[L] + samples.begin", "desk.z[L] != nullptr ? desk.z[L]"),
    Mutant("network.cpp", "f' at the samples of another thread, hidden layers",
           "desk.z[l - 1] != nullptr ? desk.z[l - 1] + samples.begin",
           "desk.z[l - 1] != nullptr ? desk.z[l - 1]"),
    Mutant("network.cpp", "the second block of samples is lost when threads share blocks",
           "if (i > 0) kernels_.add", "if (i > size) kernels_.add"),
    Mutant("network.cpp", "of a span only the first block counts",
           "if (!first) kernels_.add(slot, g, size_);", ""),
    Mutant("network.cpp", "the last block of a batch is skipped",
           "u < std::min(span + of_span, units)", "u < std::min(span + of_span, units - 1)"),
    Mutant("network.cpp", "the first span is added to what is not initialised",
           "if (span > 0 || !first)", "if (span > 0 || first)"),
    Mutant("network.cpp", "the last sample of a block is skipped",
           "std::min(size, end - i)}", "std::min(size - 1, end - i)}"),
    Mutant("network.hpp", "all threads write to the first thread's share of dW",
           "net_.layout.W(l) + mine.begin * n_out;", "net_.layout.W(l);"),
    Mutant("network.hpp", "nobody computes db",
           "share(n_in + 1, 1, part, parts)", "share(n_in, 1, part, parts)"),
    Mutant("network.cpp", "delta^1 is a stale one",
           "for (int l = net_.L(); l > 1; --l)", "for (int l = net_.L(); l > 2; --l)"),
    Mutant("network.cpp", "f' is missing in (BP1) but for sigmoid",
           "net_.f[L] == Activation::identity) return;",
           "net_.f[L] != Activation::sigmoid) return;"),
    Mutant("network.cpp", "the cost is that of the last block",
           "sum += block;", "sum = block;"),
    Mutant("network.hpp", "only the last round of rows counts",
           "add_slots(batch, rows, from == 0, mine)", "add_slots(batch, rows, true, mine)"),
    Mutant("network.hpp", "every thread updates with the first one's share",
           "finish(mine.begin, g + mine.begin, mine.size())", "finish(mine.begin, g, mine.size())"),
    Mutant("network.hpp", "no update after whole rounds of rows",
           "const bool last = from + round_ >= batch.m;",
           "const bool last = from + round_ > batch.m;"),
    # A large one: layer by layer.
    Mutant("layered.cpp", "the column of ones is missing",
           "on_l[i * ld[l] + tile.n()] = 1;", "on_l[i * ld[l] + tile.n()] = 0;"),
    Mutant("layered.cpp", "1/m is that of half the samples",
           "static_cast<T>(1 / going.D)};", "static_cast<T>(2 / going.D)};"),
    Mutant("layered.cpp", "weights in the order of the table",
           "weight_.data()[i] = batch.weight[row];",
           "weight_.data()[i] = batch.weight[from + i];"),
    Mutant("layered.cpp", "f' is missing for the last samples: n_L instead of the row's length",
           "a[L].data() + at, count * ld[L]);", "a[L].data() + at, count * net_.n(L));"),
    Mutant("layered.cpp", "f' at the first samples for all",
           "z[l - 1].data() + at : nullptr,", "z[l - 1].data() : nullptr,"),
    Mutant("layered.cpp", "only the last group of samples counts",
           "const bool onto = add || i > 0;", "const bool onto = i > 0;"),
    Mutant("layered.cpp", "the last rows of a span's sum are lost",
           "kernels_.add(g.p, to, s.rows * g.ld);", "kernels_.add(g.p, to, s.rows * net_.n(s.l));"),
    Mutant("layered.cpp", "W instead of its transpose in (BP2)",
           "return {net.W(l), net.n(l), 0, true};",
           "return {net.W(l), net.n(l), kernels.panel};"),
    Mutant("layered.cpp", "the last sample of a group is skipped",
           "share(rows, kRowGrain, part, parts_);\n    for",
           "share(rows - 1, kRowGrain, part, parts_);\n    for"),
    Mutant("layered.cpp", "every thread's units have the first one's weights",
           "W.p += tile.units.begin;", ""),
    Mutant("layered.cpp", "every thread's units have the first one's slopes",
           "W.p += below.units.begin * (W.transposed ? W.rs : 1);", ""),
    Mutant("layered.hpp", "padded rows of dW read as if they had no padding",
           "g.p + row * g.ld", "g.p + row * n_out"),
    Mutant("layered.hpp", "stripes of dW put to wrong places",
           "s.row * n_out;", "s.row;"),
    # Which way, and the update.
    Mutant("passes.cpp", "rows of the output without their padding",
           "below[i * ld + j]", "below[i * n_L + j]"),
    Mutant("training.cpp", "the velocity of other parameters",
           "state[k] = state_[k].data() + at;", "state[k] = state_[k].data();"),
    Mutant("training.cpp", "every batch has the rows of the first",
           "batch.order = order.data() + from;", "batch.order = order.data();"),
    Mutant("training.cpp", "targets of other rows",
           "batch.Y += from * data.objective->targets(net_.n(net_.L()));",
           "batch.Y += from * net_.n(0);"),
    Mutant("training.cpp", "batches without an order have the first weights",
           "if (batch.weight != nullptr) batch.weight += from;", ""),
    Mutant("training.cpp", "an epoch's cost counts each batch alike",
           "(whole_sum ? 1 : batch.weights())", "(whole_sum ? 1 : static_cast<double>(batch.m))"),
    # The arithmetic: each of these is built once for every instruction set.
    Mutant("kernels/optimizer.inl", "a last parameter that is alone is not updated",
           "if (rest > 0)", "if (rest > 1)"),
    Mutant("kernels/optimizer.inl", "no momentum",
           "s[0], g);\n    w = fma<T>(broadcast(-u.rate), s[0]",
           "Vec<T>{}, g);\n    w = fma<T>(broadcast(-u.rate), s[0]"),
    Mutant("kernels/optimizer.inl", "Nesterov's momentum does not look ahead",
           "fma<T>(broadcast(u.momentum), s[0], g), w);", "s[0], w);"),
    Mutant("kernels/optimizer.inl", "the mean square is that of |g|",
           "fma<T>(g, g, -q), q);", "abs<T>(g) - q, q);"),
    Mutant("kernels/optimizer.inl", "Adam's mean is biased towards 0",
           "broadcast(-(u.rate * u.correct))", "broadcast(-u.rate)"),
    Mutant("kernels/optimizer.inl", "Rprop moves where the slope has changed its sign",
           "s[0] = select<T>(same < zero, zero, g);", "s[0] = g;"),
    Mutant("kernels/optimizer.inl", "AdamW's decay adds to the slope",
           "if (R == Rule::adamw) {", "if (false) {"),
    Mutant("training.cpp", "Adam's correction is that of the step before",
           "static_cast<double>(steps_ + 1);", "std::max(1.0, static_cast<double>(steps_));"),
    Mutant("kernels/optimizer.inl", "the last element of a sum of blocks is lost",
           "for (; i < n; ++i) sum[i] += term[i];", "for (; i + 1 < n; ++i) sum[i] += term[i];"),
    Mutant("kernels/loss.inl", "mse: the 2 of the derivative is lost",
           "return {e, e, e + e};", "return {e, e, e};"),
    Mutant("kernels/loss.inl", "mae: the slope is 1 where the error is 0",
           "return {abs<T>(e), broadcast(T(1)), sign<T>(e)};",
           "return {abs<T>(e), broadcast(T(1)), sign<T>(e + T(1e-30))};"),
    Mutant("kernels/loss.inl", "huber: the slope beyond delta is the sign alone",
           "select<T>(near, e, sign<T>(e) * p)};", "select<T>(near, e, sign<T>(e))};"),
    Mutant("kernels/loss.inl", "huber: the square goes on beyond delta",
           "const Int<T> near = size <= p;", "const Int<T> near = size <= p + p;"),
    Mutant("kernels/loss.inl", "log_cosh: without the log 2 far out",
           "(size - T(0.69314718055994530942))", "(size - T(0.69314))"),
    Mutant("kernels/loss.inl", "log_cosh: its small values cancel",
           "return {select<T>(size > one, large, small), one, tanh<T>(e)};",
           "return {select<T>(size > T(1e-7), large, small), one, tanh<T>(e)};"),
    Mutant("kernels/loss.inl", "quantile: q and 1 - q are exchanged",
           "select<T>(e < zero, p, T(1) - p)", "select<T>(e < zero, T(1) - p, p)"),
    Mutant("kernels/loss.inl", "poisson: the slope by the rate",
           "broadcast(T(1)), rate - y};", "broadcast(T(1)), T(1) - y / rate};"),
    Mutant("kernels/loss.inl", "binary_cross_entropy: sigmoid(a) - y cancels",
           "select<T>(positive, (one - y) - p.minus, p.plus - y)};",
           "(one - p.minus) - y};"),
    Mutant("kernels/loss.inl", "binary_cross_entropy: y and 1 - y are exchanged",
           "select<T>(positive, one - y, y)", "select<T>(positive, y, one - y)"),
    Mutant("kernels/loss.inl", "cross_entropy: the largest counts once for each that equals it",
           "const Int<T> first = (z == most) & ~seen;", "const Int<T> first = z == most;"),
    Mutant("kernels/loss.inl", "cross_entropy: the sum is not subtracted",
           "(most - view.get(a, j)) + log_sum", "most - view.get(a, j)"),
    Mutant("kernels/loss.inl", "cross_entropy: the largest's slope is that of the others",
           "select<T>(e < zero, of_most, fma<T>(S, e * inverse, -target))",
           "fma<T>(S, abs<T>(e) * inverse, -target)"),
    Mutant("kernels/loss.inl", "gaussian_nll: the log of the variance is cut at log eps",
           "larger + log1p<T>(r)", "larger"),
    Mutant("kernels/loss.inl", "gaussian_nll: s has no share of exp(s) in the variance",
           "* T(0.5) * dv", "* T(0.5)"),
    Mutant("kernels/loss.inl", "the weights are left out of the slopes",
           "if (in.weight != nullptr) scale *= load_part(in.weight + i, left);", ""),
    Mutant("kernels/loss.inl", "samples as rows: the last one of a group is lost",
           "for (int lane = 0; lane < count; ++lane) p[lane * ld + j] = x[lane];",
           "for (int lane = 0; lane + 1 < count; ++lane) p[lane * ld + j] = x[lane];"),
    Mutant("kernels/loss.inl", "layer by layer: the cost without its weight",
           "row_cost[i] = in.weight != nullptr ? in.weight[i] * sum : sum;",
           "row_cost[i] = sum;"),
    Mutant("kernels/columns.inl", "dW is not turned back",
           "dW[k * outputs + j] = flat[j * inputs + k];",
           "dW[k * outputs + j] = flat[k * outputs + j];"),
    Mutant("kernels/columns.inl", "the mask of the last vector of dW is one short",
           "static_cast<int>(left));", "static_cast<int>(left) - 1);"),
    Mutant("kernels/activation.inl", "relu'(0) = 1",
           "return select<T>(a > T(0), broadcast(T(1)), Vec<T>{});",
           "return select<T>(a >= T(0), broadcast(T(1)), Vec<T>{});"),
    Mutant("kernels/activation.inl", "gelu' without its second term",
           "return fma<T>(finite, g.phi, g.Phi);", "return g.Phi;"),
    Mutant("kernels/gemm.inl", "no bias",
           "tile.set_columns(bias + i);", "tile.set_zero();"),
    Mutant("kernels/gemm.inl", "the biases of the first units for all",
           "tile.set_rows(bias + j / kPanel<T> * bias_stride);", "tile.set_rows(bias);"),
    Mutant("kernels/gemm.inl", "z is a stale one below the first tile",
           "if (z != nullptr) tile.write(", "if (z != nullptr && i == 0) tile.write("),
    Mutant("kernels/gemm.inl", "f' at the first tile for all",
           "z != nullptr ? z + at : nullptr, a + at, ld);", "z, a, ld);"),
    Mutant("kernels/gemm.inl", "blocks after the first are not added to dW",
           "e = load(p) + e;", "e = load(p);"),
    Mutant("kernels/gemm.inl", "a long sum forgets its first pass",
           "is_first = k == 0,", "is_first = true,"),
    Mutant("kernels/gemm.inl", "tanh' at the first tile for all",
           "derive<Activation::tanh>(tile, a + at);", "derive<Activation::tanh>(tile, a);"),
    Mutant("kernels/gemm.inl", "a lone column of a panel is the one before it",
           "Vec<T>{from[j * cs + k]});", "Vec<T>{from[(j - 1) * cs + k]});"),
    Mutant("kernels/columns.inl", "every panel of dW is the first one",
           "copy_panel_transposed(panel, depth, cols - j, B + j * ld, ld);",
           "copy_panel_transposed(panel, depth, cols - j, B, ld);"),
    Mutant("kernels/columns.inl", "short samples in the order of the table",
           "put(i, order[i]);", "put(i, i);"),
    Mutant("kernels/gemm.inl", "a sum of whole passes has no last one",
           "return depth - first_term(piece) <= kDepthBlock;",
           "return depth - first_term(piece) < kDepthBlock;"),
    # Dropout, on either way, and penalties.
    Mutant("kernels/dropout.inl", "half of the key is left out",
           "x ^= key[round];", "x ^= key[0];"),
    Mutant("kernels/dropout.inl", "what is kept is not scaled",
           "load(a + at) * how.scale", "load(a + at)"),
    Mutant("kernels/dropout.inl", "every row has the first one's mask",
           "how.row + static_cast<std::uint32_t>(i) * how.row_step;", "how.row;"),
    Mutant("kernels/dropout.inl", "every vector has the first one's mask",
           "row + how.col + static_cast<std::uint32_t>(k) * how.col_step;", "row + how.col;"),
    Mutant("kernels/dropout.inl", "the mask of columns begins anew in each share",
           "first = row + how.col +", "first = row +"),
    Mutant("kernels/dropout.inl", "what should stay is dropped",
           ">= how.bound;", "< how.bound;"),
    Mutant("kernels/dropout.inl", "the lanes of a vector share one mask",
           "lanes[lane] = static_cast<std::uint32_t>(lane) * how.col_step;", "lanes[lane] = 0;"),
    Mutant("network.cpp", "every layer has the first one's mask",
           "key + static_cast<std::uint64_t>(l) *", "key + static_cast<std::uint64_t>(1) *"),
    Mutant("network.cpp", "every thread's samples have the first one's mask",
           "going.from + samples.begin, true),\n                    net_.n(l), count,",
           "going.from, true),\n                    net_.n(l), count,"),
    Mutant("network.cpp", "on the way down every block has the first one's mask",
           "going.from + samples.begin, true),\n                    net_.n(l - 1),",
           "samples.begin, true),\n                    net_.n(l - 1),"),
    Mutant("network.cpp", "the slopes of what was dropped are kept",
           "if (going.drops(net_, l - 1))  // da/da", "if (false)  // da/da"),
    Mutant("network.cpp", "the layer above has outputs without dropout",
           "desk.on[l - 1] + samples.begin, ld_, net_.f[l], z_l,",
           "desk.a[l - 1] + samples.begin, ld_, net_.f[l], z_l,"),
    Mutant("network.hpp", "dW has outputs without dropout",
           "desk.on[l - 1] + mine.begin * ld_,", "desk.a[l - 1] + mine.begin * ld_,"),
    Mutant("layered.cpp", "every group of rows has the first one's mask",
           "going.from + tile.rows.begin, false);", "tile.rows.begin, false);"),
    Mutant("layered.cpp", "every block of rows has the first one's mask",
           "going.from + tile.rows.begin, false);", "going.from, false);"),
    Mutant("layered.cpp", "every thread's units have the first one's mask",
           "how.col += static_cast<std::uint32_t>(tile.units.begin) * how.col_step;", ""),
    Mutant("layered.cpp", "nothing is dropped on the way up",
           "if (going.drops(net_, l))\n", "if (false)\n"),
    Mutant("layered.cpp", "the slopes of what was dropped are kept",
           "if (going.drops(net_, l - 1)) drop(", "if (false) drop("),
    Mutant("layered.cpp", "the layer above has outputs without dropout",
           "const T* const below = on(l - 1).data()", "const T* const below = a[l - 1].data()"),
    Mutant("layered.cpp", "dW has outputs without dropout",
           "const T* below = on(s.l - 1).data()", "const T* below = a[s.l - 1].data()"),
    Mutant("training.cpp", "every step drops the same units",
           "kStream, static_cast<std::uint64_t>(steps_));", "kStream, 0);"),
    Mutant("training.cpp", "every seed drops the same units",
           "random_bits(seed_ ^ mix(kStream), kStream,", "random_bits(mix(kStream), kStream,"),
    Mutant("training.cpp", "no dropout in training",
           "if (net_.drops()) batch.drop_key = &key;\n  const bool penalised",
           "const bool penalised"),
    Mutant("training.cpp", "the cost has twice the l2 penalty",
           "optimizer_.l2 / 2 * w.squares", "optimizer_.l2 * w.squares"),
    Mutant("training.cpp", "the cost has a penalty on biases",
           "net_.theta.data(), true,", "net_.theta.data(), false,"),
    Mutant("training.cpp", "the cost's penalty is not that per row",
           "penalised ? share_of_penalties * penalty(team)", "penalised ? penalty(team)"),
    Mutant("penalty.cpp", "the sums of the layers below the last are lost",
           "used += blocks;", "used = blocks;"),
    Mutant("penalty.cpp", "no l1 where the norm is clipped",
           "std::fma(of_signs, sign, std::fma(of_weights, theta[i], g[i]))",
           "std::fma(of_weights, theta[i], g[i])"),
    Mutant("penalty.cpp", "penalties on biases where the norm is clipped",
           "share(net.layout.b(l) - W,", "share(net.layout.b(l) + net.n(l) - W,"),
    Mutant("training.cpp", "penalties not per row where the norm is clipped",
           "add_penalties(team, net_, share_of_penalties * optimizer_.l1,",
           "add_penalties(team, net_, optimizer_.l1,"),
    Mutant("training.cpp", "penalties twice where the norm is clipped",
           "update(length > optimizer_.clip_norm ? optimizer_.clip_norm / length : 1.0, 0);",
           "update(length > optimizer_.clip_norm ? optimizer_.clip_norm / length : 1.0, 1);"),
    Mutant("training.cpp", "a short gradient is made as long as clip_norm",
           "length > optimizer_.clip_norm ? optimizer_.clip_norm / length : 1.0",
           "optimizer_.clip_norm / length"),
    Mutant("training.cpp", "penalties on biases",
           "descend(of_biases, v.begin,", "descend(of_weights, v.begin,"),
    Mutant("training.cpp", "the slopes of other weights",
           "descend(of_weights, w.begin, g + (w.begin - at),", "descend(of_weights, w.begin, g,"),
    Mutant("training.cpp", "the slopes of other biases",
           "g + (v.begin - at), v.size());", "g, v.size());"),
    Mutant("training.cpp", "of a piece across layers only the first one's weights move",
           "const Range w{std::max(at, W), std::min(end, b)}",
           "const Range w{std::max(at, W), at < W ? W : std::min(end, b)}"),
    Mutant("training.hpp", "penalties per row are those of the batch",
           "return weights > 0 ? 1 / weights : 0;", "return 1;"),
    Mutant("kernels/optimizer.inl", "l1 pulls by the sign of the slope",
           "fma<T>(broadcast(u.l1), sign<T>(w),", "fma<T>(broadcast(u.l1), sign<T>(g),"),
    Mutant("kernels/optimizer.inl", "the sum of |w| is that of w",
           "a[k] += abs<double>(v);", "a[k] += v;"),
    Mutant("kernels/optimizer.inl", "the last number of a sum is lost",
           "i + k < n; ++k) rest[k]", "i + k + 1 < n; ++k) rest[k]"),
)
# fmt: on


def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


class Workshop:
    """A copy of the source tree and its build."""

    def __init__(self, folder: Path, isas: str) -> None:
        self.source, self.build = folder / "source", folder / "build"
        self.source.mkdir(parents=True)
        for part in PARTS:
            if (ROOT / part).is_dir():
                drop = shutil.ignore_patterns("__pycache__", "_core*.so", "bin")
                shutil.copytree(ROOT / part, self.source / part, ignore=drop)
            else:
                shutil.copy2(ROOT / part, self.source / part)
        found = run([sys.executable, "-m", "pybind11", "--cmakedir"])
        configured = run(
            [
                "cmake", "-S", str(self.source), "-B", str(self.build), "-G", "Ninja",
                "-DCMAKE_BUILD_TYPE=Release", "-DCHAINRULE_BENCH=OFF",
                "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF",  # links in a second
                f"-DCHAINRULE_ISAS={isas}",
                f"-DPython_EXECUTABLE={sys.executable}",
                f"-DCMAKE_PREFIX_PATH={found.stdout.strip()}",
            ]
        )  # fmt: skip
        if configured.returncode:
            sys.exit(configured.stdout + configured.stderr)

    def make(self) -> str:
        """Build the package; the compiler's words when that fails, else nothing."""
        built = run(["cmake", "--build", str(self.build), "--target", "_core"])
        if built.returncode:
            return built.stdout + built.stderr
        for core in self.build.glob("_core*.so"):
            shutil.copy2(core, self.source / "python" / "chainrule" / core.name)
        return ""

    def selftest(self) -> str:
        """What the self-test finds wrong, in a line; nothing when it passes."""
        python = str(self.source / "python")
        command = [sys.executable, "-m", "chainrule", "selftest", "--json"]
        try:
            done = run(command, timeout=TIMEOUT, env={**os.environ, "PYTHONPATH": python})
        except subprocess.TimeoutExpired:
            return f"it does not end within {TIMEOUT} s"
        if done.returncode == 0:
            return ""
        try:
            claims = json.loads(done.stdout)["claims"]
        except ValueError:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return f"exit code {done.returncode}: {last}"
        return ", ".join(row["claim"] for row in claims if not row["passed"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="N,N", help="their numbers, from 1; or a first one: 9-")
    parser.add_argument(
        "--isas",
        metavar="NAMES",
        default="",
        help="build these alone, such as avx2: faster, and what fails there fails among all",
    )
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    options = parser.parse_args()
    every, only = range(1, len(MUTANTS) + 1), options.only or "1-"
    numbers = every[int(only[:-1]) - 1 :] if only.endswith("-") else map(int, only.split(","))
    chosen = [(n, MUTANTS[n - 1]) for n in numbers]
    if options.list:
        for number, mutant in chosen:
            print(f"{number:>3}  {mutant.file:<22} {mutant.why}")
        return 0
    bad = 0
    with tempfile.TemporaryDirectory(prefix="chainrule-mutants-") as folder:
        workshop = Workshop(Path(folder), options.isas)
        wrong = workshop.make() or workshop.selftest()
        if wrong:
            print(f"the core as it is fails: {wrong}")
            return 1
        print(f"the core as it is passes; {len(chosen)} mutants", flush=True)
        for number, mutant in chosen:
            start = time.perf_counter()
            path = workshop.source / "cpp" / mutant.file
            right = path.read_text(encoding="utf-8")
            try:
                path.write_text(mutant.mutated(), encoding="utf-8")
                broken = workshop.make()
                verdict = "DOES NOT BUILD" if broken else workshop.selftest()
            except ValueError as error:
                broken, verdict = str(error), "DOES NOT APPLY"
            finally:
                path.write_text(right, encoding="utf-8")
            survived = broken or not verdict
            bad += bool(survived)
            words = verdict if broken else f"killed by {verdict}" if verdict else "SURVIVED"
            seconds = time.perf_counter() - start
            print(
                f"{number:>3}  {mutant.file:<22} {mutant.why}\n     {words} ({seconds:.0f} s)",
                flush=True,
            )
            if broken:
                print(broken)
    print(f"{len(chosen) - bad} of {len(chosen)} mutants killed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
