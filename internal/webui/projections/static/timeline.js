// Lives, drawn: from where something begins to where it ends, and how far it is.

import { h, s } from './dom.js';
import { clockTime, now, relative, when } from './clock.js';

const part = (at, from, to) => Math.min(100, Math.max(0, ((at - from) / (to - from)) * 100));
const percent = (n) => n.toFixed(3) + '%';

// line draws marks, each {at, text} and in order, from the first to the last. what is said
// to those who do not see it.
export function line(what, marks, which = 'system') {
  marks = marks.filter((m) => m.at).sort((a, b) => a.at - b.at);
  if (marks.length < 2) return null;
  const [from, to] = [marks[0].at, marks[marks.length - 1].at];
  const said = what + ': ' + marks.map((m) => `${m.text} ${relative(m.at, which)}`).join(', ');
  const here = percent(part(now(which), from, to));
  const over = now(which) >= to;
  return h('div', { class: 'life' + (over ? ' over' : '') },
    s('svg', { role: 'img', 'aria-label': said, 'data-from': from, 'data-to': to, 'data-clock': which },
      s('rect', { class: 'track', x: 0, y: 9, width: '100%', height: 6, rx: 3 }),
      marks.slice(1, -1).map((m) => s('rect', { class: 'late', x: percent(part(m.at, from, to)), y: 9, width: percent(100 - part(m.at, from, to)), height: 6, rx: 3 })),
      s('rect', { class: 'gone', x: 0, y: 9, width: here, height: 6, rx: 3 }),
      marks.slice(1, -1).map((m) => s('line', { class: 'mark', x1: percent(part(m.at, from, to)), x2: percent(part(m.at, from, to)), y1: 3, y2: 21 })),
      s('circle', { class: 'here', cx: here, cy: 12, r: 5.5 })),
    h('ol', { class: 'marks', role: 'list' }, marks.map((m) => h('li', null,
      h('span', { class: 'what' }, m.text), ' ', when(m.at, which), ' ', h('span', { class: 'at' }, clockTime(m.at, which))))));
}

// tick moves what is now in all lines below root.
export function tick(root) {
  for (const svg of root.querySelectorAll('.life svg')) {
    const { from, to, clock } = svg.dataset;
    const here = percent(part(now(clock), Number(from), Number(to)));
    svg.querySelector('.gone').setAttribute('width', here);
    svg.querySelector('.here').setAttribute('cx', here);
    svg.parentElement.classList.toggle('over', now(clock) >= Number(to));
  }
}

// token draws the life of a token.
export function token(t) {
  if (!t.expires) return h('p', { class: 'faint' }, 'No token yet.');
  return line(`token ${t.path}`, [
    { at: t.issued, text: 'issued' }, { at: t.rotates, text: 'rotates' }, { at: t.expires, text: 'ends' },
  ]) || h('p', { class: 'faint' }, 'ends ', when(t.expires, 'system'));
}
