"""The page in a headless Chromium: every number opens its formula, by mouse and by keyboard."""

import re
import shutil

import numpy as np
import pytest

import chainrule as cr
from chainrule import report
from chainrule.walkthrough import example

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no chromium with chromedriver: apt-get install chromium chromium-driver",
)

WATCH = """
window.seen = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.seen.push("policy: " + event.violatedDirective + " " + event.blockedURI));
window.addEventListener("error", (event) => window.seen.push("error: " + event.message));
"""


def browser(scripts=True, width=1280, height=900, scheme="light"):
    from selenium import webdriver  # noqa: PLC0415

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not scripts:
        choice = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", choice)
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    if scripts:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    return driver


@pytest.fixture(scope="module")
def driver():
    driver = browser()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The example's page as a file, and the trace that it shows."""
    path = tmp_path_factory.mktemp("report") / "example.html"
    net, X, Y = example()
    path.write_text(report.page(net, X, Y), encoding="utf-8")
    return path, net.trace(X, Y)


@pytest.fixture
def opened(driver, page):
    path, trace = page
    driver.get("about:blank")
    driver.get(path.as_uri())
    yield driver, trace
    assert driver.execute_script("return window.seen") == []
    assert driver.get_log("browser") == []


def places(trace):
    """(id on the page, value) of every number of the example."""
    for l in range(1, trace.L + 1):
        for j in range(1, trace.n[l] + 1):
            yield f"b-{l}-{j}", trace.explain(l, j).value
            for k in range(1, trace.n[l - 1] + 1):
                yield f"w-{l}-{j}-{k}", trace.explain(l, j, k).value
            for i in range(1, trace.m + 1):
                for name, numbers in (("z", trace.z), ("a", trace.a), ("delta", trace.delta)):
                    yield f"{name}-{l}-{i}-{j}", float(numbers[l][i - 1, j - 1])
    yield "cost", trace.cost


INSPECTED = """
const panel = document.getElementById("inspector");
return {
  hidden: panel.hidden,
  shown: panel.querySelector(".body")?.dataset.shown ?? null,
  value: panel.querySelector("h2 data")?.getAttribute("value") ?? null,
  text: panel.querySelector("h2 data")?.textContent ?? null,
  formulas: panel.querySelectorAll(".body math").length,
  verdicts: [...panel.querySelectorAll(".checks td:last-child")].map((e) => e.textContent),
  used: [...document.querySelectorAll("main .used")].map((e) => e.dataset.item),
};
"""


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-"))


def test_a_click_on_any_number_opens_it_bit_for_bit(opened):
    driver, trace = opened
    for name, value in places(trace):
        links = driver.find_elements("css selector", f'main [data-item="{name}"]')
        assert links, name
        for link in links:
            if not link.is_displayed():
                continue
            # the mouse goes where the number is drawn, and hits it
            hit = driver.execute_script(
                """const [link] = arguments;
                link.scrollIntoView({block: "center"});
                const own = link.querySelector(".pill, .area, .box") ?? link;
                const box = own.getBoundingClientRect();
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                const at = document.elementFromPoint(x, y);
                at?.dispatchEvent(new MouseEvent("click", {
                  bubbles: true, cancelable: true, detail: 1, clientX: x, clientY: y}));
                return at?.closest("a")?.dataset.item ?? null;""",
                link,
            )
            if link.tag_name == "a" and not driver.execute_script(
                "return arguments[0].closest('.item') !== null", link
            ):
                assert hit == name
        driver.execute_script(
            "arguments[0].dispatchEvent(new MouseEvent('click',"
            "{bubbles: true, cancelable: true, detail: 1}))",
            links[0],
        )
        panel = driver.execute_script(INSPECTED)
        assert not panel["hidden"]
        assert panel["shown"] == name
        assert float(panel["value"]).hex() == value.hex(), name
        assert number(panel["text"]).hex() == value.hex(), name
        assert panel["formulas"] >= 3
        assert panel["verdicts"]
        assert all("agrees" in verdict for verdict in panel["verdicts"])


def test_a_real_click_goes_through_and_marks_what_the_number_is_made_of(opened):
    driver, trace = opened
    driver.find_element("css selector", '#backward table [data-item="w-2-1-2"]').click()
    panel = driver.execute_script(INSPECTED)
    assert panel["shown"] == "w-2-1-2"
    assert float(panel["value"]) == trace.explain(2, 1, 2).value
    assert set(panel["used"]) == {"delta-2-1-1", "a-1-1-2"}
    assert driver.execute_script("return location.hash") == "#w-2-1-2"
    driver.find_element("css selector", '#inspector [data-item="delta-2-1-1"]').click()
    assert driver.execute_script(INSPECTED)["shown"] == "delta-2-1-1"
    driver.find_element("xpath", "//aside//button[contains(., 'Back')]").click()
    assert driver.execute_script(INSPECTED)["shown"] == "w-2-1-2"
    driver.find_element("xpath", "//aside//button[.='Close']").click()
    assert driver.execute_script(INSPECTED)["hidden"]
    assert driver.execute_script("return location.hash") == ""


def test_the_picture_answers_to_the_mouse(opened):
    from selenium.webdriver import ActionChains  # noqa: PLC0415

    driver, _ = opened
    for name in ("w-1-2-1", "z-1-1-1", "a-2-1-2", "b-1-1", "y-1-1", "a-0-1-2"):
        link = driver.find_element("css selector", f'#forward svg [data-item="{name}"]')
        target = link.find_elements("css selector", ".pill, .area, .box")[0]
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", target)
        ActionChains(driver).move_to_element(target).click().perform()
        assert driver.execute_script(INSPECTED)["shown"] == name


def test_the_keyboard_alone_reaches_every_number_and_comes_back(opened):
    from selenium.webdriver import ActionChains, Keys  # noqa: PLC0415

    driver, trace = opened

    def press(key):
        ActionChains(driver).send_keys(key).perform()
        return driver.switch_to.active_element

    # every matrix is one stop of the Tab key
    for _ in range(60):
        at = press(Keys.TAB)
        if driver.execute_script("return arguments[0].closest('#backward table') !== null", at):
            break
    else:
        pytest.fail("Tab never reaches the matrices of the way back")
    seen = {at.get_attribute("data-item")}
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_LEFT):
        seen.add(press(key).get_attribute("data-item"))
    assert seen == {"delta-2-1-1", "delta-2-1-2"}
    press(Keys.ENTER)
    panel = driver.execute_script(INSPECTED)
    assert panel["shown"] == "delta-2-1-1"
    assert float(panel["value"]) == float(trace.delta[2][0, 0])
    inside = "return document.activeElement.closest('#inspector') !== null"
    assert driver.execute_script(inside), "the explanation is read next"
    press(Keys.ESCAPE)
    assert driver.execute_script(INSPECTED)["hidden"]
    back = driver.switch_to.active_element
    assert back.get_attribute("data-item") == "delta-2-1-1", "and the reader comes back"

    # within a picture the arrow keys reach every number
    first = driver.find_element("css selector", "#forward svg a")
    driver.execute_script("arguments[0].focus()", first)
    wanted = {
        a.get_attribute("data-item")
        for a in driver.find_elements("css selector", "#forward svg.graph a")
    }
    reached, queue = set(), [driver.switch_to.active_element]
    while queue:
        link = queue.pop()
        name = link.get_attribute("data-item")
        if name in reached:
            continue
        reached.add(name)
        for key in (Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ARROW_DOWN):
            driver.execute_script("arguments[0].focus()", link)
            queue.append(press(key))
    assert reached == wanted


def test_a_link_to_a_number_opens_it(driver, page):
    path, _ = page
    driver.get("about:blank")
    driver.get(path.as_uri() + "#w-1-2-1")
    assert driver.execute_script(INSPECTED)["shown"] == "w-1-2-1"
    driver.get("about:blank")
    driver.get(path.as_uri() + "#no%22such")
    assert driver.execute_script(INSPECTED)["hidden"]
    assert driver.get_log("browser") == []


def test_screen_readers_get_names_and_roles(opened):
    driver, _ = opened
    tree = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"]
    ]
    links = [name for role, name in nodes if role == "link"]
    assert all(links), "every link has a name"
    assert any(name.startswith("weight w, layer 1, from 1 to 2: ") for name in links)
    roles = {role for role, _ in nodes}
    assert {"main", "navigation", "heading", "table", "columnheader", "rowheader"} <= roles
    assert any("math" in role.lower() for role in roles)
    assert any(role == "image" and "cost along the step" in name for role, name in nodes)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_text_stands_out(page, width, scheme):
    path, _ = page
    driver = browser(width=width, scheme=scheme)
    try:
        driver.get(path.as_uri() + "#w-1-2-1")
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        contrasts = driver.execute_script(
            """
            function luminance(text) {
              const [r, g, b] = text.match(/[\\d.]+/g).map((v) => v / 255).map(
                (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            }
            function ground(element) {
              for (let e = element; e; e = e.parentElement) {
                const colour = getComputedStyle(e).backgroundColor;
                if (!/, 0\\)$/.test(colour)) return colour;
              }
            }
            return ["p", "th", "td > a", ".tag", ".good", ".hint, .lead", "nav a", "summary",
                    "td > a.used", "td > a.chosen", "#inspector h2", "#inspector button", "caption",
                    "figcaption", ".uses a", "dt"]
              .flatMap((selector) => [...document.querySelectorAll(selector)].slice(0, 3))
              .map((e) => {
                const style = getComputedStyle(e);
                const [a, b] = [luminance(style.color), luminance(ground(e))].sort((x, y) => y - x);
                return [e.tagName + "." + e.className, (a + 0.05) / (b + 0.05)];
              });
            """
        )
        assert len(contrasts) > 25
        assert all(contrast >= 4.5 for _, contrast in contrasts), contrasts
        assert driver.get_log("browser") == []
    finally:
        driver.quit()


def test_without_scripts_all_numbers_and_formulas_can_be_read(page):
    path, trace = page
    driver = browser(scripts=False)
    try:
        driver.get(path.as_uri())
        assert not driver.find_element("id", "inspector").is_displayed()
        for name, value in places(trace):
            item = driver.find_element("css selector", f'details[data-for="{name}"]')
            shown = item.find_element("css selector", "summary data").text
            assert number(shown).hex() == value.hex()
        # a number is a link, and the browser opens what it leads to
        driver.find_element("css selector", '#backward table [data-item="w-1-2-1"]').click()
        assert driver.find_element("id", "w-1-2-1").is_displayed()
        item = driver.find_element("css selector", 'details[data-for="b-2-1"]')
        item.find_element("tag name", "summary").click()
        assert item.find_element("css selector", "math").is_displayed()
        assert "finite difference" in item.text
    finally:
        driver.quit()


def test_the_samples_of_a_batch_and_hostile_names(driver, tmp_path):
    rng = np.random.default_rng(1)
    net = cr.Network([cr.Dense(3, "tanh"), cr.Dense(1)], 2, "float64", seed=1)
    X, Y = rng.normal(size=(3, 2)), rng.normal(size=(3, 1))
    path = tmp_path / "batch.html"
    names = ['<script>window.seen.push("ran")</script>', '"><img src=x onerror="seen.push(1)">']
    path.write_text(report.page(net, X, Y, 0.1, inputs=names, title=names[0]), encoding="utf-8")
    driver.get(path.as_uri())
    for i in (2, 3, 1):
        for way in ("forward", "backward"):
            driver.find_element("css selector", f'input[name="{way}"][value="{i}"]').click()
            pictures = driver.find_elements("css selector", f"#{way} .picture")
            assert [picture.is_displayed() for picture in pictures] == [j == i for j in (1, 2, 3)]
    trace = net.trace(X, Y)
    for name, value in places(trace):
        links = driver.find_elements("css selector", f'table [data-item="{name}"]')
        driver.execute_script("(arguments[0] ?? document.body).click()", *links[:1])
        if links:
            assert float(driver.execute_script(INSPECTED)["value"]).hex() == value.hex()
    assert names[0] in driver.find_element("tag name", "h1").text
    assert driver.execute_script("return document.querySelectorAll('script, img').length") == 2
    assert driver.execute_script("return window.seen") == []
    assert driver.get_log("browser") == []


def test_a_foreign_script_is_refused(driver, page, tmp_path):
    path, _ = page
    html = path.read_text(encoding="utf-8")
    changed = tmp_path / "changed.html"
    changed.write_text(html.replace("</main>", "<script>window.ran = 1</script></main>"))
    driver.get(changed.as_uri())
    assert driver.execute_script("return window.ran") is None
    assert any("script-src" in line for line in driver.execute_script("return window.seen"))
    driver.get_log("browser")


def test_a_larger_network_works_the_same(driver, tmp_path):
    rng = np.random.default_rng(2)
    net = cr.Network([cr.Dense(64, "relu"), cr.Dense(1)], 64, "float32", seed=2)
    X, Y = rng.normal(size=(2, 64)).astype("f"), rng.normal(size=(2, 1)).astype("f")
    path = tmp_path / "large.html"
    path.write_text(report.page(net, X, Y, 0.01), encoding="utf-8")
    assert path.stat().st_size <= 1_000_000
    driver.get(path.as_uri())
    trace = net.trace(X, Y)
    links = driver.find_elements("css selector", ".ranking [data-item]")
    assert len(links) == 12
    for link in links:
        driver.execute_script("arguments[0].click()", link)
        place = [int(part) for part in re.findall(r"\d+", link.get_attribute("data-item"))]
        panel = driver.execute_script(INSPECTED)
        assert float(panel["value"]).hex() == trace.explain(*place).value.hex()
    assert driver.get_log("browser") == []
