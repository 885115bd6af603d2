// One session, from consent to thanks. The server decides what comes next, and this page only
// shows it. So a reload, a second tab or a server that was down costs only time.
"use strict";

const PAUSE_MS = 300;  // between asking for a pair and seeing it, to look away from the button
const GAP_MS = 600;    // between the two images, if they are shown in turn
const TOLERANCE_MS = 4;  // images are hidden at a frame that is at most this early
const LONGEST_MS = 1e8;  // the most that the server accepts; a page left open longer sends this

const code = location.hash.slice(1);  // the link's code; browsers do not send the part after #
const element = (id) => document.getElementById(id);
const sides = { left: element("left"), right: element("right") };
let choose = () => {};  // takes "left" or "right" while an answer is awaited

// --- the server ---------------------------------------------------------------------------------

// Every request may be repeated, because the server saves each answer only once.
async function call(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  for (;;) {
    try {
      const response = await fetch(path, options);
      if (response.ok || response.status === 403 || response.status === 409) {
        return { ok: response.ok, data: await response.json() };
      }
    } catch { /* the server is down: ask the participant to try again */ }
    await trouble();
  }
}

async function trouble() {
  element("trouble").hidden = false;
  await clicked(element("again"));
  element("trouble").hidden = true;
}

const refused = (error) => ({ stage: "refused", error });

async function readState() {
  const { ok, data } = await call("/api/state", { code });
  return ok ? data : refused(data.error);
}

// --- waiting ------------------------------------------------------------------------------------

const clicked = (button) => new Promise((done) => button.addEventListener("click", done, { once: true }));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const within = (ms) => Math.min(Math.max(0, ms), LONGEST_MS);
const frame = () => new Promise(requestAnimationFrame);

async function pressed(text) {
  const next = element("next");
  next.textContent = text;
  next.hidden = false;
  next.focus({ preventScroll: true });
  await clicked(next);
  next.hidden = true;
}

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  const side = { ArrowLeft: "left", 1: "left", ArrowRight: "right", 2: "right" }[event.key];
  if (side !== undefined) choose(side);
  const isNext = event.key === " " || event.key === "Enter";
  const focused = document.activeElement;
  if (isNext && !(focused instanceof HTMLButtonElement && !focused.disabled)) {
    event.preventDefault();  // no scrolling; a focused button handles the key itself
    if (!element("trial").hidden && !element("next").hidden) element("next").click();
  }
});
for (const side of Object.keys(sides)) sides[side].addEventListener("click", () => choose(side));

// --- one trial ----------------------------------------------------------------------------------

async function loaded(token) {
  const image = new Image();
  image.alt = "";
  image.draggable = false;
  image.src = `/image/${token}`;
  await image.decode();
  return image;
}

// The images are already laid out and decoded, so the first frame only makes them visible.
async function expose(images, ms) {
  let wasHidden = document.hidden, wake;
  const outOfSight = new Promise((done) => { wake = done; });
  const watch = () => {
    if (!document.hidden) return;
    wasHidden = true;
    for (const image of images) image.classList.remove("visible");
    wake(performance.now());
  };
  document.addEventListener("visibilitychange", watch);
  const start = await Promise.race([frame(), outOfSight]);
  for (const image of images) image.classList.toggle("visible", !wasHidden);
  let now = start;
  while (!wasHidden && now - start < ms - TOLERANCE_MS) now = await Promise.race([frame(), outOfSight]);
  for (const image of images) image.classList.remove("visible");
  document.removeEventListener("visibilitychange", watch);
  return { exposure_ms: within(now - start), was_hidden: wasHidden };
}

async function exposed(images, facts) {
  await sleep(PAUSE_MS);
  const turns = facts.presentation === "together" ? [images] : images.map((image) => [image]);
  const seen = [];
  for (const turn of turns) {
    if (seen.length > 0) await sleep(GAP_MS);
    seen.push(await expose(turn, facts.exposure_ms));
  }
  return {
    exposure_ms: Math.max(...seen.map((one) => one.exposure_ms)),
    was_hidden: seen.some((one) => one.was_hidden),
  };
}

async function chosen() {
  const since = performance.now();
  for (const side of Object.values(sides)) side.disabled = false;
  const choice = await new Promise((done) => { choose = done; });
  choose = () => {};
  for (const side of Object.values(sides)) side.disabled = true;
  return { choice, response_ms: within(performance.now() - since) };
}

function clear() {
  for (const side of Object.values(sides)) {
    side.querySelector("img")?.remove();
    side.querySelector(".tag").textContent = "";
    side.classList.remove("chosen");
  }
}

function say(question, note = "") {
  element("question").textContent = question;
  element("note").textContent = note;
}

async function runTrial(state, facts) {
  const isPractice = state.number <= facts.practice;
  view("trial");
  clear();
  say("");
  element("progress").textContent = `${state.number} of ${facts.practice + facts.counted}`;
  element("kind").textContent = isPractice ? "Practice" : "";
  element("bar").max = facts.practice + facts.counted;
  element("bar").value = state.number - 1;
  let images;
  try {
    images = await Promise.all([loaded(state.left), loaded(state.right)]);
  } catch {  // the server is down, or another tab has continued
    await trouble();
    return readState();
  }
  images.forEach((image, i) => {
    const place = [sides.left, sides.right][i].querySelector(".frame");
    place.style.setProperty("--ratio", `${image.naturalWidth} / ${image.naturalHeight}`);
    place.append(image);
  });
  const starts = state.number === facts.practice + 1 && facts.practice > 0;
  say("Ready?", starts ? "That was the practice. From here on you are not told whether you were right." : "");
  await pressed("Show the pair");
  const shown = await call("/api/show", { trial: state.number });
  if (!shown.ok) return readState();
  say("");
  const seen = await exposed(images, facts);
  say("Which one was real?");
  const answer = await chosen();
  say("");
  const { ok, data } = await call("/api/answer", { trial: state.number, ...answer, ...seen });
  if (!ok) return readState();
  if (data.feedback !== null) await feedback(data.feedback, answer.choice, images);
  return data.state;
}

async function feedback({ real, is_correct }, choice, images) {
  for (const image of images) image.classList.add("visible");
  for (const [name, side] of Object.entries(sides)) {
    side.querySelector(".tag").textContent = name === real ? "Real" : "Generated";
    side.classList.toggle("chosen", name === choice);
  }
  say(is_correct ? "Right." : "Not right.");
  await pressed("Next");
}

// --- the session --------------------------------------------------------------------------------

function view(name) {
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== name;
}

function fill(facts) {
  const total = facts.practice + facts.counted, seconds = facts.exposure_ms / 1000;
  const values = { title: facts.title, total, practice: facts.practice, counted: facts.counted };
  for (const [name, value] of Object.entries(values)) {
    for (const place of document.querySelectorAll(`[data-${name}]`)) place.textContent = value;
  }
  document.title = facts.title;
  const each = facts.presentation === "together" ? "" : " each, one after the other";
  element("exposure").textContent = `${seconds === 1 ? "one second" : `${seconds} seconds`}${each}`;
  const minutes = Math.max(1, Math.round(total * (4 + seconds) / 60));
  element("minutes").textContent = minutes === 1 ? "one minute" : `${minutes} minutes`;
  element("practice-note").hidden = facts.practice === 0;
  element("chance").textContent = Math.round(facts.counted / 2);
  element("contact").textContent = facts.contact;
  element("contact").hidden = facts.contact === "";
}

async function welcome(state) {
  element("link-note").hidden = !state.is_by_invitation;
  view("welcome");
  const request = Array.from(crypto.getRandomValues(new Uint8Array(16)), (n) => n.toString(16).padStart(2, "0")).join("");
  await clicked(element("join"));
  const { ok, data } = await call("/api/join", { agrees: true, request, code });
  return ok ? data : refused(data.error);
}

function refuse(error) {
  element("refusal").textContent = error;
  view({ "not invited": "uninvited", "already used": "used" }[error] ?? "refused");
}

async function main() {
  let state = await readState();
  const facts = state;
  if ("title" in facts) fill(facts);  // a refused request gets no facts
  for (;;) {
    if (state.stage === "welcome") state = await welcome(state);
    else if (state.stage === "trial") state = await runTrial(state, facts);
    else break;
  }
  if (state.stage === "refused") return refuse(state.error);
  element("correct").textContent = state.correct;
  view("done");
}

// Another link opened in this window is another session.
addEventListener("hashchange", () => location.reload());

main();
