"use strict";

const LONGEST = 20e6; // bytes that the server takes
const PAUSE = 40; // milliseconds between an answer and the next question
const CALM = 700; // milliseconds without change after which a screen reader is told
const WIDTH = 320; // of the drawing in its own units, whatever the screen; pixels when it is sent
const PEN = 8; // stroke width in the same units
const UNREAD = "?"; // the text of a piece that is not read as a digit

const $ = (id) => document.getElementById(id);
const pad = $("pad");
const frame = $("frame");
const percent = (p) => `${p > 0.995 ? "> 99" : Math.round(100 * p)}\u00a0%`;

let strokes = []; // each a list of points [x, y]
let picture = null; // the File shown instead of the drawing
let answer = { text: "", sure: false, digits: [] };
let chosen = null; // the piece that the user wants to see, by its place; null: the least sure one

// ---------------------------------------------------------------- drawing

function height() {
  return (WIDTH * frame.clientHeight) / frame.clientWidth;
}

function paint(canvas, scale, paper, ink) {
  canvas.width = Math.round(WIDTH * scale);
  canvas.height = Math.round(height() * scale);
  const context = canvas.getContext("2d", { alpha: !paper });
  if (paper) {
    context.fillStyle = paper;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  context.scale(scale, scale);
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = ink;
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(...points[0]);
    for (let i = 1; i < points.length; i++) {
      const [x, y] = points[i - 1];
      context.quadraticCurveTo(x, y, (x + points[i][0]) / 2, (y + points[i][1]) / 2);
    }
    context.lineTo(...points.at(-1));
    context.stroke();
  }
}

function show() {
  pad.hidden = Boolean(picture);
  $("picture").hidden = !picture;
  const scale = (frame.clientWidth / WIDTH) * Math.min(devicePixelRatio, 2);
  paint(pad, scale, null, getComputedStyle(frame).color);
  $("hint").textContent = picture || strokes.length ? "" : "Write here";
  $("undo").disabled = $("clear").disabled = !picture && !strokes.length;
}

function point(event) {
  const { left, top, width } = pad.getBoundingClientRect();
  return [((event.clientX - left) * WIDTH) / width, ((event.clientY - top) * WIDTH) / width];
}

pad.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !event.isPrimary) return;
  pad.setPointerCapture(event.pointerId);
  strokes.push([point(event)]);
  drawn();
});

pad.addEventListener("pointermove", (event) => {
  if (!event.isPrimary || !pad.hasPointerCapture(event.pointerId)) return;
  const events = event.getCoalescedEvents?.() ?? [];
  strokes.at(-1).push(...(events.length ? events : [event]).map(point));
  drawn();
});

function drawn() {
  show();
  ask(drawing);
}

function drawing() {
  const canvas = document.createElement("canvas");
  paint(canvas, 1, "white", "black");
  return new Promise((done) => canvas.toBlob(done));
}

function undo() {
  if (picture) picture = null;
  else strokes.pop();
  restart();
}

function clear() {
  picture = null;
  strokes = [];
  restart();
}

function restart() {
  forget();
  show();
  if (strokes.length) ask(drawing);
}

$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", clear);
addEventListener("keydown", (event) => {
  if (event.key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey) undo();
});
addEventListener("resize", () => {
  show();
  boxes();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);

// ---------------------------------------------------------------- pictures

function look(file) {
  forget();
  picture = file;
  URL.revokeObjectURL($("picture").src);
  $("picture").src = URL.createObjectURL(file);
  show();
  tell("", "Reading.", false);
  if (file.size > LONGEST) complain("This picture has more than 20 MB: choose a smaller one");
  else ask(async () => file);
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
  else complain("That was no picture file: save the picture first, then bring the file");
}

// ---------------------------------------------------------------- asking

let next = null; // what to ask when the question in progress is answered: only the newest counts
let busy = false;
let questions = new AbortController();

async function ask(question) {
  next = question;
  if (busy) return;
  busy = true;
  while (next) {
    const body = next;
    next = null;
    await put(body, questions.signal);
    await new Promise((done) => setTimeout(done, PAUSE));
  }
  busy = false;
}

async function put(body, signal) {
  try {
    const request = { method: "POST", body: await body(), signal };
    const response = await fetch("api/predict", request);
    const content = await response.json();
    if (signal.aborted) return;
    if (response.ok) report(content);
    else complain(content.error);
  } catch {
    if (!signal.aborted) complain("The reader does not answer: start the app again");
  }
}

function forget() {
  questions.abort();
  questions = new AbortController();
  next = chosen = null;
  report(null);
}

// ---------------------------------------------------------------- answers

function report(content) {
  answer = content ?? { text: "", sure: false, digits: [] };
  tell(answer.text, content ? verdict() : "Waiting for a digit.", content && !answer.sure);
  boxes();
  details();
}

function complain(sentence) {
  report(null);
  tell("", `${sentence[0].toUpperCase()}${sentence.slice(1)}.`, true);
}

function verdict() {
  if (!answer.text) return "Not sure: no digit found.";
  const { text, confidence, sure, probabilities } = answer.digits[leastSure()];
  if (answer.sure) {
    const one = answer.digits.length === 1;
    return `Sure${one ? ":" : `. The least clear is the ${text},`} ${percent(confidence)}.`;
  }
  if (text === UNREAD || sure) return "Not sure: some of the ink is not read as a digit.";
  const none = 1 - probabilities.reduce((sum, p) => sum + p, 0);
  const other = probabilities.indexOf(Math.max(...probabilities.filter((_, i) => i !== Number(text))));
  if (none > probabilities[other]) return `Not sure: the ${text} may be no digit at all.`;
  return `Not sure: the ${text} could be a ${other}.`;
}

let calm = 0;
function tell(text, sentence, doubt) {
  $("text").textContent = text;
  $("text").classList.toggle("long", text.length > 6 || text.includes("\n"));
  $("verdict").textContent = sentence;
  document.querySelector(".reading").classList.toggle("doubt", Boolean(doubt));
  clearTimeout(calm);
  calm = setTimeout(() => {
    $("live").textContent = text ? `${text.replaceAll("\n", ", ")}. ${sentence}` : sentence;
  }, CALM);
}

function leastSure() {
  const confidences = answer.digits.map((digit) => digit.confidence);
  return confidences.indexOf(Math.min(...confidences));
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function kind({ text, sure }) {
  if (text === UNREAD) return "unread";
  return sure ? "" : "doubtful";
}

function label(piece) {
  return kind(piece) === "doubtful" ? `${piece.text}?` : piece.text;
}

function boxes() {
  const width = picture ? $("picture").naturalWidth : WIDTH;
  const tall = picture ? $("picture").naturalHeight : height();
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

function details() {
  const at = Math.min(chosen ?? leastSure(), answer.digits.length - 1);
  const made = answer.digits.map((piece, place) => {
    const button = element("button", kind(piece));
    button.type = "button";
    button.ariaPressed = place === at;
    const sureness = `${piece.sure ? "" : "not sure, "}${percent(piece.confidence)}`;
    button.ariaLabel = `${piece.text}, ${piece.text === UNREAD ? "not read as a digit" : sureness}`;
    const img = element("img", "");
    img.src = `data:image/png;base64,${piece.image}`;
    img.alt = "";
    button.append(img, element("span", "", label(piece)));
    button.addEventListener("click", () => {
      chosen = place;
      details();
      $("digits").children[place].focus();
    });
    return button;
  });
  $("digits").replaceChildren(...made);
  $("digits").hidden = made.length < 2;
  [...$("boxes").children].forEach((box, i) => box.classList.toggle("chosen", made.length > 1 && i === at));
  judged(answer.digits[at] ?? { probabilities: Array(10).fill(0) });
}

function judged({ text, sure, probabilities, image }) {
  $("unread").hidden = text !== UNREAD;
  $("image").hidden = !image;
  if (image) $("image").src = `data:image/png;base64,${image}`;
  const shown = text === UNREAD ? "The piece that is not read" : `Your ${text}`;
  $("image").alt = `${shown} in white on black, 28 pixels wide and high`;
  $("bars").className = sure ? "" : "doubtful";
  probabilities.forEach((p, i) => {
    const row = $("bars").children[i];
    row.className = String(i) === text ? "best" : "";
    row.querySelector(".bar").style.width = `${100 * p}%`;
    row.lastChild.textContent = image ? percent(p) : "";
  });
}

function bar(_, digit) {
  const row = element("li", "");
  const track = element("div", "track");
  track.append(element("div", "bar"));
  row.append(element("span", "", digit), track, element("span", ""));
  return row;
}

$("picture").addEventListener("load", boxes);
$("picture").addEventListener("error", () => {
  $("picture").hidden = true;
  $("hint").textContent = "This browser cannot show this picture";
});
$("bars").append(...Array.from({ length: 10 }, bar));
restart();
