// The table of a fleet: only the rows in view are in the page, so that it is quick at any length.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const HEIGHT = 38, AHEAD = 12;
  const view = document.getElementById("window"), body = document.querySelector("#fleet tbody");
  const heads = [...document.querySelectorAll("#fleet thead th")];
  const search = document.getElementById("search"), found = document.getElementById("found");
  const command = document.getElementById("command");
  const rows = data.rows; // [verdict, name, path, primary, confidence, onset, family, last, ended, report]
  const texts = rows.map((row) => [row[1], row[2], row[3], data.titles[row[3]], row[6], row[0]].join(" ").toLowerCase());
  const keys = [(row) => data.rank[row[0]], (row) => row[1], (row) => row[3], (row) => row[4], (row) => row[5],
    (row) => row[6], (row) => row[7], (row) => row[8], (row) => row[9]];
  let shown = rows.map((_, place) => place), first = -1, last = -1;

  const cell = (text, name) => {
    const made = document.createElement("td");
    made.textContent = text === null || text === "" ? "–" : text;
    if (name) made.className = name;
    return made;
  };
  const line = (place) => {
    const [verdict, name, path, primary, confidence, onset, family, steps, ended, report] = rows[place];
    const made = document.createElement("tr");
    made.setAttribute("aria-rowindex", place + 2);
    const badge = document.createElement("span");
    badge.className = `badge ${verdict === "error" ? "unknown" : verdict}`;
    badge.textContent = data.words[verdict];
    const first = document.createElement("td");
    first.append(badge);
    const run = document.createElement("td"), button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.title = path;
    button.addEventListener("click", () => {
      command.hidden = false;
      command.firstChild.textContent = `gandoctor diagnose ${quoted(path)} -o report.html`;
    });
    run.append(button);
    const link = document.createElement("td");
    if (report) {
      const anchor = document.createElement("a");
      anchor.href = report;
      anchor.textContent = data.words.report;
      link.append(anchor);
    } else link.textContent = "–";
    made.append(first, run, cell(primary ? `${primary} ${data.titles[primary] || ""}` : ""),
      cell(confidence === null ? "" : confidence.toFixed(2), "num"),
      cell(onset === null ? "" : `${Math.round(100 * onset)}%`, "num"), cell(family),
      cell(steps === null ? "" : steps.toLocaleString("en"), "num"),
      cell(ended === null ? "" : new Date(ended).toISOString().slice(0, 16).replace("T", " ")), link);
    return made;
  };
  const quoted = (path) => /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\"'\"'")}'`;
  const space = (height) => {
    const made = document.createElement("tr");
    made.className = "space";
    made.setAttribute("aria-hidden", "true");
    const own = document.createElement("td");
    own.colSpan = heads.length;
    own.style.height = `${height}px`;
    made.append(own);
    return made;
  };
  const draw = (always) => {
    const from = Math.max(0, Math.floor(view.scrollTop / HEIGHT) - AHEAD);
    const to = Math.min(shown.length, from + Math.ceil(view.clientHeight / HEIGHT) + 2 * AHEAD);
    if (!always && from === first && to === last) return;
    [first, last] = [from, to];
    body.replaceChildren(space(from * HEIGHT), ...shown.slice(from, to).map(line), space((shown.length - to) * HEIGHT));
  };
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = order.filter((place) => words.every((word) => texts[place].includes(word)));
    found.textContent = data.words.shown.replace("{shown}", shown.length.toLocaleString("en"))
      .replace("{count}", rows.length.toLocaleString("en"));
    view.scrollTop = 0;
    draw(true);
  };
  let order = shown.slice();
  const { compare } = new Intl.Collator(undefined, { numeric: true }); // made once: 50 times faster
  heads.forEach((head, column) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((one) => one.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = keys[column], sign = down ? -1 : 1;
    const empty = (value) => value === null || value === "";
    order.sort((one, other) => {
      const [a, b] = [key(rows[one]), key(rows[other])];
      if (empty(a) || empty(b)) return empty(a) - empty(b) || one - other;
      return sign * (typeof a === "string" ? compare(a, b) : a - b) || one - other;
    });
    filter();
  }));
  search.addEventListener("input", filter);
  view.addEventListener("scroll", () => draw(false), { passive: true });
  addEventListener("resize", () => draw(true));
  filter();
})();
