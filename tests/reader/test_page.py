"""The page in a real browser: drawn on, given pictures, on a phone, in the dark, by keyboard."""

import base64
import os
import shutil

import numpy as np
import pytest
from playwright.sync_api import Error, expect, sync_playwright
from sample_pictures import png, written

from digitlib.datasets import load_images
from digitlib.reader.network import load_network
from digitlib.reader.server import start_app

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

# Strokes as a hand draws them: corners of a curve, in fractions of the drawing area
THREE = [[(30, 28), (38, 20), (52, 22), (55, 34), (42, 46), (56, 56), (56, 72), (42, 80), (29, 72)]]
FOUR = [[(30, 22), (24, 50), (42, 52)], [(38, 28), (37, 78)]]
TWO = [[(59, 32), (67, 22), (79, 28), (76, 46), (60, 75), (84, 75)]]


@pytest.fixture(scope="module")
def address():
    return start_app()


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium")
    where = {"executable_path": found} if found else {"channel": "chrome"}
    with sync_playwright() as playwright:
        try:
            arguments = ["--no-sandbox", "--disable-background-networking"]
            browser = playwright.chromium.launch(args=arguments, **where)
        except Error:
            if os.environ.get("CI"):
                raise
            pytest.skip("needs Chromium or Chrome (with CI set, this is an error)")
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, address):
    """Opens the page with options of a browser context; fails on any error or foreign request."""
    contexts, errors, requests = [], [], []

    def open_(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    refused = "Failed to load resource: the server responded with a status of 422"
    assert [error for error in errors if not error.startswith(refused)] == []
    assert {url.split("/")[2] for url in requests if url.startswith("http")} == {address[7:]}
    assert all(url.startswith((address, "data:", "blob:")) for url in requests)


@pytest.fixture
def page(open_page):
    return open_page(viewport={"width": 1280, "height": 800})


def draw(page, *strokes):
    area = page.locator("#pad").bounding_box()
    for stroke in strokes:
        for i, (x, y) in enumerate(stroke):
            across, down = area["width"] * x / 100, area["height"] * y / 100
            page.mouse.move(area["x"] + across, area["y"] + down, steps=4 if i else 1)
            if i == 0:
                page.mouse.down()
        page.mouse.up()


def reads(page, text):
    """The page shows this text, and no answer is still to come that could change it."""
    expect(page.locator("#text")).to_have_text(text, timeout=30_000)
    expect(page.locator(".reading")).not_to_have_attribute("aria-busy", "true", timeout=30_000)
    expect(page.locator("#text")).to_have_text(text)


def file(content, name="digits.png"):
    return {"name": name, "mimeType": "image/png", "buffer": content}


def transfer(page, content):
    """The picture as what a drop or a paste brings."""
    return page.evaluate_handle(
        """(text) => {
            const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "digits.png", { type: "image/png" }));
            return transfer;
        }""",
        base64.b64encode(content).decode(),
    )


def test_draw_a_three(page):
    expect(page.locator("#verdict")).to_have_text("Waiting for a digit.")
    draw(page, *THREE)
    reads(page, "3")
    expect(page.locator("#bars .best")).to_contain_text("3")
    expect(page.locator("#bars li")).to_have_count(11)
    image = page.locator("#image")
    assert image.evaluate("(image) => [image.naturalWidth, image.naturalHeight]") == [28, 28]
    assert image.bounding_box()["width"] >= 4 * 28


def test_the_reading_changes_while_the_pen_is_down(page):
    area = page.locator("#pad").bounding_box()
    page.mouse.move(area["x"] + 200, area["y"] + 60)
    page.mouse.down()
    page.mouse.move(area["x"] + 190, area["y"] + 400, steps=8)
    expect(page.locator("#text")).not_to_be_empty()
    page.mouse.up()


def test_draw_42_undo_and_clear(page):
    draw(page, *FOUR, *TWO)
    reads(page, "42")
    expect(page.locator(".box")).to_have_count(2)
    # The 2 is read before its last stroke ends, so the box that frames all of it may come later.
    page.wait_for_function(
        """(drawn) => {
            const pad = document.querySelector("#pad").getBoundingClientRect();
            const box = [...document.querySelectorAll(".box")].at(-1).getBoundingClientRect();
            const across = [box.left, box.right].map((x) => (x - pad.left) / pad.width);
            const down = [box.top, box.bottom].map((y) => (y - pad.top) / pad.height);
            return [...across, ...down].every((at, i) => Math.abs(at - drawn[i]) < 0.03);
        }""",
        arg=[0.59, 0.84, 0.22, 0.75],
    )
    page.keyboard.press("Control+z")
    reads(page, "4")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    reads(page, "")
    draw(page, *THREE)
    reads(page, "3")
    clear = page.get_by_role("button", name="Clear")
    clear.click()
    reads(page, "")
    expect(clear).to_be_focused()
    expect(page.locator(".box")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    reads(page, "3")
    page.get_by_role("button", name="Redo").click()
    reads(page, "")


def test_undo_ends_the_stroke_in_progress(page):
    draw(page, *FOUR)
    reads(page, "4")
    area = page.locator("#pad").bounding_box()
    x, y = area["x"] + area["width"] * 0.7, area["y"] + area["height"] * 0.2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 300, steps=5)
    reads(page, "41")
    page.keyboard.press("Control+z")
    page.mouse.move(x, y + 100, steps=5)
    page.mouse.up()
    reads(page, "4")
    page.keyboard.press("Control+Shift+z")
    reads(page, "41")


def test_digits_that_touch_are_told_apart_by_their_strokes(page):
    draw(page, *FOUR, [(42, 24), (41, 78)], [(x - 18, y) for x, y in TWO[0]])
    reads(page, "412")


def test_a_tap_on_a_digit_shows_it(page, sample):
    def tap(place):
        box = page.locator(".box").nth(place).bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 2)

    draw(page, *FOUR, *TWO)
    reads(page, "42")
    expect(page.get_by_role("status")).to_contain_text("42. ")  # and the boxes stay
    for place, text in ((1, "2"), (0, "4")):
        tap(place)
        expect(page.locator("#bars .best .digit")).to_have_text(text)
    page.get_by_role("button", name="Undo").click()
    reads(page, "4")
    page.get_by_label("Choose a picture").set_input_files(file(written(sample, "30")))
    reads(page, "30")
    expect(page.get_by_role("status")).to_contain_text("30. ")
    tap(1)
    expect(page.locator("#bars .best .digit")).to_have_text("0")


def test_choose_a_picture_of_several_digits(page, sample):
    page.get_by_label("Choose a picture").set_input_files(file(written(sample, "4071")))
    reads(page, "4071")
    digits = page.locator("#digits button")
    expect(digits).to_have_count(4)
    digits.nth(2).click()
    expect(digits.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#bars .best")).to_contain_text("7")
    frame, box = (page.locator(place).bounding_box() for place in ("#frame", ".box >> nth=0"))
    assert 0 < box["x"] - frame["x"] < frame["width"] / 4 - box["width"], "the 4 is boxed"
    page.get_by_role("button", name="Clear").click()
    draw(page, *THREE)
    reads(page, "3")


def test_ink_that_is_no_digit_keeps_its_place_and_is_explained(page, sample):
    page.get_by_label("Choose a picture").set_input_files(file(written(sample, "12-34\n567")))
    expect(page.locator(".box")).to_have_count(8)
    assert page.locator("#text").inner_text() == "12?34\n567"
    expect(page.locator("#verdict")).to_contain_text("some of the ink is not read as a digit")
    two, dash, three = (page.locator(".box").nth(i).bounding_box() for i in (1, 2, 3))
    assert two["x"] + two["width"] < dash["x"] < dash["x"] + dash["width"] < three["x"]
    outline = "(box) => getComputedStyle(box).outlineStyle"
    styles = [box.evaluate(outline) for box in page.locator(".box").all()]
    assert [i for i, style in enumerate(styles) if style == "dotted"] == [2]
    note, bars = page.locator("#unread"), page.locator("#bars")
    page.locator("#digits button").nth(3).click()
    expect(bars.locator(".best")).to_contain_text("3")
    expect(note).to_be_hidden()
    page.get_by_role("button", name="?, not read as a digit").click()
    expect(note).to_contain_text("Not read as a digit")
    expect(bars.locator(".best")).to_have_count(0)
    assert page.locator("#image").evaluate("(image) => image.naturalWidth") == 28


def test_draw_a_minus(page):
    draw(page, [(30, 51), (42, 50)], *TWO)
    reads(page, "?2")
    expect(page.get_by_role("status")).to_contain_text("?2. Not sure")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#unread")).to_be_hidden()


def test_drop_and_paste(page, sample):
    page.dispatch_event("body", "drop", {"dataTransfer": transfer(page, written(sample, "7"))})
    reads(page, "7")
    clipboard = transfer(page, written(sample, "30"))
    page.evaluate(
        """(clipboardData) => document.body.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData, bubbles: true }))""",
        clipboard,
    )
    reads(page, "30")
    page.get_by_role("button", name="Undo").click()
    reads(page, "7")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#pad")).to_be_visible()


def test_pasted_text_leaves_the_reading(page):
    waiting = []
    page.route("**/api/predict", lambda route: waiting.append(route))
    draw(page, *THREE)
    page.evaluate(
        """() => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", "words");
            const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true });
            document.body.dispatchEvent(paste);
        }"""
    )
    expect(page.locator("#verdict")).to_contain_text("was no picture")
    page.unroute("**/api/predict")
    reads(page, "3")
    expect(page.locator("#verdict")).to_contain_text("was no picture")
    draw(page, *TWO)
    expect(page.locator("#verdict")).not_to_contain_text("was no picture")
    reads(page, "32")


def test_a_reader_that_is_slow_or_away_is_asked_again(page):
    page.clock.install()
    waiting, verdict = [], page.locator("#verdict")
    page.route("**/api/predict", lambda route: waiting.append(route))
    draw(page, *THREE)
    expect(verdict).to_have_text("Reading …")
    page.clock.fast_forward(20_000)
    expect(verdict).to_contain_text("does not answer")
    page.unroute("**/api/predict")
    reads(page, "3")
    expect(verdict).to_contain_text("Sure")


def test_doubt_and_refusal_in_words(page):
    choose = page.get_by_label("Choose a picture")
    choose.set_input_files(file(png(np.full((60, 60), 255, np.uint8))))
    expect(page.locator("#verdict")).to_have_text("Not sure: no digit found.")
    choose.set_input_files(file(b"this is text"))
    expect(page.locator("#verdict")).to_contain_text("is not a PNG")
    expect(page.get_by_role("status")).to_contain_text("is not a PNG")
    large = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(20e6 + 1)], "large.png"));
            return transfer;
        }"""
    )
    page.dispatch_event("body", "drop", {"dataTransfer": large})
    expect(page.locator("#verdict")).to_contain_text("more than 20 MB")


def test_only_the_newest_drawing_counts(page, sample):
    held = []

    def hold_the_first(route):
        if held:
            route.continue_()
        held.append(route)

    page.route("**/api/predict", hold_the_first)
    draw(page, *THREE)
    page.get_by_label("Choose a picture").set_input_files(file(written(sample, "7")))
    reads(page, "7")


@pytest.mark.parametrize("size", [(320, 568), (390, 844), (844, 390), (640, 400), (1280, 800)])
def test_nothing_moves_while_a_hand_draws(open_page, size):
    width, height = size
    page = open_page(viewport={"width": width, "height": height})
    pad = page.locator("#pad")
    pad.scroll_into_view_if_needed()
    before = pad.bounding_box()
    assert before["height"] < 0.8 * height, "there is room beside it to scroll by"
    page.evaluate(
        """() => {
            window.shifts = 0;
            new PerformanceObserver((list) => (shifts += list.getEntries().length))
                .observe({ type: "layout-shift" });
        }"""
    )
    draw(page, [(30, 51), (42, 50)], *FOUR, *TWO, [(90, 20), (90, 80)])
    expect(page.locator(".box")).to_have_count(3)
    assert (page.evaluate("shifts"), pad.bounding_box()) == (0, before)


def test_a_phone(open_page, sample):
    page = open_page(**PHONE)
    wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    expect(page.get_by_label("Take a photo")).to_be_attached()
    pad = page.locator("#pad").bounding_box()
    text = page.locator("#verdict").bounding_box()
    assert text["y"] < pad["y"], "the hand that draws does not cover the reading"
    assert page.get_by_role("button", name="Clear").bounding_box()["height"] >= 44
    draw(page, *THREE)
    reads(page, "3")
    page.get_by_label("Choose a picture").set_input_files(file(written(sample, "1234567890" * 3)))
    expect(page.locator("#digits button")).to_have_count(30)
    assert page.evaluate(wide) == 0


def test_a_finger_draws_and_does_not_scroll(open_page):
    page = open_page(**PHONE | {"viewport": {"width": 390, "height": 520}})
    area = page.locator("#pad").bounding_box()
    touch = page.context.new_cdp_session(page)
    for i in range(9):
        point = {"x": area["x"] + 150 + 2 * i, "y": area["y"] + 240 - 25 * i}
        kind = "touchMove" if i else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    reads(page, "1")
    assert page.evaluate("[scrollY, document.documentElement.scrollHeight > innerHeight]") == [0, 1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out(open_page, scheme):
    page = open_page(color_scheme=scheme)
    draw(page, *THREE)
    reads(page, "3")
    background = _luminance(page, "body", "backgroundColor")
    assert (background < 0.1) == (scheme == "dark")
    for selector in ("h1", "header p", "#text", "#verdict", "figcaption", "#bars li"):
        light, dark = sorted([background, _luminance(page, selector, "color")], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{selector}: WCAG asks for 4.5 to 1"


def _luminance(page, selector, style):
    """Relative luminance, https://www.w3.org/TR/WCAG21/#dfn-relative-luminance."""
    colour = page.locator(selector).first.evaluate(f"(e) => getComputedStyle(e).{style}")
    rgb = np.array([int(part) for part in colour[4:-1].split(",")]) / 255
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_by_keyboard_alone(page, sample):
    for name in ("Undo", "Redo", "Clear"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=name)).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Tab")
        outline = "() => getComputedStyle(document.activeElement.closest('.button')).outlineStyle"
        assert page.evaluate(outline) == "solid", "the focus shows"
        page.keyboard.press("Enter")
    chooser.value.set_files(file(written(sample, "30")))
    reads(page, "30")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#digits button").nth(1)).to_be_focused()
    expect(page.locator("#bars .best")).to_contain_text("0")
    page.keyboard.press("Control+z")
    expect(page.locator("#verdict")).to_have_text("Waiting for a digit.")


def test_a_screen_reader_hears_the_answer_when_the_hand_rests(page):
    page.evaluate(
        """() => {
            window.changes = { text: 0, status: 0 };
            const count = (element, name) =>
                new MutationObserver(() => changes[name]++).observe(element, { childList: true });
            count(document.getElementById("text"), "text");
            count(document.querySelector("[role=status]"), "status");
        }"""
    )
    draw(page, *FOUR, *TWO)
    expect(page.get_by_role("status")).to_contain_text("42. ")
    changes = page.evaluate("changes")
    assert changes["status"] < changes["text"]


def test_checked_digits_are_counted_and_saved_as_a_data_set(page, tmp_path):
    draw(page, *FOUR, *TWO)
    reads(page, "42")
    tally, save = page.locator("#tally"), page.get_by_role("button", name="Save the digits")
    expect(save).to_be_hidden()
    page.locator("#digits button").nth(1).click()
    page.get_by_role("button", name="It is a 7").click()
    reads(page, "47")
    expect(tally).to_have_text("1 checked, 1 misread (> 99\u00a0%): 7, 1 of 1.")
    page.get_by_role("button", name="It is a 7").click()
    reads(page, "42")
    page.get_by_role("button", name="It is a 2").click()
    page.locator("#digits button").nth(0).click()
    page.get_by_role("button", name="It is a 9").click()
    expect(tally).to_contain_text("2 checked, 1 misread (50\u00a0%): 9, 1 of 1.")
    with page.expect_download() as download:
        save.click()
    download.value.save_as(tmp_path / "my-digits.npz")
    saved = load_images(tmp_path / "my-digits.npz")
    assert saved.labels.tolist() == [2, 9]
    assert load_network()(saved.images).argmax(1).tolist() == [2, 4]


def test_motion_can_be_reduced(open_page):
    def duration(page):
        bar = page.locator(".bar").first
        return bar.evaluate("(bar) => getComputedStyle(bar).transitionDuration")

    assert duration(open_page(reduced_motion="no-preference")) != "0s"
    assert duration(open_page(reduced_motion="reduce")) == "0s"
