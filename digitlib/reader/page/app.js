import { npz } from "./npz.js";

const LONGEST = 20e6; // bytes that the server takes
const PAUSE = 40; // milliseconds between an answer and the next question
const LATE = 500; // milliseconds after which an older answer is shown as such
const PATIENCE = 20000; // milliseconds after which no answer is expected any more
const RETRY = 2000; // milliseconds until the same is asked again
const CALM = 700; // milliseconds without change after which a screen reader is told
const WIDTH = 320; // of the drawing in its own units, whatever the screen
const PEN = 8; // stroke width in the same units
const TAP = 3; // how far a pen may move, in the same units, that chooses a box
const FORGOTTEN = "forgotten"; // why a question was ended: something else is shown
const UNREAD = "?"; // the text of a piece that is not read as a digit

const $ = (id) => document.getElementById(id);
const pad = $("pad");
const frame = $("frame");
const reading = document.querySelector(".reading");
const percent = (p) => `${p > 0.995 ? "> 99" : Math.round(100 * p)}\u00a0%`;

const EMPTY = { strokes: [], picture: null };
let shown = EMPTY; // strokes, each a list of points [x, y], or the File of a picture
let past = []; // what was shown before
let future = []; // what undo took back
let pen = null; // the pointer that draws: its id, its way, and the box under it when it came down
let answer = { text: "", sure: false, digits: [] };
let objection = ""; // what is wrong with what was brought last and is not shown
let chosen = null; // the piece that the user wants to see, by its place; null: the least sure one
const sitting = new Map(); // what the user says that a piece is, and how it was read, by its image

// ---------------------------------------------------------------- drawing

function height() {
  return Math.round((WIDTH * frame.clientHeight) / frame.clientWidth);
}

function paint() {
  const scale = (frame.clientWidth / WIDTH) * Math.min(devicePixelRatio, 2);
  pad.width = Math.round(WIDTH * scale);
  pad.height = Math.round(height() * scale);
  const context = pad.getContext("2d");
  context.scale(scale, scale);
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = getComputedStyle(frame).color;
  for (const points of shown.strokes) {
    context.beginPath();
    for (const point of [...points, points.at(-1)]) context.lineTo(...point);
    context.stroke();
  }
}

function isEmpty() {
  return !shown.picture && !shown.strokes.length;
}

function show() {
  const { picture } = shown;
  pad.hidden = Boolean(picture);
  $("picture").hidden = !picture;
  paint();
  $("hint").textContent = isEmpty() ? "Write here" : "";
  $("undo").ariaDisabled = !past.length;
  $("redo").ariaDisabled = !future.length;
  $("clear").ariaDisabled = isEmpty();
}

function point(event) {
  const { left, top, width } = pad.getBoundingClientRect();
  const sides = [event.clientX - left, event.clientY - top];
  return sides.map((side) => Math.round((10 * side * WIDTH) / width) / 10);
}

function boxAt({ clientX: x, clientY: y }) {
  return [...$("boxes").children].findIndex((box) => {
    const { left, right, top, bottom } = box.getBoundingClientRect();
    return left <= x && x <= right && top <= y && y <= bottom;
  });
}

frame.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !event.isPrimary) return;
  const box = boxAt(event);
  if (shown.picture) return choose(box);
  pad.setPointerCapture(event.pointerId);
  pen = { id: event.pointerId, way: 0, box };
  past.push(shown);
  future = [];
  shown = { picture: null, strokes: [...shown.strokes, [point(event)]] };
  show();
});

pad.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pen?.id) return;
  const events = event.getCoalescedEvents?.() ?? [];
  const stroke = shown.strokes.at(-1);
  stroke.push(...(events.length ? events : [event]).map(point));
  const [across, down] = [0, 1].map((side) => stroke.at(-1)[side] - stroke[0][side]);
  pen.way = Math.max(pen.way, Math.hypot(across, down));
  show();
  if (pen.way > TAP) ask();
});

for (const end of ["pointerup", "pointercancel"]) {
  pad.addEventListener(end, (event) => {
    if (event.pointerId !== pen?.id) return;
    const { way, box } = pen;
    pen = null;
    if (way > TAP || box < 0) return ask();
    shown = past.pop(); // a tap on a digit is no ink
    show();
    choose(box);
  });
}

function step(from, to) {
  if (!from.length) return;
  to.push(shown);
  turn(from.pop());
}

function change(next) {
  past.push(shown);
  future = [];
  turn(next);
}

/* Show something else than before; a stroke in progress ends. */
function turn(next) {
  pen = null;
  const isOther = shown.picture !== next.picture || !next.strokes.length;
  shown = next;
  if (isOther) forget();
  if (isOther && shown.picture) present(shown.picture);
  show();
  if (!isEmpty()) ask();
}

const undo = () => step(past, future);
const redo = () => step(future, past);

$("undo").addEventListener("click", undo);
$("redo").addEventListener("click", redo);
$("clear").addEventListener("click", () => isEmpty() || change(EMPTY));
addEventListener("keydown", (event) => {
  if (!event.ctrlKey && !event.metaKey) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) undo();
  else if (key === "y" || key === "z") redo();
  else return;
  event.preventDefault();
});
addEventListener("resize", () => {
  show();
  boxes();
});
for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
  matchMedia(query).addEventListener("change", show);
}

// ---------------------------------------------------------------- pictures

function present(file) {
  URL.revokeObjectURL($("picture").src);
  $("picture").src = URL.createObjectURL(file);
  tell("Reading.", false);
}

function look(file) {
  if (file.size > LONGEST) object("This picture has more than 20 MB: choose a smaller one");
  else change({ strokes: [], picture: file });
}

for (const input of [$("file"), $("camera")]) {
  input.addEventListener("change", () => {
    if (input.files[0]) look(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
}

addEventListener("paste", (event) => received(event.clipboardData));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  received(event.dataTransfer);
});

function received(transfer) {
  if (transfer.files[0]) look(transfer.files[0]);
  else object("That was no picture file: save the picture first, then bring the file");
}

// ---------------------------------------------------------------- asking

let isAsked = false; // what is shown has changed since the last question
let question = null; // the one in progress: what ends it

async function ask() {
  isAsked = true;
  objection = "";
  if (question) return;
  reading.ariaBusy = true;
  while (isAsked) {
    isAsked = false;
    const mine = (question = new AbortController());
    const isAnswered = await put(mine);
    await new Promise((done) => setTimeout(done, isAnswered ? PAUSE : RETRY));
    isAsked ||= !isAnswered && mine.signal.reason !== FORGOTTEN;
  }
  question = null;
  reading.ariaBusy = false;
}

/* Ask what is shown; gives whether there is an answer, or nobody waits for it any more. */
async function put(mine) {
  const { strokes, picture } = shown;
  const late = setTimeout(() => tell("Reading …", false, true), LATE);
  const slow = setTimeout(() => mine.abort(), PATIENCE);
  const drawing = () => JSON.stringify({ width: WIDTH, height: height(), strokes });
  const type = picture ? "application/octet-stream" : "application/json";
  const request = { method: "POST", body: picture ?? drawing(), headers: { "Content-Type": type } };
  try {
    const response = await fetch("api/predict", { ...request, signal: mine.signal });
    const content = await response.json();
    if (mine.signal.aborted) return true;
    if (response.ok) report(content);
    else complain(content.error);
    return true;
  } catch {
    if (mine.signal.reason === FORGOTTEN) return true;
    complain("The reader does not answer: if the app was ended, start it again");
    return false;
  } finally {
    clearTimeout(late);
    clearTimeout(slow);
  }
}

function forget() {
  question?.abort(FORGOTTEN);
  isAsked = false;
  chosen = null;
  report(null);
}

// ---------------------------------------------------------------- answers

function report(content) {
  answer = content ?? { text: "", sure: false, digits: [] };
  if (content && objection) say(objection);
  else if (content) judge();
  else tell("Waiting for a digit.", false);
  boxes();
  details();
}

function judge() {
  const isSettled = answer.digits.some(said) && answer.digits.every((piece) => !kind(piece));
  tell(isSettled ? "Noted, as you say." : verdict(), !isSettled && !answer.sure);
}

/* Something went wrong with what is shown. */
function complain(sentence) {
  report(null);
  say(sentence);
}

/* What was brought cannot be shown; an answer that is still to come does not hide that. */
function object(sentence) {
  objection = sentence;
  say(sentence);
}

/* A sentence that leaves the reading as it is. */
function say(sentence) {
  tell(`${sentence[0].toUpperCase()}${sentence.slice(1)}.`, true);
}

function verdict() {
  if (!answer.text) return "Not sure: no digit found.";
  const { text, confidence, sure, probabilities } = answer.digits[leastSure()];
  if (answer.sure) {
    const one = answer.digits.length === 1;
    return `Sure${one ? ":" : `. The least clear is the ${text},`} ${percent(confidence)}.`;
  }
  if (text === UNREAD || sure) return "Not sure: some of the ink is not read as a digit.";
  const others = probabilities.map((p, digit) => (digit === Number(text) ? 0 : p));
  const other = others.indexOf(Math.max(...others));
  if (noDigit(probabilities) > others[other]) return `Not sure: the ${text} may be no single digit.`;
  return `Not sure: the ${text} could be a ${other}.`;
}

function noDigit(probabilities) {
  return Math.max(0, 1 - probabilities.reduce((sum, p) => sum + p, 0));
}

let calm = 0;
function tell(sentence, doubt, isLate = false) {
  let place = 0;
  const text = answer.text.replace(/[^\n]/g, (sign) => said(answer.digits[place++]) ?? sign);
  const isLong = text.length > 6 || text.includes("\n");
  $("text").textContent = text;
  $("text").classList.toggle("long", isLong);
  $("verdict").textContent = sentence;
  reading.classList.toggle("doubt", Boolean(doubt));
  reading.classList.toggle("late", isLate);
  reading.tabIndex = isLong ? 0 : -1; // it may scroll
  clearTimeout(calm);
  calm = setTimeout(() => {
    $("live").textContent = text ? `${text.replaceAll("\n", ", ")}. ${sentence}` : sentence;
  }, CALM);
}

function said(piece) {
  return sitting.get(piece.image)?.label;
}

function leastSure() {
  const confidences = answer.digits.map((piece) => (said(piece) ? 1 : piece.confidence));
  return confidences.indexOf(Math.min(...confidences));
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function kind(piece) {
  if (said(piece)) return "";
  if (piece.text === UNREAD) return "unread";
  return piece.sure ? "" : "doubtful";
}

function label(piece) {
  return said(piece) ?? (kind(piece) === "doubtful" ? `${piece.text}?` : piece.text);
}

function boxes() {
  const width = shown.picture ? $("picture").naturalWidth : WIDTH;
  const tall = shown.picture ? $("picture").naturalHeight : height();
  const scale = Math.min(frame.clientWidth / width, frame.clientHeight / tall);
  $("boxes").style.width = `${width * scale}px`;
  $("boxes").style.height = `${tall * scale}px`;
  const made = answer.digits.map((piece) => {
    const [left, top, right, bottom] = piece.box;
    const box = element("div", `box ${kind(piece)}`);
    box.style.left = `${(100 * left) / width}%`;
    box.style.top = `${(100 * top) / tall}%`;
    box.style.width = `${(100 * (right - left)) / width}%`;
    box.style.height = `${(100 * (bottom - top)) / tall}%`;
    box.classList.toggle("low", top < 0.1 * tall);
    box.append(element("span", "", label(piece)));
    return box;
  });
  $("boxes").replaceChildren(...made);
}

function choose(place) {
  if (place < 0) return;
  chosen = place;
  details();
}

function details() {
  const at = Math.min(chosen ?? leastSure(), answer.digits.length - 1);
  const made = answer.digits.map((piece, place) => {
    const button = element("button", kind(piece));
    button.type = "button";
    button.ariaPressed = place === at;
    const sureness = `${piece.sure ? "" : "not sure, "}${percent(piece.confidence)}`;
    const read = `${piece.text}, ${piece.text === UNREAD ? "not read as a digit" : sureness}`;
    button.ariaLabel = said(piece) ? `${said(piece)}, as you say` : read;
    button.append(picture(piece), element("span", "", label(piece)));
    button.addEventListener("click", () => {
      choose(place);
      $("digits").children[place].focus();
    });
    return button;
  });
  $("digits").replaceChildren(...made);
  [...$("boxes").children].forEach((box, i) => box.classList.toggle("chosen", made.length > 1 && i === at));
  judged(answer.digits[at]);
}

function picture({ image }) {
  const img = element("img", "");
  img.src = `data:image/png;base64,${image}`;
  img.alt = "";
  return img;
}

function judged(piece) {
  const { text, sure, image, probabilities } = piece ?? { probabilities: [] };
  $("unread").hidden = text !== UNREAD;
  $("image").hidden = !piece;
  if (piece) $("image").src = `data:image/png;base64,${image}`;
  const name = text === UNREAD ? "The piece that is not read" : `Your ${text}`;
  $("image").alt = `${name} in white on black, 28 pixels wide and high`;
  $("bars").className = sure ? "" : "doubtful";
  [...$("bars").children].forEach((row, digit) => {
    const p = probabilities[digit] ?? (piece ? noDigit(probabilities) : 0);
    const button = row.firstChild;
    row.className = String(digit) === text ? "best" : "";
    row.querySelector(".bar").style.width = `${100 * p}%`;
    button.lastChild.textContent = piece ? percent(p) : "";
    button.disabled = !piece;
    if (digit < 10) {
      button.ariaPressed = Boolean(piece) && said(piece) === String(digit);
      button.onclick = () => check(piece, String(digit));
    }
  });
}

function bar(_, digit) {
  const row = element("li", "");
  const inner = element(digit < 10 ? "button" : "div", "row");
  const track = element("div", "track");
  track.append(element("div", "bar"));
  if (digit < 10) inner.append(element("span", "unseen", "It is a "));
  inner.append(element("span", "digit", digit < 10 ? digit : "none"), track, element("span", ""));
  row.append(inner);
  return row;
}

// ---------------------------------------------------------------- how well does it read me?

/* The user says what a piece is; saying the same again takes it back. */
function check(piece, digit) {
  if (said(piece) === digit) sitting.delete(piece.image);
  else sitting.set(piece.image, { label: digit, read: piece.text });
  chosen = answer.digits.indexOf(piece);
  judge();
  boxes();
  details();
  tally();
}

function tally() {
  const checked = [...sitting.values()];
  const isWrong = ({ label, read }) => label !== read;
  const wrong = checked.filter(isWrong);
  const digits = [...new Set(wrong.map(({ label }) => label))].sort();
  const shares = digits.map((digit) => {
    const mine = checked.filter(({ label }) => label === digit);
    return `${digit}, ${mine.filter(isWrong).length} of ${mine.length}`;
  });
  const rate = wrong.length ? ` (${percent(wrong.length / checked.length)}): ${shares.join("; ")}` : "";
  $("tally").textContent = checked.length ? `${checked.length} checked, ${wrong.length} misread${rate}.` : "";
  $("save").hidden = !checked.length;
}

async function save() {
  const images = await Promise.all([...sitting.keys()].map((image) => pixels(picture({ image }))));
  const n = images.length;
  const file = npz({
    x: { shape: [n, 28, 28], bytes: images.flat() },
    y: { shape: [n], bytes: [...sitting.values()].map(({ label }) => Number(label)) },
  });
  const link = element("a", "");
  link.href = URL.createObjectURL(file);
  link.download = "my-digits.npz";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function pixels(img) {
  await img.decode();
  const canvas = element("canvas", "");
  canvas.width = canvas.height = 28;
  const context = canvas.getContext("2d");
  context.drawImage(img, 0, 0);
  return [...context.getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0);
}

$("save").addEventListener("click", save);
$("picture").addEventListener("load", boxes);
$("picture").addEventListener("error", () => {
  $("picture").hidden = true;
  $("hint").textContent = "This browser cannot show this picture";
});
$("bars").append(...Array.from({ length: 11 }, bar));
turn(EMPTY);
