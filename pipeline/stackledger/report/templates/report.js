// Sorts tables and selects a time. Without it the page shows the same, unsorted and whole.
'use strict';
(() => {
  const UNITS = {
    '': 1, '%': 1, ns: 1e-9, µs: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, d: 86400,
    B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, PiB: 2 ** 50,
    M: 1e6, G: 1e9, T: 1e12,
  };
  const UNIT = '(%|[a-zA-Zµ]*)';
  const NUMBER = new RegExp(
    `^(<)? ?([+-])?[$€£]?([0-9.]+) ?${UNIT}(?: ([0-9.]+) ${UNIT})?(/s|/min)?$`);

  // What report/format.py wrote, as a number; undefined for a text.
  function number(written) {
    const found = NUMBER.exec(written.replace(/,/g, ''));
    if (!found || !(found[4] in UNITS) || !((found[6] || '') in UNITS)) return undefined;
    const size = found[3] * UNITS[found[4]] + (found[5] || 0) * UNITS[found[6] || ''];
    return (found[2] === '-' ? -size : size) / (found[7] === '/min' ? 60 : 1) / (found[1] ? 2 : 1);
  }

  function sort(table, column, heading) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const texts = new Map(rows.map((row) => [row, row.cells[column].textContent.trim()]));
    const known = rows.filter((row) => !['', '–'].includes(texts.get(row)));
    const numeric = known.every((row) => number(texts.get(row)) !== undefined);
    const before = heading.getAttribute('aria-sort');
    const up = before ? before === 'descending' : !numeric;
    const compare = numeric
      ? (a, b) => number(texts.get(a)) - number(texts.get(b))
      : (a, b) => (texts.get(a) < texts.get(b) ? -1 : texts.get(a) > texts.get(b) ? 1 : 0);
    known.sort((a, b) => (up ? compare(a, b) : compare(b, a)));
    // What has no value comes last, whichever way.
    body.append(...known, ...rows.filter((row) => !known.includes(row)));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
    heading.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  }

  for (const table of document.querySelectorAll('table.sortable')) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...heading.childNodes);
      button.addEventListener('click', () => sort(table, column, heading));
      heading.append(button);
    });
  }

  const times = document.getElementById('times');
  if (!times) return;
  const rows = [...document.querySelectorAll('#moments tbody tr')];
  const labels = [...rows.map((row) => row.cells[0].textContent), times.dataset.end];
  const step = times.dataset.step / 100;
  const last = rows.length - 1;
  const [from, until, zoom, all, chosen] = ['from', 'until', 'zoom', 'all', 'chosen']
    .map((id) => document.getElementById(id));
  const make = (parent, name) => {
    const made = document.createElement('div');
    made.className = name;
    return parent.appendChild(made);
  };
  const plots = [...times.querySelectorAll('.timed')].map((plot) => {
    const area = plot.querySelector('.area');
    const x = plot.querySelector('.x');
    return {
      area, plot, drawing: area.querySelector('svg'), ends: make(x, 'ends'),
      veils: [make(area, 'veil before'), make(area, 'veil after')],
    };
  });
  let [first, final, zoomed] = [0, last, false];
  const left = (column) => Math.min(1, column * step);
  const range = () => (zoomed ? [left(first), left(final + 1)] : [0, 1]);

  function select(a, b) {
    [first, final] = [Math.min(a, b), Math.max(a, b)];
    const whole = first === 0 && final === last;
    if (whole) zoomed = false;
    const [low, high] = range();
    const text = `${labels[first]} to ${labels[final + 1]}`;
    for (const one of plots) {
      one.drawing.setAttribute('viewBox', `${low * 1000} 0 ${(high - low) * 1000} 200`);
      one.plot.classList.toggle('zoomed', zoomed);
      one.ends.textContent = zoomed ? text : '';
      one.veils[0].style.width = zoomed ? 0 : `${left(first) * 100}%`;
      one.veils[1].style.left = zoomed ? '100%' : `${left(final + 1) * 100}%`;
    }
    rows.forEach((row, at) => { row.hidden = at < first || at > final; });
    [from.value, until.value] = [first, final];
    from.setAttribute('aria-valuetext', labels[first]);
    until.setAttribute('aria-valuetext', labels[final + 1]);
    zoom.disabled = whole;
    zoom.setAttribute('aria-pressed', zoomed);
    chosen.textContent = text;
  }

  for (const { area } of plots) {
    let start = null;
    const column = (event) => {
      const box = area.getBoundingClientRect();
      const [low, high] = range();
      const at = low + (high - low) * (event.clientX - box.left) / box.width;
      return Math.max(0, Math.min(last, Math.floor(at / step)));
    };
    area.addEventListener('pointerdown', (event) => {
      if (zoomed || event.button) return;
      start = column(event);
      area.setPointerCapture(event.pointerId);
      select(start, start);
    });
    area.addEventListener('pointermove', (event) => {
      if (start !== null) select(start, column(event));
    });
    for (const end of ['pointerup', 'pointercancel']) {
      area.addEventListener(end, () => { start = null; });
    }
  }
  from.addEventListener('input', () => select(Math.min(+from.value, final), final));
  until.addEventListener('input', () => select(first, Math.max(+until.value, first)));
  zoom.addEventListener('click', () => { zoomed = !zoomed; select(first, final); });
  all.addEventListener('click', () => select(0, last));
  for (const hidden of document.querySelectorAll('.needs-script')) hidden.hidden = false;
  select(0, last);
})();
