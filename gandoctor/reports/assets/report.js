"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAPER = 680;  // px, inside the margins of A4 and Letter
  const narrow = matchMedia("(max-width: 700px)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const side = (name) => parseFloat(color(name));  // px

  // --- copy buttons, printing, sorting ---------------------------------------------------------------

  for (const button of all("[data-copy]")) {
    const text = button.textContent;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = data.words.copied;
        setTimeout(() => { button.textContent = text; }, 1500);
      } catch {  // no clipboard here: select it, so that one key copies it
        getSelection().selectAllChildren(source);
      }
    });
  }

  // Paper is light, narrower than a screen, and cannot be clicked.
  let redraw = () => {};
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.print = "";
    all("details:not([open])").forEach((one) => {
      one.open = true;
      one.dataset.closed = "";
    });
    redraw();
  });
  addEventListener("afterprint", () => {
    delete document.documentElement.dataset.print;
    all("[data-closed]").forEach((one) => {
      one.open = false;
      delete one.dataset.closed;
    });
    redraw();
  });

  const decode = (text) => {  // base64; a callback for each byte would cost more than all the rest
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = binary.charCodeAt(at);
    return bytes;
  };

  const inflate = async (id) => {
    const bytes = decode(document.getElementById(id).textContent);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };

  // --- the index: sort, filter, and pages that it holds ----------------------------------------------

  all("#runs thead th[data-kind]").forEach((head) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    all("#runs thead th[data-kind]").forEach((one) => one.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[head.cellIndex].dataset.sort;
    const body = document.querySelector("#runs tbody");
    const order = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");  // rows without a value stay last
      return (down ? -1 : 1) * (head.dataset.kind === "num" ? x - y : x.localeCompare(y));
    };
    body.append(...[...body.rows].sort(order));
  }));

  const field = document.getElementById("filter");
  if (field) {
    const chips = all("[data-verdict]");
    const rows = all("#runs tbody tr").map((row) => [row, row.textContent.toLowerCase()]);
    const shown = document.getElementById("shown");
    const filter = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const on = new Set(chips.filter((one) => one.getAttribute("aria-pressed") === "true").map((one) => one.dataset.verdict));
      let count = 0;
      for (const [row, text] of rows) {
        row.hidden = !(on.has(row.cells[0].dataset.sort) && words.every((word) => text.includes(word)));
        count += !row.hidden;
      }
      shown.textContent = data.words.shown.replace("{shown}", count.toLocaleString("en"));
    };
    field.form.addEventListener("submit", (event) => event.preventDefault());
    field.addEventListener("input", filter);
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        filter();
      });
    }
    filter();
  }

  if (document.querySelector("script.page")) {
    let source;
    window.plotlySource = () => (source ||= document.getElementById("plotly") ? inflate("plotly") : Promise.resolve(""));
    let from = null;
    const show = async () => {
      document.querySelector(".viewer")?.remove();
      const name = location.hash.slice(1);
      const page = document.getElementById(`page-${name}`);
      document.querySelector("main").inert = Boolean(page);
      if (!page) {
        from?.focus();
        return;
      }
      from = document.querySelector(`#runs a[href="#${name}"]`);
      const viewer = document.createElement("iframe");
      viewer.className = "viewer";
      viewer.title = from ? from.textContent : name;
      viewer.srcdoc = await inflate(page.id);
      document.body.append(viewer);
      viewer.addEventListener("load", () => viewer.contentWindow.focus());
    };
    addEventListener("hashchange", show);
    show();
  }
  if (parent !== window && parent.plotlySource) {  // links of a page in a frame would lead to the index
    document.addEventListener("click", (event) => {
      const link = event.target.closest('a[href^="#"]');
      if (!link) return;
      event.preventDefault();
      if ("up" in link.dataset) parent.history.pushState(null, "", parent.location.pathname), parent.dispatchEvent(new Event("hashchange"));
      else {
        const target = document.getElementById(link.getAttribute("href").slice(1));
        target?.scrollIntoView();
        target?.setAttribute("tabindex", "-1");
        target?.focus({ preventScroll: true });
      }
    });
  }

  // --- plots -----------------------------------------------------------------------------------------

  if (!data.figures || !data.figures.length) return;
  if (data.span[0] === data.span[1]) data.span = [data.span[0] - 1, data.span[1] + 1];  // a lone step has room

  const views = { i4: Int32Array, f4: Float32Array, f8: Float64Array };
  const unpack = ([kind, text]) => {
    return Array.from(new views[kind](decode(text).buffer), (v) => (Number.isNaN(v) ? null : v));
  };
  const tones = { D: "--net-d", G: "--net-g" };
  const number = (v) => (v === 0 || (Math.abs(v) >= 1e-3 && Math.abs(v) < 1e5) ? String(+v.toPrecision(4)) : v.toExponential(2));

  // Rows of a heat map as what is drawn: decades, or decades from a row's first value.
  const heated = (heat) => {
    const width = unpack(heat.x).length - 1;
    const flat = unpack(heat.z);
    const raw = heat.names.map((_, row) => flat.slice(row * width, (row + 1) * width));
    const [low, high] = heat.scale;
    const z = raw.map((row) => {
      const first = heat.start ? row.find((v) => v !== null && v > 0) || 1 : 1;
      return row.map((v) => (v === null || !Number.isFinite(v) ? null : Math.min(Math.max(v > 0 ? Math.log10(v / first) : low, low), high)));
    });
    return { x: unpack(heat.x), raw, z };
  };
  for (const figure of data.figures) {
    for (const line of figure.lines || []) {
      line.x = unpack(line.x);
      line.y = unpack(line.y);
      if (line.trend) line.trend = { x: unpack(line.trend.x), y: unpack(line.trend.y) };
      line.color = tones[line.tone] || `--c${line.tone}`;
      line.dash = { solid: "solid", dash: "6px,3px", dot: "2px,3px" }[line.dash];
    }
    if (figure.heat) Object.assign(figure.heat, heated(figure.heat));
    figure.full = false;
  }

  let selected = data.findings.find((one) => one.id === data.selected) || null;
  let range = null;
  const node = (figure) => document.getElementById(`figure-${figure.id}`);
  const canvas = (figure) => node(figure).querySelector(".canvas");
  const tone = (finding) => color(finding.severity === "error" ? "--failing" : "--warning");

  const heatTraces = ({ names, x, z, raw, start, scale }) => {
    const ramp = color(start ? "--both" : "--heat").split(",").map((one) => one.trim());
    return [{
      type: "heatmap", x, y: names.map((_, row) => row), z, zmin: scale[0], zmax: scale[1], showscale: false, hoverongaps: false,
      colorscale: ramp.map((one, at) => [at / (ramp.length - 1), one]),
      text: z.map((row, at) => row.map((_, column) => (raw[at][column] === null ? "" : `${names[at]}: ${number(raw[at][column])}`))),
      hovertemplate: "%{text}<extra></extra>",
    }];
  };

  const levels = (figure) => figure.levels.map((level) => ({
    mode: "lines", x: data.span, y: [level.value, level.value], hoverinfo: "skip", opacity: 0.8,
    line: { width: 1.5, dash: "8px,4px", color: color(tones[level.network]) },
  }));

  const traces = (figure) => figure.lines.flatMap((line) => {
    const stroke = color(line.color);
    const base = { mode: "lines", name: line.name, visible: !line.hidden, connectgaps: false };
    const lone = line.y.filter((v) => v !== null).length <= 60 ? { mode: "lines+markers", marker: { size: 4, color: stroke } } : {};
    const made = line.trend
      ? [{ ...base, x: line.x, y: line.y, hoverinfo: "skip", opacity: 0.3, line: { color: stroke, width: 1 } },
         { ...base, x: line.trend.x, y: line.trend.y, line: { color: stroke, width: 2, dash: line.dash } }]
      : [{ ...base, ...lone, x: line.x, y: line.y, line: { color: stroke, width: 1.5, dash: line.dash } }];
    if (line.broken.length) {
      made.push({
        ...base, mode: "markers", x: line.broken, y: line.broken.map(() => 0.02), yaxis: "y2",
        name: `${line.name}: ${data.words["not-finite"]}`, hovertemplate: "%{fullData.name}<extra></extra>",
        marker: { symbol: "x-thin", size: 7, line: { width: 1.5, color: color("--failing") } },
      });
    }
    return made;
  });

  const upright = (x, more) => ({
    type: "line", x0: x, x1: x, y0: 0, y1: 1, yref: "paper", layer: "below",
    line: { width: 1, dash: "2px,3px", color: color("--muted") }, ...more,
  });
  const stretch = (x0, x1, fill, opacity) => ({
    type: "rect", x0, x1, y0: 0, y1: 1, yref: "paper", layer: "below", fillcolor: fill, opacity, line: { width: 0 },
  });

  const band = ({ value, until, network }) => ({
    type: "rect", xref: "paper", x0: 0, x1: 1, y0: value, y1: until, layer: "below", opacity: 0.07,
    fillcolor: color(tones[network]), line: { width: 0 },
  });

  const about = (finding, figure) => !finding.pair || !figure.pair || finding.pair === figure.pair;

  const shapes = (figure) => {
    const made = (figure.levels || []).map(band);
    made.push(...data.findings.filter((one) => one.severity !== "info" && one !== selected && about(one, figure))
      .map((one) => upright(one.onset, { opacity: 0.45 })));
    if (selected && about(selected, figure)) {
      const end = selected.end === null ? data.span[1] : selected.end;
      made.push(stretch(selected.onset, end, tone(selected), 0.09));
      made.push(stretch(...selected.interval, tone(selected), 0.16));
      made.push(upright(selected.onset, { line: { width: 2, color: tone(selected) } }));
    }
    return made;
  };

  const notes = (figure) => {
    if (!selected || !about(selected, figure)) return [];
    const late = selected.onset > data.span[0] + 0.7 * (data.span[1] - data.span[0]);
    return [{
      x: selected.onset, xanchor: late ? "right" : "left", xshift: late ? -3 : 3, yref: "paper", y: 1,
      yanchor: "top", showarrow: false, text: selected.code, font: { size: 11.5, color: tone(selected) },
    }];
  };

  const heatLayout = (figure, whole) => ({
    ...whole, hovermode: "closest",
    shapes: whole.shapes.filter((one) => one.type === "line").map((one) => ({ ...one, layer: "above" })),
    yaxis: {
      ...whole.yaxis, type: "linear", autorange: false, range: [figure.heat.names.length - 0.5, -0.5], showgrid: false,
      tickvals: figure.heat.names.map((_, row) => row), ticktext: figure.heat.short, showticklabels: true,
      tickfont: { size: 11, color: color("--muted") },
    },
  });

  const decades = (figure) => {
    const values = figure.lines.flatMap((line) => (line.trend || line).y).filter((v) => v > 0);
    return Math.log10(values.reduce((a, b) => Math.max(a, b), 0) / values.reduce((a, b) => Math.min(a, b), Infinity));
  };

  const layout = (figure) => {
    const style = getComputedStyle(document.documentElement);
    const ink = color("--muted");
    const bottom = figure === data.figures.at(-1);  // one axis for all: its name stands below the last
    const axis = { gridcolor: color("--grid"), zeroline: false, tickfont: { size: 12, color: ink }, ticks: "" };
    const focus = figure.focus && !figure.full ? figure.focus : null;
    const low = focus && figure.log ? Math.log10(Math.max(focus[0], 1e-12)) : 0;
    const whole = {
      ...("print" in document.documentElement.dataset ? { width: PAPER } : { autosize: true }),
      margin: { l: side("--plot-left"), r: side("--plot-right"), t: 8, b: bottom ? 40 : 24 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: style.getPropertyValue("--sans"), size: 13, color: color("--ink") },
      showlegend: false, hovermode: "x unified", shapes: shapes(figure), annotations: notes(figure),
      hoverlabel: { bgcolor: color("--surface"), bordercolor: color("--line"), font: { color: color("--ink") } },
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      xaxis: {
        ...axis, title: { text: bottom ? data.axis : "", font: { size: 12, color: ink }, standoff: 6 },
        range: [...(range || data.span)], minallowed: data.span[0], maxallowed: data.span[1], showline: true, linecolor: color("--line"), nticks: narrow.matches ? 4 : 8,
        separatethousands: true, exponentformat: "none", hoverformat: ",d",
        spikethickness: 1, spikedash: "solid", spikecolor: color("--muted"),
      },
      yaxis: {
        ...axis, fixedrange: true, type: figure.log ? "log" : "linear", exponentformat: "e", nticks: 6, hoverformat: ".4~g",
        ...(figure.log && decades(figure) > 1.5 ? { dtick: 1 } : {}),
        showticklabels: !figure.empty,
        ...(focus ? { range: figure.log && focus[0] > 0 ? [low, Math.log10(focus[1])] : focus } : { autorange: true }),
      },
      yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
    };
    return figure.heat ? heatLayout(figure, whole) : whole;
  };

  const draw = (figure) => Plotly.react(
    canvas(figure), figure.heat ? heatTraces(figure.heat) : [...levels(figure), ...traces(figure)], layout(figure), { displayModeBar: false, responsive: true, showTips: false });
  const drawn = new Set();  // the others are drawn as things stand when their turn comes
  const drawAll = () => data.figures.filter((one) => drawn.has(one)).forEach(draw);

  const lanes = () => {
    const [first, last] = range || data.span;
    for (const lane of all(".lane")) {
      const one = data.findings.find((finding) => finding.id === lane.dataset.finding);
      if (!one) continue;
      const at = (step) => Math.min(Math.max((100 * (step - first)) / (last - first || 1), 0), 100);
      const [a, b] = [at(one.onset), at(one.end === null ? data.span[1] : one.end)];
      const bar = lane.querySelector(".bar");
      bar.style.left = `${a}%`;
      bar.style.width = `${b - a}%`;
      bar.hidden = one.onset > last || (one.end !== null && one.end < first);
    }
  };

  // Each sample at its step; of those that would overlap the earlier one is shown.
  const films = () => {
    const [first, last] = range || data.span;
    const strips = all(".stills");
    for (const axis of all(".film-axis")) {
      const wide = axis.clientWidth;
      let free = -Infinity;
      const width = narrow.matches ? 40 : 56;
      axis.replaceChildren(...all("img", strips[axis.dataset.film]).flatMap((still) => {
        const step = Math.min(Math.max(Number(still.dataset.step), data.span[0]), data.span[1]);
        if (step < first || step > last) return [];
        const exact = ((step - first) / (last - first || 1)) * wide;
        const at = Math.min(Math.max(exact, width / 2), Math.max(wide - width / 2, width / 2));
        const mark = document.createElement("i");
        mark.style.left = `${exact}px`;
        if (at - width / 2 < free) return [mark];
        free = at + width / 2 + 2;
        const copy = new Image();
        copy.src = still.src;
        copy.alt = "";
        copy.title = still.alt;
        copy.style.left = `${at}px`;
        return [copy, mark];
      }));
    }
  };

  const zoomed = document.getElementById("zoomed");
  const zoom = (to) => {
    const [first, last] = data.span;
    if (to) {
      const wide = Math.min(Math.max(to[1] - to[0], Math.min(2, last - first)), last - first);
      const start = Math.min(Math.max(to[0], first), last - wide);
      to = wide < last - first ? [start, start + wide] : null;
    }
    range = to;
    const slider = document.getElementById("step");
    if (slider) [slider.min, slider.max] = (range || data.span).map(Math.round);
    const reset = document.getElementById("reset");
    if (to) reset.hidden = false;
    for (const button of all('#reset, [data-zoom="out"], [data-zoom="earlier"], [data-zoom="later"]')) button.disabled = !to;
    if (zoomed) {
      const [a, b] = (range || data.span).map((step) => Math.round(step).toLocaleString("en"));
      zoomed.textContent = zoomed.dataset.text.replace("FIRST", a).replace("LAST", b);
    }
    lanes();
    films();
    return drawAll();
  };

  const zooms = {
    in: ([a, b]) => [a + (b - a) / 4, b - (b - a) / 4],
    out: ([a, b]) => [a - (b - a) / 2, b + (b - a) / 2],
    earlier: ([a, b]) => [a - (b - a) / 2, b - (b - a) / 2],
    later: ([a, b]) => [a + (b - a) / 2, b + (b - a) / 2],
    finding: (now) => {
      if (!selected) return now;
      const end = selected.end === null ? data.span[1] : selected.end;
      const room = Math.max((end - selected.onset) * 0.25, (data.span[1] - data.span[0]) * 0.02);
      return [selected.onset - room, end + room];
    },
  };

  // A page may leave the legends to us.
  const entries = (figure) => {
    const box = node(figure).querySelector(".legend");
    if (figure.heat || box.children.length) return;
    const entry = (kind, tone, dash, text) => {
      const made = document.createElement(kind);
      const sign = document.createElement("span");
      const dashes = dash === "solid" ? "" : ` stroke-dasharray="${dash.replaceAll("px", "")}"`;
      sign.innerHTML = `<svg viewBox="0 0 22 10" aria-hidden="true"><path d="M0 5H22" fill="none" `
        + `stroke="var(${tone})" stroke-width="2"${dashes}/></svg>`;
      made.append(sign, text);
      box.append(made);
      return made;
    };
    for (const line of figure.lines) {
      const button = entry("button", line.color, line.dash, line.name);
      button.type = "button";
      button.setAttribute("aria-pressed", String(!line.hidden));
    }
    for (const level of figure.levels) entry("span", tones[level.network], "8px,4px", level.text).className = "level";
  };

  const legend = (figure) => all(".legend button", node(figure)).forEach((button, at) => {
    const line = figure.lines[at];
    button.addEventListener("click", () => {
      line.hidden = !line.hidden;
      button.setAttribute("aria-pressed", String(!line.hidden));
      if (drawn.has(figure)) draw(figure);
    });
  });

  const select = (one) => {
    selected = one;
    all(".lane").forEach((lane) =>
      lane.setAttribute("aria-pressed", String(selected !== null && lane.dataset.finding === selected.id)));
    const button = document.querySelector('[data-zoom="finding"]');
    if (button) button.disabled = !selected;
    drawAll();
  };

  // The pointer stands at one step in every plot; plots in view say their values there too.
  const point = () => {
    const plots = document.getElementById("plots");
    const slider = document.getElementById("step");
    let frame = 0;
    const inView = (box) => box.bottom > 0 && box.top < innerHeight;
    const leave = () => {
      plots.classList.remove("pointed");
      all(".lane.here").forEach((lane) => lane.classList.remove("here"));
      data.figures.filter((one) => !one.heat).forEach((one) => Plotly.Fx.unhover(canvas(one)));
    };
    const stand = (step, over) => {
      const [first, last] = range || data.span;
      const wide = canvas(data.figures[0])._fullLayout.xaxis._length;
      plots.style.setProperty("--pointer", `${((step - first) / (last - first || 1)) * wide}px`);
      plots.classList.add("pointed");
      for (const lane of all(".lane")) {
        const one = data.findings.find((finding) => finding.id === lane.dataset.finding);
        lane.classList.toggle("here", Boolean(one) && one.onset <= step && (one.end === null || step <= one.end));
      }
      for (const figure of data.figures) {
        const box = canvas(figure);
        if (box !== over && !figure.heat && !figure.empty && inView(box.getBoundingClientRect())) Plotly.Fx.hover(box, { xval: step }, "xy");
      }
    };
    const move = (event) => {
      const over = event.target.closest(".canvas, .track, .film-axis");
      if (!over) return leave();
      const { _offset: left, _length: wide } = canvas(data.figures[0])._fullLayout.xaxis;
      const x = event.clientX - over.getBoundingClientRect().left - (over.classList.contains("canvas") ? left : 0);
      if (x < 0 || x > wide) return leave();
      const [first, last] = range || data.span;
      return stand(first + (x / wide) * (last - first), over);
    };
    // The same by keyboard or by touch, with the losses there in words.
    slider?.addEventListener("input", () => {
      const step = Number(slider.value);
      stand(step, null);
      const told = data.figures[0].heat ? [] : data.figures[0].lines.filter((line) => !line.hidden).map((line) => {
        const { x, y } = line.trend || line;
        const at = x.reduce((best, one, place) => (Math.abs(one - step) < Math.abs(x[best] - step) ? place : best), 0);
        return `${line.name} ${y[at] === null || y[at] === undefined ? data.words["not-finite"] : number(y[at])}`;
      });
      const here = all(".lane.here .lane-name code").map((one) => one.textContent);
      slider.setAttribute("aria-valuetext", [`${data.axis} ${step.toLocaleString("en")}`, ...told, ...here].join(", "));
    });
    slider?.addEventListener("blur", leave);
    plots.addEventListener("mousemove", (event) => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => move(event));
    });
    plots.addEventListener("mouseleave", () => {
      cancelAnimationFrame(frame);
      leave();
    });
  };

  const toggle = (figure, selector, name) => {
    const button = node(figure).querySelector(selector);
    if (!button) return;
    button.setAttribute("aria-pressed", String(figure[name]));
    button.addEventListener("click", () => {
      figure[name] = !figure[name];
      button.setAttribute("aria-pressed", String(figure[name]));
      if (drawn.has(figure)) draw(figure);
    });
  };

  // The lines alone, at once: plotly.js takes a second to come.
  const sketch = (figure) => {
    if (figure.heat || figure.empty) return;
    const box = canvas(figure);
    const [wide, high] = [box.clientWidth - side("--plot-left") - side("--plot-right"), box.clientHeight - 8 - 24];
    const scale = (v) => (figure.log ? Math.log10(Math.max(v, 1e-12)) : v);
    const shown = figure.lines.filter((line) => !line.hidden);
    const all = (figure.focus || shown.flatMap((line) => (line.trend || line).y.filter(Number.isFinite))).map(scale);
    const low = all.reduce((a, b) => Math.min(a, b), Infinity);
    const room = all.reduce((a, b) => Math.max(a, b), -Infinity) - low || 1;
    const [first, last] = data.span;
    const path = (line) => {
      let pen = "M";
      return line.x.map((x, at) => {
        if (!Number.isFinite(line.y[at])) {
          pen = "M";
          return "";
        }
        const y = Math.min(Math.max((scale(line.y[at]) - low) / room, 0), 1);
        const point = `${pen}${(((x - first) / (last - first || 1)) * wide).toFixed(1)} ${((1 - y) * high).toFixed(1)}`;
        pen = "L";
        return point;
      }).join("");
    };
    box.innerHTML = `<svg class="sketch" width="${wide}" height="${high}">${shown.map((line) =>
      `<path d="${path(line.trend || line)}" fill="none" stroke="var(${line.color})" stroke-width="1.5"/>`).join("")}</svg>`;
  };

  const bind = () => {
    for (const figure of data.figures) {
      entries(figure);
      legend(figure);
      toggle(figure, "[data-log]", "log");
      toggle(figure, "[data-full]", "full");
    }
    for (const lane of all(".lane")) {
      lane.addEventListener("click", () => {
        const one = data.findings.find((finding) => finding.id === lane.dataset.finding);
        select(selected === one ? null : one);
      });
    }
    for (const link of all("[data-show]")) {
      link.addEventListener("click", () => select(data.findings.find((one) => one.id === link.dataset.show)));
    }
    for (const button of all("[data-zoom]")) {
      button.addEventListener("click", () => zoom(zooms[button.dataset.zoom](range || data.span)));
    }
    document.getElementById("reset").addEventListener("click", () => zoom(null));
    addEventListener("resize", films);
  };

  const start = async () => {
    for (const figure of data.figures) {
      canvas(figure).replaceChildren();
      await draw(figure);
      drawn.add(figure);
      canvas(figure).on("plotly_relayout", (event) => {
        if (event["xaxis.autorange"]) zoom(null);
        else if ("xaxis.range[0]" in event) zoom([event["xaxis.range[0]"], event["xaxis.range[1]"]]);
        else if ("xaxis.range" in event) zoom(event["xaxis.range"]);
      });
      document.documentElement.dataset.plots = "first";
      await new Promise((done) => setTimeout(done));  // let the page answer between two plots
    }
    point();
    dark.addEventListener("change", drawAll);
    narrow.addEventListener("change", drawAll);
    redraw = drawAll;
    document.documentElement.dataset.plots = "drawn";
  };

  const load = async () => {
    const source = document.getElementById("plotly") ? await inflate("plotly")
      : parent !== window && parent.plotlySource ? await parent.plotlySource() : "";
    if (source) {
      const script = document.createElement("script");
      script.textContent = source;
      document.head.append(script);
      document.getElementById("plotly")?.remove();
    }
    if (typeof Plotly === "undefined") throw new Error("plotly.js is not there");
    await start();
  };

  const fail = (fault) => {
    const notice = document.getElementById("no-plots");
    const why = typeof DecompressionStream === "undefined" ? "plots-old-browser"
      : typeof Plotly === "undefined" ? "plots-no-plotly" : "plots-failed";
    notice.textContent = data.words[why];
    notice.hidden = false;
    console.error(fault);
  };
  bind();
  films();
  data.figures.forEach(sketch);
  document.documentElement.dataset.plots = "sketched";
  if (document.getElementById("plotly") && typeof DecompressionStream === "undefined") fail("no DecompressionStream");
  else requestAnimationFrame(() => setTimeout(() => load().catch(fail)));
})();
