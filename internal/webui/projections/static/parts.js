// Pieces that the views share.

import { h, plain } from './dom.js';
import { states } from './model.js';
import { table } from './table.js';

const signs = table({ problem: '✕', rejected: '✕', behind: '▲', waiting: '…', ok: '●', none: '–', ended: '■' });

// chip says a state, by a sign and a word besides its colour.
export function chip(state, text) {
  return h('span', { class: 'chip ' + state }, h('span', { 'aria-hidden': 'true' }, signs[state] || '●'), ' ', plain(text || states[state], 100));
}

// name is a text from elsewhere, kept apart from the direction of those around it.
export const name = (text, kind = 'name') => h('bdi', { class: kind }, plain(text));

// kind is the kind of a source or volume.
export const kind = (text) => h('span', { class: 'kind' }, plain(text, 100));

// notice is a message that stands out.
export const notice = (tone, title, ...rest) => h('div', { class: 'notice ' + tone }, h('p', null, h('strong', null, title), ' ', ...rest));

// counted is a number with its noun.
export const counted = (n, one, many = one + 's') => `${n.toLocaleString()} ${n === 1 ? one : many}`;

// page shows the beginning of a list, and a button for more: thousands of entries must not
// stop the browser. lists remembers how far each was unfolded.
const lists = new Map();
const step = 100;

export function page(id, all, show, list = 'ul') {
  const most = lists.get(id) || step;
  const left = all.length - most;
  return [
    h(list, { class: 'list ' + id, role: 'list', 'data-key': id }, all.slice(0, most).map(show)),
    left > 0 && h('p', { class: 'more', 'data-key': id + '-more' }, h('button', { type: 'button', 'data-do': 'more', 'data-list': id }, `Show ${Math.min(step, left)} more`), ` ${left.toLocaleString()} not shown`),
  ];
}

export function more(id) {
  lists.set(id, (lists.get(id) || step) + step);
}

// fold begins a list anew, as when another filter chose what is in it.
export const fold = () => lists.clear();
