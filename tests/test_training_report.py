"""The report of a training: its numbers against scikit-learn's, its words, file, and browser."""

import base64
import os
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule import training_report
from chainrule.losses import checked_loss
from chainrule.training_report import findings

pytest.importorskip("matplotlib")
sk = pytest.importorskip("sklearn.metrics")

VOID = {"meta", "img"}
HOSTILE = ['<script>alert("x")</script>', '"><img src=x onerror=alert(1)>', "]]></style>&amp;'$_{"]


class Page(HTMLParser):
    """Tables by caption, texts, images and attributes; fails where tags do not match."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.texts, self.tables = [], [], [], {}
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "table":
            self.rows, self.caption = [], ""
        elif tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        elif tag == "data":
            self.rows[-1][-1] = float(dict(attributes)["value"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self.caption] = self.rows

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.texts.append(data)
        if "caption" in self.open:
            self.caption += data
        elif {"td", "th"} & set(self.open) and isinstance(self.rows[-1][-1], str):
            self.rows[-1][-1] += data

    def table(self, start):
        (rows,) = [rows for caption, rows in self.tables.items() if caption.startswith(start)]
        return rows

    def measures(self):
        head, *rows = self.table("Measures")
        return {row[0]: dict(zip(head[1:-1], row[1:-1], strict=True)) for row in rows}

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def regression(m=120, outputs=1, epochs=20, noise=0.3, loss="mse", seed=0):
    g = np.random.default_rng(seed)
    X = g.normal(size=(m, 3))
    Y = X @ g.normal(size=(3, outputs)) + noise * g.normal(size=(m, outputs))
    if loss == "poisson":
        Y = g.poisson(np.exp(Y / 2)).astype(float)
    k = 2 * m // 3
    n_L = 2 * outputs if loss == "gaussian_nll" else outputs
    net = cr.Network([cr.Dense(8, "tanh"), cr.Dense(n_L)], 3, "float64", seed)
    h = net.fit(X[:k], Y[:k], epochs=epochs, optimizer=cr.Adam(0.02), loss=loss,
                validation_data=(X[k:], Y[k:]))  # fmt: skip
    return net, h, X[:k], Y[:k], X[k:], Y[k:]


def classification(K=3, m=150, loss="cross_entropy", epochs=15, seed=1):
    g = np.random.default_rng(seed)
    X = g.normal(size=(m, 4))
    y = (X @ g.normal(size=(4, K)) + 0.5 * g.normal(size=(m, K))).argmax(axis=1)
    k = 2 * m // 3
    outputs = 1 if loss == "binary_cross_entropy" else K
    Y = y if outputs == 1 or loss == "cross_entropy" else np.eye(K)[y]
    net = cr.Network([cr.Dense(6, "tanh"), cr.Dense(outputs)], 4, "float64", seed)
    h = net.fit(X[:k], Y[:k], epochs=epochs, optimizer=cr.Adam(0.02), loss=loss,
                validation_data=(X[k:], Y[k:]))  # fmt: skip
    return net, h, X[:k], y[:k], X[k:], y[k:]


@pytest.mark.parametrize("loss", ["mse", "mae", "poisson", "gaussian_nll", cr.losses.Quantile(0.8)])
def test_measures_of_a_regression(loss):
    net, h, X, Y, X2, Y2 = regression(loss=loss)
    page = Page(training_report.page(net, h, X, Y, X2, Y2, task="regression", loss=loss))
    found = page.measures()
    turned = checked_loss(loss).predictions
    if loss == "poisson":
        np.testing.assert_allclose(turned(net.predict(X)), np.exp(net.predict(X)))
    for side, x, y in (("training", X, Y), ("validation", X2, Y2)):
        P = turned(net.predict(x))
        assert found["R\u00b2"][side] == pytest.approx(sk.r2_score(y, P), rel=1e-9)
        assert found["RMSE"][side] == pytest.approx(sk.root_mean_squared_error(y, P), rel=1e-9)
        assert found["MAE"][side] == pytest.approx(sk.mean_absolute_error(y, P), rel=1e-9)
        assert found["largest error"][side] == pytest.approx(sk.max_error(y, P), rel=1e-9)
        if isinstance(loss, cr.losses.Quantile):
            assert found["pinball 0.8"][side] == pytest.approx(
                sk.mean_pinball_loss(y, P, alpha=0.8), rel=1e-9
            )
    always = np.full_like(Y2, Y.mean())
    assert found["RMSE"]["without a network"] == pytest.approx(
        sk.root_mean_squared_error(Y2, always), rel=1e-9
    )


@pytest.mark.parametrize(("K", "loss"), [(2, "binary_cross_entropy"), (3, "cross_entropy"),
                                         (2, "cross_entropy")])  # fmt: skip
def test_measures_of_a_classification(K, loss):
    net, h, X, y, X2, y2 = classification(K, loss=loss)
    names = ["no", "yes", "perhaps"][:K]
    page = Page(training_report.page(
        net, h, X, y, X2, y2, task="classification", loss=loss, classes=names))  # fmt: skip
    found = page.measures()
    for side, x, t in (("training", X, y), ("validation", X2, y2)):
        a = net.predict(x)
        P = 1 / (1 + np.exp(-a)) if a.shape[1] == 1 else np.exp(a) / np.exp(a).sum(1)[:, None]
        P = np.column_stack([1 - P, P]) if a.shape[1] == 1 else P
        guess = P.argmax(axis=1)
        score = P[:, 1] if K == 2 else P
        expected = {
            "accuracy": sk.accuracy_score(t, guess),
            "balanced accuracy": sk.balanced_accuracy_score(t, guess),
            "F1": sk.f1_score(t, guess, average="macro"),
            "log loss": sk.log_loss(t, P),
            "Brier score": sk.brier_score_loss(t, P if K > 2 else P[:, 1]),
            "AUC": sk.roc_auc_score(t, score, multi_class="ovr"),
        }
        for name, value in expected.items():
            assert found[name][side] == pytest.approx(value, rel=1e-9), name
    frequent = np.tile(np.bincount(y, minlength=K) / len(y), (len(y2), 1))
    assert found["log loss"]["without a network"] == pytest.approx(
        sk.log_loss(y2, frequent), rel=1e-9
    )
    each = {row[0]: row[1:] for row in page.table("Each class")[1:]}
    precision, recall, f1, rows = sk.precision_recall_fscore_support(y2, guess)
    for k, name in enumerate(names):
        assert int(each[name][0]) == rows[k]
        assert each[name][1:] == pytest.approx([precision[k], recall[k], f1[k]], rel=1e-9)
    assert len(page.of("img")) == 3


def test_scores_that_are_no_probabilities_are_only_labels():
    net, h, X, y, X2, y2 = classification(3, loss="mse")
    page = Page(training_report.page(net, h, X, y, X2, y2, task="classification"))
    guess = net.predict(X2).argmax(axis=1)
    found = page.measures()
    assert set(found) == {"accuracy", "balanced accuracy", "F1"}
    assert found["accuracy"]["validation"] == pytest.approx(sk.accuracy_score(y2, guess))
    frequent = np.bincount(y).argmax()
    assert found["accuracy"]["without a network"] == pytest.approx(np.mean(y2 == frequent))
    assert len(page.of("img")) == 2
    wrong = page.table("The ")[1:]
    assert len(wrong) == min(10, (guess != y2).sum())
    for name, actual, said, *_ in wrong:
        i = int(name.split()[1]) - 1
        assert (int(actual), int(said)) == (y2[i], guess[i])


def test_one_output_beyond_0_and_1_is_a_score_on_both_sides():
    net = cr.Network([cr.Dense(1)], 1, "float64")
    net.W[1], net.b[1] = [[1.0]], [0.0]
    X, y = [[0.1], [0.4], [0.6], [0.9]], [0, 1, 1, 1]
    X2, y2 = [[-0.5], [0.2], [1.5]], [0, 0, 1]
    h = cr.History(cost=[1.0])
    for sides in ((X, y, X2, y2), (X2, y2, X, y)):
        page = Page(training_report.page(net, h, *sides, task="classification"))
        right = [{4: 0.75, 3: 1.0}[len(side)] for side in sides[::2]]
        found = page.measures()
        assert set(found) == {"accuracy", "balanced accuracy", "F1"}
        assert [found["accuracy"][k] for k in ("training", "validation")] == right
    page = Page(training_report.page(net, h, X, y, X, y, task="classification"))
    assert page.measures()["log loss"]["training"] == pytest.approx(
        sk.log_loss(y, np.ravel(X)), rel=1e-9
    )


def test_outputs_that_do_not_add_up_are_scores():
    g = np.random.default_rng(0)
    X, y = g.normal(size=(40, 4)), g.integers(3, size=40)
    net = cr.Network([cr.Dense(3, "sigmoid")], 4, "float64")
    page = Page(training_report.page(net, cr.History(cost=[1.0]), X, y, task="classification"))
    assert set(page.measures()) == {"accuracy", "balanced accuracy", "F1"}
    guess = net.predict(X).argmax(axis=1)
    assert page.measures()["accuracy"]["training"] == pytest.approx(np.mean(guess == y))


def test_several_labels_at_once():
    g = np.random.default_rng(0)
    X = g.normal(size=(90, 4))
    Y = (X @ g.normal(size=(4, 3)) > 0).astype(float)
    net = cr.Network([cr.Dense(3)], 4, "float64")
    h = net.fit(X, Y, epochs=20, loss="binary_cross_entropy")
    page = Page(training_report.page(net, h, X, Y, task="classification", classes=list("abc"),
                                     loss="binary_cross_entropy"))  # fmt: skip
    P = 1 / (1 + np.exp(-net.predict(X)))
    assert page.measures()["accuracy"]["training"] == pytest.approx(sk.accuracy_score(Y, P > 0.5))
    each = {row[0]: row[1:] for row in page.table("Each label")[1:]}
    recall = sk.recall_score(Y, P > 0.5, average=None)
    assert [each[k][2] for k in "abc"] == pytest.approx(recall)
    assert len(page.of("img")) == 1


def test_each_output_and_the_largest_errors():
    net, h, X, Y, X2, Y2 = regression(outputs=3)
    Y2 = Y2.copy()
    Y2[5, 1] += 50
    Y2[7, 2] -= 40
    names = ["drag", "lift", "moment"]
    page = Page(training_report.page(net, h, X, Y, X2, Y2, task="regression", names=names,
                                     inputs=["u", "v", "w"], samples=[f"no {i}" for i in range(40)],
                                     ))  # fmt: skip
    P = net.predict(X2)
    head, *rows = page.table("The 10 validation rows")
    assert head == ["", "output", "actual", "predicted", "actual \N{MINUS SIGN} predicted",
                    "u", "v", "w"]  # fmt: skip
    order = np.argsort(-((Y2 - P) ** 2 / Y.var(axis=0)).mean(axis=1))
    assert set(order[:2]) == {5, 7}
    for row, i in zip(rows, order[:10], strict=True):
        j = {5: 1, 7: 2}.get(i, names.index(row[1]))
        assert row == [f"no {i}", names[j], Y2[i, j], P[i, j], Y2[i, j] - P[i, j], *X2[i]]
    each = {row[0]: row[1:] for row in page.table("Each output")[1:]}
    for j, name in enumerate(names):
        expected = (sk.r2_score(Y2[:, j], P[:, j]),
                    sk.root_mean_squared_error(Y2[:, j], P[:, j]),
                    sk.mean_absolute_error(Y2[:, j], P[:, j]))  # fmt: skip
        assert each[name] == pytest.approx(expected, rel=1e-9)


def test_wrong_rows_come_with_their_probabilities():
    net, h, X, y, X2, y2 = classification(3)
    page = Page(training_report.page(net, h, X, y, X2, y2, task="classification",
                                     loss="cross_entropy", classes=["a", "b", "c"]))  # fmt: skip
    a = net.predict(X2)
    P = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    of_actual = P[np.arange(len(y2)), y2]
    wrong = [i for i in np.argsort(of_actual)[:10] if P[i].argmax() != y2[i]]
    rows = page.table("The ")[1:]
    assert len(rows) == len(wrong) > 1
    for row, i in zip(rows, wrong, strict=True):
        said = P[i].argmax()
        assert row[:3] == [f"row {i + 1}", "abc"[y2[i]], "abc"[said]]
        assert row[3:] == pytest.approx([P[i, said], P[i, y2[i]]], rel=1e-9)


def test_what_is_standardised_is_said():
    net, h, X, Y, X2, Y2 = regression()
    for scaling, words in (
        (None, "Standardised no"),
        (cr.Scaling.fit(X, Y), "Standardised inputs and targets"),
        (cr.Scaling.fit(X, outputs=net.n[-1]), "Standardised inputs Training"),
    ):
        net.scaling = scaling
        page = Page(training_report.page(net, h, X, Y, X2, Y2, task="regression"))
        assert words in page.text, words


def test_what_was_trained_is_said(unchanged):
    net, h, X, Y, X2, Y2 = regression()
    net.scaling = None
    h.reason = "All 20 epochs are done. Try <more>."
    with unchanged(net):
        html = training_report.page(net, h, X, Y, X2, Y2, task="regression", title="Flights",
                                    facts={"Optimiser": cr.Adam(0.02), "Seed": 7})  # fmt: skip
    page = Page(html)
    for words in ("3\u20138\u20131", "tanh, identity", "41", "float64", "Adam(learning_rate=0.02",
                  "MSE(reduction='mean')", "Seed 7", "Training rows 80", "Validation rows 40",
                  "Epochs 20", f"Best epoch {h.best_epoch}", h.reason, "Flights"):  # fmt: skip
        assert words in page.text, words
    assert re.search(r"<title>Flights</title>", html)
    assert training_report.page(net, h, X, Y, X2, Y2, task="regression") == training_report.page(
        net, h, X, Y, X2, Y2, task="regression"
    )


def words_of(train_error, val_error, m=400, m_val=400, task="regression"):
    """The verdict on a network that says 0, where targets have these spreads."""
    g = np.random.default_rng(5)
    net = cr.Network([cr.Dense(1)], 1, "float64")
    net.W[1], net.b[1] = [[1.0]], [0.0]
    sides = []
    for error, rows in ((train_error, m), (val_error, m_val)):
        X = 10 * g.normal(size=(rows, 1))
        sides += [X, X + error * g.normal(size=(rows, 1))]
    page = Page(training_report.page(net, cr.History(cost=[1.0], val_cost=[1.0]), *sides,
                                     task=task))  # fmt: skip
    a, b = (np.mean((Y - X) ** 2) for X, Y in (sides[:2], sides[2:]))
    return page.text, f"validation rows is {b:.4g}, of the training rows {a:.4g}", b / a


def test_over_fitting_is_said_from_the_numbers():
    text, numbers, ratio = words_of(1, 2)
    assert ratio > 3
    assert f"Over-fitting: the mean squared error of the {numbers}, {ratio:.3g} times" in text
    text, numbers, _ = words_of(1, 0.5)
    assert f"No sign of over-fitting: the mean squared error of the {numbers}." in text
    text, numbers, ratio = words_of(1, 1.05, m=40_000, m_val=40_000)
    assert 1.05 < ratio < 1.2
    assert f"A little over-fitting: the mean squared error of the {numbers}, {ratio:.3g}" in text
    text, numbers, ratio = words_of(1, 1.3, m=40, m_val=4)
    assert ratio > 1
    assert f"No clear sign of over-fitting: the mean squared error of the {numbers}; with" in text
    assert "does no better" not in text


def test_chance_is_two_standard_errors():
    """The sentence turns where the difference of means passes twice its standard error."""
    rows = np.array([1.0, 3.0] * 8)
    spread = np.sqrt(2 * rows.var(ddof=1) / 16)
    for shift, chance in ((1.98 * spread, True), (2.02 * spread, False)):
        y = np.sqrt(np.stack([rows, rows + shift]))
        sides = [findings.Rows(t[:, None], np.zeros((16, 1)), np.zeros((16, 1))) for t in y]
        found = findings.Findings("regression", False, ["y"], *sides)
        assert findings.verdict(found)[0].startswith("No clear sign") == chance


def test_a_network_that_is_worse_than_the_mean_is_told_so():
    g = np.random.default_rng(0)
    X, Y = g.normal(size=(50, 2)), g.normal(size=(50, 1))
    net = cr.Network([cr.Dense(1)], 2, "float64")
    net.W[1], net.b[1] = [[0.0, 0.0]], [5.0]
    page = Page(training_report.page(net, cr.History(cost=[1.0]), X, Y, task="regression"))
    assert "does no better on the training rows than the mean of the training targets" in page.text
    assert "no validation rows" in page.text
    net.b[1] = [Y.mean() + 0.01]
    page = Page(training_report.page(net, cr.History(cost=[1.0]), X, Y, task="regression"))
    assert "does no better" in page.text


def test_the_policy_and_what_the_page_may_not_have():
    net, h, X, Y, X2, Y2 = regression()
    html = training_report.page(net, h, X, Y, X2, Y2, task="regression")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "script-src" not in rules
    page = Page(html)
    assert not page.of("script")
    for tag, attributes in page.elements:
        assert "style" not in attributes
        assert not any(key.startswith("on") for key in attributes)
        assert tag != "link"
    for image in page.of("img"):
        kind, data = image["src"].split(",")
        assert kind == "data:image/svg+xml;base64"
        svg = ElementTree.fromstring(base64.b64decode(data))
        assert int(image["width"]) == round(float(svg.get("width")[:-2]))
        assert image["alt"]
        for element in svg.iter():
            for name, value in element.attrib.items():
                assert not (name.endswith("href") and value.startswith("http"))
    assert not re.search(r"https?://", html)


def test_hostile_names_stay_text():
    net, h, X, y, X2, y2 = classification(3)
    h.reason = HOSTILE[0]
    html = training_report.page(
        net, h, X, y, X2, y2, task="classification", loss="cross_entropy", classes=HOSTILE,
        inputs=[*HOSTILE, "d"], samples=[HOSTILE[1]] * len(y2), title=HOSTILE[0],
        facts={HOSTILE[1]: HOSTILE[2]},
    )  # fmt: skip
    page = Page(html)
    assert not page.of("script")
    assert len(page.of("img")) == 3
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    for name in HOSTILE:
        assert name in page.text


def test_the_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    net, h, X, Y, X2, Y2 = regression()
    path = tmp_path / "report.html"
    path.write_text("old")
    training_report.write(path, net, h, X, Y, X2, Y2, task="regression")
    html = path.read_text(encoding="utf-8")
    assert html == training_report.page(net, h, X, Y, X2, Y2, task="regression")
    with pytest.raises(ValueError, match="Y_val: Y has shape"):
        training_report.write(path, net, h, X, Y, X2, Y2[:3], task="regression")

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="No space"):
        training_report.write(path, net, h, X, Y, task="regression")
    assert path.read_text(encoding="utf-8") == html
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"net": 3}, TypeError, "net must be a Network, got 3"),
        ({"history": None}, TypeError, "history must be a History, got NoneType"),
        ({"task": "guess"}, ValueError, "task must be one of regression, classification"),
        ({"Y_val": None}, ValueError, "X_val and Y_val: give both or neither"),
        ({"Y_train": np.full((80, 1), np.nan)}, ValueError, "Y_train: Y must be finite, got nan"),
        ({"X_val": np.ones((40, 2))}, ValueError, "X has 2 features"),
        ({"names": ["a", "b"]}, ValueError, "names must have 1 names, got 2"),
        ({"names": "a"}, TypeError, "names must be a sequence of 1 names"),
        ({"inputs": ["a"]}, ValueError, "inputs must have 3 names, got 1"),
        ({"samples": ["a"]}, ValueError, "samples must have 40 names, got 1"),
        ({"title": 3}, TypeError, "title must be a str"),
        ({"facts": [1]}, TypeError, "facts must be a dict"),
        ({"loss": "nothing"}, ValueError, "loss must be one of"),
        ({"task": "classification"}, ValueError, "Y_train: y must be"),
    ],
)
def test_refusals(change, error, words):
    names = ("net", "history", "X_train", "Y_train", "X_val", "Y_val")
    given = dict(zip(names, regression(), strict=True)) | {"task": "regression"} | change
    with pytest.raises(error, match=re.escape(words)):
        training_report.page(**given)


def test_odd_trainings():
    net, _, X, Y, _, _ = regression()
    page = Page(training_report.page(net, cr.History(), X, Y, task="regression"))
    assert "No epoch was run" in page.text
    page = Page(training_report.page(net, cr.History(cost=[1.0]), X[0], Y[0], task="regression"))
    assert page.measures()["R\u00b2"]["training"] != page.measures()["R\u00b2"]["training"]  # NaN
    assert "not defined" in page.text
    exact = net.predict(X)
    page = Page(training_report.page(net, cr.History(cost=[1.0]), X, exact, task="regression"))
    assert "All training rows are right." in page.text


# --- in a browser ---------------------------------------------------------------------------------

OVERFLOW = """
return [...document.querySelectorAll("main *")].filter((e) => {
  const scroll = e.closest(".scroll");
  return !scroll && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1;
}).map((e) => e.outerHTML.slice(0, 200));
"""


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (360, "dark")])
def test_in_a_browser(tmp_path, width, scheme):
    browser = pytest.importorskip("selenium.webdriver")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("no chromium with chromedriver: apt-get install chromium chromium-driver")
    net, h, X, y, X2, y2 = classification(3)
    path = tmp_path / "report.html"
    names = ["a", "a class with a very long name that goes on " * 3, "c"]
    training_report.write(path, net, h, X, y, X2, y2, task="classification", loss="cross_entropy",
                          classes=names, facts={"Optimiser": cr.Adam(0.02)})  # fmt: skip
    options = browser.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = browser.ChromeService(executable_path=chromedriver)
    driver = browser.Chrome(options=options, service=service)
    try:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        driver.get(path.as_uri())
        sizes = driver.execute_script(
            "return [...document.images].map((i) => [i.complete, i.naturalWidth, i.width])"
        )
        assert len(sizes) == 3
        assert all(done and natural > 100 and shown > 100 for done, natural, shown in sizes)
        assert driver.execute_script(OVERFLOW) == []
        assert driver.get_log("browser") == []
        colour = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        dark = sum(map(int, re.findall(r"\d+", colour)[:3])) < 300
        assert dark == (scheme == "dark")
    finally:
        driver.quit()
