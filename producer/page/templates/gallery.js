"use strict";

// The gallery: pictures by filters, and one or two of them large.
(() => {
  const grid = document.getElementById("grid");
  if (!grid) return;

  const { pictures, prompts, settings, attributes, findings, flags } = JSON.parse(
    document.getElementById("data").textContent,
  );
  const $ = (id) => document.getElementById(id);

  function made(name, text = "", kind = "") {
    const element = document.createElement(name);
    element.textContent = text;
    if (kind) element.className = kind;
    return element;
  }

  // What a picture is, in words.

  const against = (picture) => picture.findings.map((number) => findings[number]).filter(([, passed]) => !passed);

  function verdict(picture) {
    const by = picture.person ? ["a person"] : against(picture).map(([check]) => check);
    const word = picture.accepted ? "accepted" : "rejected";
    return picture.accepted && !picture.person ? word : `${word} by ${by.join(", ")}`;
  }

  function local(seconds) {
    if (seconds === null) return "-";
    const moment = new Date(1000 * seconds - 60000 * new Date(1000 * seconds).getTimezoneOffset());
    return moment.toISOString().slice(0, 19).replace("T", " ");
  }

  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

  function command(picture) {
    const values = { prompt: prompts[picture.prompt], seed: picture.seed, ...settings[picture.settings] };
    const named = Object.keys(flags).filter((name) => name in values);
    const options = named.map((name) => `${flags[name]}=${quoted(String(values[name]))}`);
    return ["producer enqueue --new", ...options].join(" ");
  }

  function details(picture) {
    const rows = [["prompt", prompts[picture.prompt]]];
    for (const [name, value] of Object.entries(attributes[picture.attributes])) rows.push([name, value]);
    rows.push(["verdict", verdict(picture)]);
    for (const number of picture.findings) {
      const [check, passed, sentence] = findings[number];
      rows.push([`check ${check}`, `${passed ? "passed" : "against it"}: ${sentence}`]);
    }
    rows.push(["seed", picture.seed]);
    for (const [name, value] of Object.entries(settings[picture.settings])) {
      rows.push([name.replaceAll("_", " "), String(value)]);
    }
    rows.push(["made in", picture.took], ["finished", local(picture.finished)], ["batch", picture.batch]);
    return rows;
  }

  // Filters.

  const words = $("words");
  const verdicts = $("verdict");
  const from = $("from");
  const until = $("until");
  const least = $("least");
  const order = $("order");
  const chosen = new Map();
  const lowered = prompts.map((prompt) => prompt.toLowerCase());

  function option(value, text, count) {
    const element = made("option", `${text} (${count.toLocaleString("en")})`);
    element.value = value;
    return element;
  }

  function counted(values) {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
    return counts;
  }

  function fillVerdicts() {
    const accepted = pictures.filter((picture) => picture.accepted).length;
    verdicts.append(
      option("", "all", pictures.length),
      option("accepted", "accepted", accepted),
      option("rejected", "rejected", pictures.length - accepted),
    );
    const rejected = pictures.filter((picture) => !picture.accepted);
    for (const [check, count] of counted(rejected.flatMap((picture) => against(picture).map(([name]) => name)))) {
      verdicts.append(option(`by ${check}`, `rejected by ${check}`, count));
    }
    const decided = pictures.filter((picture) => picture.person).length;
    if (decided) verdicts.append(option("person", "decided by a person", decided));
  }

  function fillAttributes() {
    const names = new Set(attributes.flatMap((values) => Object.keys(values)));
    for (const name of names) {
      const select = made("select");
      select.dataset.attribute = name;
      const counts = counted(pictures.map((picture) => attributes[picture.attributes][name]));
      counts.delete(undefined);
      select.append(option("", "any", pictures.length));
      for (const [value, count] of counts) select.append(option(`=${value}`, value, count));
      const label = made("label", `${name} `);
      label.append(select);
      $("attributes").append(label);
      chosen.set(name, select);
    }
  }

  function isOfVerdict(picture) {
    switch (verdicts.value) {
      case "":
        return true;
      case "accepted":
        return picture.accepted;
      case "rejected":
        return !picture.accepted;
      case "person":
        return picture.person;
      default:
        return !picture.accepted && against(picture).some(([check]) => `by ${check}` === verdicts.value);
    }
  }

  const ORDERS = {
    job: (one, other) => one.job - other.job,
    slow: (one, other) => (other.seconds ?? -1) - (one.seconds ?? -1),
    new: (one, other) => (other.finished ?? 0) - (one.finished ?? 0),
  };

  let shown = [];

  function filter() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const begin = from.value ? new Date(from.value).getTime() / 1000 : -Infinity;
    const end = until.value ? new Date(until.value).getTime() / 1000 + 1 : Infinity;
    const slow = least.value === "" ? null : Number(least.value);
    const picked = [...chosen].filter(([, select]) => select.value).map(([name, select]) => [name, select.value.slice(1)]);
    const isTimed = Boolean(from.value || until.value);
    shown = pictures.filter(
      (picture) =>
        isOfVerdict(picture) &&
        wanted.every((word) => lowered[picture.prompt].includes(word)) &&
        picked.every(([name, value]) => attributes[picture.attributes][name] === value) &&
        (!isTimed || (picture.finished !== null && picture.finished >= begin && picture.finished < end)) &&
        (slow === null || (picture.seconds !== null && picture.seconds >= slow)),
    );
    shown.sort(ORDERS[order.value]);
    const all = pictures.length.toLocaleString("en");
    $("count").textContent = `${shown.length.toLocaleString("en")} of ${all} ${pictures.length === 1 ? "picture" : "pictures"}`;
    current = 0;
    draw(true);
  }

  // The grid: only the tiles near the screen are there, so that thousands scroll as tens do.

  const GAP = 10;
  const WIDEST = 190;
  const CAPTION = 58;
  const tiles = new Map();
  let current = 0;
  let columns = 1;
  let side = WIDEST;

  const place = (number) => [(number % columns) * (side + GAP), Math.floor(number / columns) * (side + CAPTION + GAP)];

  function tile(number) {
    const picture = shown[number];
    const item = made("div", "", "tile");
    item.setAttribute("role", "listitem");
    item.setAttribute("aria-setsize", shown.length);
    item.setAttribute("aria-posinset", number + 1);
    const button = made("button");
    button.type = "button";
    button.dataset.number = number;
    const frame = made("span", "", "picture");
    if (picture.thumbnail) {
      const image = made("img");
      image.alt = "";
      image.decoding = "async";
      image.src = picture.thumbnail;
      frame.append(image);
    }
    const says = made("span", "", "says");
    const mark = picture.accepted ? "✓" : "✕";
    says.append(
      made("span", prompts[picture.prompt]),
      made("span", `${mark} ${verdict(picture)}`, picture.accepted ? "for" : "against"),
      made("span", `job ${picture.job}, ${picture.thumbnail ? picture.took : "not there any more"}`, "quiet"),
    );
    button.append(frame, says);
    item.append(button);
    return item;
  }

  function draw(anew = false) {
    if (grid.closest("section").hidden) return;
    const width = grid.clientWidth;
    const fit = Math.max(2, Math.floor((width + GAP) / (WIDEST + GAP)));
    const wide = Math.floor((width - GAP * (fit - 1)) / fit);
    if (anew || fit !== columns || wide !== side) {
      [columns, side] = [fit, wide];
      for (const item of tiles.values()) item.remove();
      tiles.clear();
      const rows = Math.ceil(shown.length / columns);
      grid.style.height = `${Math.max(0, rows * (side + CAPTION + GAP) - GAP)}px`;
    }
    const top = grid.getBoundingClientRect().top;
    const height = side + CAPTION + GAP;
    // What is on the screen comes first after a change; what a scroll will bring comes a moment later.
    const ahead = anew ? 0 : window.innerHeight / 2;
    if (anew) setTimeout(draw, 150);
    const first = Math.max(0, Math.floor((-top - ahead) / height)) * columns;
    const last = Math.min(shown.length, Math.ceil((window.innerHeight + ahead - top) / height) * columns);
    for (const [number, item] of tiles) {
      if ((number < first || number >= last) && !item.contains(document.activeElement)) {
        item.remove();
        tiles.delete(number);
      }
    }
    for (let number = first; number < last; number += 1) add(number);
    for (const [number, item] of tiles) item.firstChild.tabIndex = number === current ? 0 : -1;
  }

  function add(number) {
    if (tiles.has(number)) return;
    const item = tile(number);
    const [x, y] = place(number);
    item.style.cssText = `width:${side}px;height:${side + CAPTION}px;transform:translate(${x}px,${y}px)`;
    // In the order of the pictures, which is the one that screen readers go by.
    const behind = [...tiles.keys()].filter((other) => other > number);
    grid.insertBefore(item, behind.length ? tiles.get(Math.min(...behind)) : null);
    tiles.set(number, item);
  }

  function focus(number) {
    if (number < 0 || number >= shown.length) return;
    current = number;
    add(number);
    const button = tiles.get(number).firstChild;
    button.focus({ preventScroll: true });
    button.scrollIntoView({ block: "nearest" });
    draw();
  }

  grid.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    if (event.key in steps) focus(current + steps[event.key]);
    else if (event.key === "Home") focus(0);
    else if (event.key === "End") focus(shown.length - 1);
    else return;
    event.preventDefault();
  });

  grid.addEventListener("focusin", (event) => {
    current = Number(event.target.dataset.number);
    draw();
  });

  grid.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) open(Number(button.dataset.number));
  });

  // The large view: one picture, or one that is held beside those that the arrows go through.

  const dialog = $("large");
  let large = 0;
  let held = null;

  async function copied(element) {
    try {
      await navigator.clipboard.writeText(element.textContent);
      return true;
    } catch {
      // Safari and Firefox have no clipboard for a page that is a file, but copy what is selected.
      getSelection().selectAllChildren(element);
      return document.execCommand("copy");
    }
  }

  function pane(picture, other) {
    const article = $("pane").content.cloneNode(true).firstElementChild;
    const image = article.querySelector("img");
    const gone = article.querySelector(".gone");
    image.alt = `job ${picture.job}: ${prompts[picture.prompt]}`;
    // The page may have been taken elsewhere without the files; the small copy is still there then.
    image.addEventListener(
      "error",
      () => {
        gone.hidden = false;
        if (picture.thumbnail) image.src = picture.thumbnail;
      },
      { once: true },
    );
    image.src = picture.file || "";
    const link = article.querySelector("a");
    if (picture.file) link.href = picture.file;
    else {
      link.hidden = true;
      gone.hidden = false;
    }
    const theirs = new Map(other ? details(other) : []);
    for (const [name, value] of details(picture)) {
      const said = made("dd", value, other && theirs.get(name) !== value ? "differs" : "");
      article.querySelector("dl").append(made("dt", name), said);
    }
    const line = article.querySelector("code");
    line.textContent = command(picture);
    const status = article.querySelector("[role=status]");
    article.querySelector(".copy").addEventListener("click", async () => {
      const isCopied = await copied(line);
      status.textContent = isCopied ? "copied" : "the browser does not let this page copy; the command is below";
    });
    return article;
  }

  function drawLarge() {
    const picture = shown[large];
    const isBeside = held !== null && held !== picture;
    $("large-heading").textContent = isBeside ? `job ${held.job} beside job ${picture.job}` : `job ${picture.job}`;
    $("panes").replaceChildren(...(isBeside ? [pane(held, picture), pane(picture, held)] : [pane(picture, null)]));
    $("hold").setAttribute("aria-pressed", String(held !== null));
    $("earlier").disabled = large === 0;
    $("later").disabled = large === shown.length - 1;
  }

  function open(number) {
    large = number;
    held = null;
    drawLarge();
    dialog.showModal();
  }

  function go(step) {
    if (large + step < 0 || large + step >= shown.length) return;
    large += step;
    drawLarge();
  }

  function hold() {
    held = held === null ? shown[large] : null;
    drawLarge();
  }

  $("earlier").addEventListener("click", () => go(-1));
  $("later").addEventListener("click", () => go(1));
  $("hold").addEventListener("click", hold);
  $("close").addEventListener("click", () => dialog.close());
  // A person goes on from the picture that the arrows led to.
  dialog.addEventListener("close", () => focus(large));
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") go(-1);
    else if (event.key === "ArrowRight") go(1);
    else if (event.key === "c") hold();
    else return;
    event.preventDefault();
  });

  fillVerdicts();
  fillAttributes();
  const form = $("filters");
  form.hidden = false;
  $("scriptless").hidden = true;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  // The fields are empty after the event.
  form.addEventListener("reset", () => setTimeout(filter));
  window.addEventListener("scroll", () => draw(), { passive: true });
  window.addEventListener("resize", () => draw());
  filter();
})();
