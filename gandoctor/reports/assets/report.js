"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAPER = 680;  // px, inside the margins of A4 and Letter
  const narrow = matchMedia("(max-width: 700px)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

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

  all("#runs thead th").forEach((head, column) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    all("#runs thead th").forEach((one) => one.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.sort;
    const body = document.querySelector("#runs tbody");
    const order = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");  // rows without a value stay last
      return (down ? -1 : 1) * (head.dataset.kind === "num" ? x - y : x.localeCompare(y));
    };
    body.append(...[...body.rows].sort(order));
  }));

  // --- plots -----------------------------------------------------------------------------------------

  if (!data.figures || !data.figures.length) return;

  const views = { i4: Int32Array, f4: Float32Array, f8: Float64Array };
  const unpack = ([kind, text]) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return Array.from(new views[kind](bytes.buffer), (v) => (Number.isNaN(v) ? null : v));
  };
  const tones = { D: "--net-d", G: "--net-g" };
  for (const figure of data.figures) {
    for (const line of figure.lines) {
      line.x = unpack(line.x);
      line.y = unpack(line.y);
      if (line.trend) line.trend = { x: unpack(line.trend.x), y: unpack(line.trend.y) };
      line.color = tones[line.tone] || `--c${line.tone}`;
      line.dash = { solid: "solid", dash: "6px,3px", dot: "2px,3px" }[line.dash];
    }
    figure.full = false;
  }

  let selected = data.findings.find((one) => one.id === data.selected) || null;
  let range = null;
  const node = (figure) => document.getElementById(`figure-${figure.id}`);
  const canvas = (figure) => node(figure).querySelector(".canvas");
  const tone = (finding) => color(finding.severity === "error" ? "--failing" : "--warning");

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

  const about = (finding, figure) => !finding.pair || !figure.pair || finding.pair === figure.pair;

  const shapes = (figure) => {
    const made = data.findings.filter((one) => one.severity !== "info" && one !== selected && about(one, figure))
      .map((one) => upright(one.onset, { opacity: 0.45 }));
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

  const decades = (figure) => {
    const values = figure.lines.flatMap((line) => (line.trend || line).y).filter((v) => v > 0);
    return Math.log10(values.reduce((a, b) => Math.max(a, b), 0) / values.reduce((a, b) => Math.min(a, b), Infinity));
  };

  const layout = (figure) => {
    const style = getComputedStyle(document.documentElement);
    const side = (name) => parseFloat(style.getPropertyValue(name));
    const ink = color("--muted");
    const axis = { gridcolor: color("--grid"), zeroline: false, tickfont: { size: 12, color: ink }, ticks: "" };
    const focus = figure.focus && !figure.full ? figure.focus : null;
    const low = focus && figure.log ? Math.log10(Math.max(focus[0], 1e-12)) : 0;
    return {
      ...("print" in document.documentElement.dataset ? { width: PAPER } : { autosize: true }),
      margin: { l: side("--plot-left"), r: side("--plot-right"), t: 8, b: 40 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: style.getPropertyValue("--sans"), size: 13, color: color("--ink") },
      showlegend: false, hovermode: "x unified", shapes: shapes(figure), annotations: notes(figure),
      hoverlabel: { bgcolor: color("--surface"), bordercolor: color("--line"), font: { color: color("--ink") } },
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      xaxis: {
        ...axis, title: { text: data.axis, font: { size: 12, color: ink }, standoff: 6 },
        range: [...(range || data.span)], minallowed: data.span[0], maxallowed: data.span[1], showline: true, linecolor: color("--line"), nticks: narrow.matches ? 4 : 8,
        separatethousands: true, hoverformat: ",d",
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
  };

  const draw = (figure) => Plotly.react(
    canvas(figure), [...levels(figure), ...traces(figure)], layout(figure), { displayModeBar: false, responsive: true, showTips: false });
  const drawAll = () => data.figures.forEach(draw);

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

  const zoom = (to) => {
    range = to;
    document.getElementById("reset").hidden = !to;
    lanes();
    return drawAll();
  };

  const legend = (figure) => {
    const box = node(figure).querySelector(".legend");
    const swatch = (stroke, dash) => {
      const sign = document.createElement("span");
      const dashes = dash === "solid" ? "" : ` stroke-dasharray="${dash.replaceAll("px", "")}"`;
      sign.innerHTML = `<svg viewBox="0 0 22 10" aria-hidden="true"><path d="M0 5H22" fill="none" `
        + `stroke="var(${stroke})" stroke-width="2"${dashes}/></svg>`;
      return sign;
    };
    figure.lines.forEach((line) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!line.hidden));
      button.append(swatch(line.color, line.dash), line.name);
      button.addEventListener("click", () => {
        line.hidden = !line.hidden;
        button.setAttribute("aria-pressed", String(!line.hidden));
        draw(figure);
      });
      box.append(button);
    });
    figure.levels.forEach((level) => {
      const entry = document.createElement("span");
      entry.className = "level";
      entry.append(swatch(tones[level.network], "8px,4px"), level.text);
      box.append(entry);
    });
  };

  const toggle = (figure, selector, name) => {
    const button = node(figure).querySelector(selector);
    if (!button) return;
    button.setAttribute("aria-pressed", String(figure[name]));
    button.addEventListener("click", () => {
      figure[name] = !figure[name];
      button.setAttribute("aria-pressed", String(figure[name]));
      draw(figure);
    });
  };

  const start = async () => {
    for (const figure of data.figures) {
      legend(figure);
      toggle(figure, "[data-log]", "log");
      toggle(figure, "[data-full]", "full");
      await draw(figure);
      canvas(figure).on("plotly_relayout", (event) => {
        if (event["xaxis.autorange"]) zoom(null);
        else if ("xaxis.range[0]" in event) zoom([event["xaxis.range[0]"], event["xaxis.range[1]"]]);
        else if ("xaxis.range" in event) zoom(event["xaxis.range"]);
      });
      await new Promise((done) => setTimeout(done));  // let the page answer between two plots
    }
    for (const lane of all(".lane")) {
      lane.addEventListener("click", () => {
        const one = data.findings.find((finding) => finding.id === lane.dataset.finding);
        selected = selected === one ? null : one;
        all(".lane").forEach((other) =>
          other.setAttribute("aria-pressed", String(selected !== null && other.dataset.finding === selected.id)));
        drawAll();
      });
    }
    document.getElementById("reset").addEventListener("click", () => zoom(null));
    dark.addEventListener("change", drawAll);
    narrow.addEventListener("change", drawAll);
    redraw = drawAll;
    document.documentElement.dataset.plots = "drawn";
  };

  const load = async () => {
    const packed = document.getElementById("plotly");
    if (packed) {
      const bytes = Uint8Array.from(atob(packed.textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = document.createElement("script");
      script.textContent = await new Response(stream).text();
      document.head.append(script);
      packed.remove();
    }
    await start();
  };

  const fail = (fault) => {
    const notice = document.getElementById("no-plots");
    notice.textContent = data.words["plots-old-browser"];
    notice.hidden = false;
    console.error(fault);
  };
  if (document.getElementById("plotly") && typeof DecompressionStream === "undefined") fail("no DecompressionStream");
  else requestAnimationFrame(() => setTimeout(() => load().catch(fail)));
})();
